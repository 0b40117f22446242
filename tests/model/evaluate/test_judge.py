from dataclasses import replace

import numpy as np
import pytest

from renderlift.bridge.frame import Channel
from renderlift.model.evaluate.judge import Moment, judge

from .conftest import frame, photo


def moments(picture_of, *, count=6, truth=True, enters_at=0, seams=(), fps=24):
    frames = [frame(index, enters_at=enters_at, fps=fps) for index in range(count)]
    first_ids = frames[0].channels[Channel.INSTANCE_ID]
    return [Moment(f, picture_of(f), photo(f) if truth else None, first_ids, seam=f.index in seams) for f in frames]


def engine(shown):
    return shown.channels[Channel.RGB]


def flickering(shown):
    return np.clip(engine(shown).astype(int) + 30 * (shown.index % 2), 0, 255).astype(np.uint8)


def test_the_render_does_nothing_to_itself():
    values = judge(moments(engine)).values
    assert values["psnr_db"] == pytest.approx(20 * np.log10(255 / 25), abs=0.1)
    assert values["warp_error"] == values["warp_error_render"]
    assert values["flicker"] == 0
    assert values["label_fit"] == 1


def test_without_truth_nothing_is_said_of_it():
    values = judge(moments(engine, truth=False)).values
    assert not {"psnr_db", "ssim", "gmsd", "detail_error", "sharpness", "newcomer_gain_db"} & set(values)
    assert {"edge_f1", "label_fit", "warp_error", "flat_texture"} <= set(values)


@pytest.mark.parametrize("kept", [(), (Channel.INSTANCE_ID, Channel.DEPTH, Channel.ALBEDO)])
def test_where_the_engine_knows_of_no_edge_none_is_measured(kept):
    def blank(moment):
        channels = {c: a if c is Channel.RGB else a * 0 for c, a in moment.frame.channels.items()}
        wanted = {c: channels[c] for c in (Channel.RGB, *kept)}
        return replace(moment, frame=replace(moment.frame, channels=wanted))

    values = judge([blank(moment) for moment in moments(engine)]).values
    assert "psnr_db" in values
    assert not {"edge_f1", "border_recall", "label_fit"} & set(values)


def test_flicker_is_counted_in_levels():
    assert judge(moments(flickering)).values["flicker"] == pytest.approx(30, abs=1)


def test_objects_that_enter_are_judged_by_themselves():
    def photo_of_the_wall_only(shown):
        return np.where(shown.channels[Channel.INSTANCE_ID] == 2, 0, photo(shown)).astype(np.uint8)

    assert judge(moments(photo_of_the_wall_only, enters_at=3)).values["newcomer_gain_db"] < -5
    assert "newcomer_gain_db" not in judge(moments(photo_of_the_wall_only)).values


def test_a_step_where_clips_meet_shows_as_a_seam():
    def brighter_from_frame_three(shown):
        return np.clip(engine(shown).astype(int) + 40 * (shown.index >= 3) + shown.index, 0, 255).astype(np.uint8)

    assert judge(moments(brighter_from_frame_three, seams={3})).values["seam_ratio"] > 5


def test_a_colour_that_walks_away_is_drift():
    def redder_and_redder(shown):
        picture = photo(shown).astype(int)
        picture[..., 0] += 2 * shown.index
        return np.clip(picture, 0, 255).astype(np.uint8)

    slow = judge(moments(redder_and_redder, fps=0.4)).values  # 12.5 s: 0.8 levels a second
    assert slow["drift_per_minute"] == pytest.approx(48, rel=0.15)
    assert "drift_per_minute" not in judge(moments(redder_and_redder, fps=24)).values


def test_frames_that_do_not_follow_each_other_are_not_compared():
    scattered = moments(flickering)[::2]
    assert "warp_error" not in judge(scattered).values


def test_the_worst_frame_is_shown_unless_another_is_asked_for():
    assert judge(moments(flickering)).shown.frame.index % 2 == 0  # there the picture is darker than the truth
    assert judge(moments(flickering), show_index=3).shown.frame.index == 3


def test_detail_invented_on_flat_colours_is_seen_and_so_is_another_hue():
    def speckled(shown):
        speckles = np.random.default_rng(0).integers(0, 40, engine(shown).shape[:2])
        return np.clip(photo(shown).astype(int) + speckles[..., None], 0, 255).astype(np.uint8)

    def bluer(shown):
        return np.clip(photo(shown).astype(int) + np.array([0, 0, 60]), 0, 255).astype(np.uint8)

    plain = judge(moments(photo)).values
    assert judge(moments(speckled)).values["flat_texture"] > plain["flat_texture"] + 3
    assert judge(moments(bluer)).values["flat_colour"] > plain["flat_colour"] + 10
