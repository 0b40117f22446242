"""Our scenes as pairs: in step, aligned, and told what they were made from."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from renderlift.bridge.errors import RenderError, SetupError
from renderlift.bridge.frame import Channel

pytest.importorskip("panda3d")
pytest.importorskip("mitsuba", exc_type=ImportError)

from renderlift.engine import mitsuba, mitsuba_scene, pairs
from renderlift.engine.panda3d.scene_graph import render_frames
from renderlift.engine.scene import Scene
from renderlift.engine.scenes import KINDS, UNSEEN_KINDS, demo_courtyard, random_scene
from renderlift.engine.tone import picture

SMALL = {"height": 64, "width": 112, "samples": 2}


def shift_px(
    first: NDArray[np.floating], second: NDArray[np.floating], where: NDArray[np.bool_] | None = None
) -> float:
    """How far (larger of x and y) the second picture (H, W) has moved against the first, `where` it counts.

    Least squares on the gradients (Lucas and Kanade), with a gain and an offset left free. Phase correlation
    would see 0.07 of 0.3 px here, since sharp edges draw it to whole pixels.
    """
    a, b = (cv2.GaussianBlur(image.astype(np.float64), (0, 0), 1.5) for image in (first, second))
    shift, inside = np.zeros(2), np.zeros(a.shape, np.bool_)
    inside[10:-10, 10:-10] = True
    if where is not None:
        inside &= cv2.erode(where.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    for _ in range(5):
        placed = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        back = cv2.warpAffine(b, placed, b.shape[::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        y, x = (gradient[inside] for gradient in np.gradient(back))
        unknowns = np.stack([x, y, -a[inside], -np.ones(x.size)], 1)
        shift += np.linalg.lstsq(unknowns, -back[inside], rcond=None)[0][:2]
    return float(np.abs(shift).max())


def traced_albedo(scene: Scene, time_index: int, height: int, width: int) -> NDArray[np.float32]:
    """(H, W, 3): base colours through the very film, filter and samples that make the photo, without its light."""
    mi = mitsuba._mitsuba()
    loaded = mi.load_dict(mitsuba_scene.scene_dict(mi, scene, time_index, height, width))
    albedo = mi.load_dict({"type": "aov", "aovs": "albedo:albedo"})
    return np.array(mi.render(loaded, integrator=albedo, spp=16))[..., :3]


def grey(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.sqrt(np.clip(linear.astype(np.float64), 0, None)).mean(-1)


@pytest.mark.parametrize("kind", [*KINDS, *UNSEEN_KINDS])
def test_render_and_photo_lie_on_each_other_within_a_quarter_of_a_pixel(kind: str) -> None:
    size = (112, 196)
    scene = random_scene(900_008, frames=2, kind=kind)
    frame = list(render_frames(scene, *size))[1]
    depth_m, ids = mitsuba.primary_hits(scene, 1, *size)
    engine_ids = frame.channels[Channel.INSTANCE_ID][..., 0]
    engine_ids = np.where(engine_ids > len(scene.objects), 0, engine_ids)  # lamps count as none
    assert (engine_ids == ids).mean() > 0.998
    nearness = [1 / np.maximum(d, 0.1) for d in (frame.channels[Channel.DEPTH][..., 0], depth_m)]
    assert shift_px(*nearness) < 0.02
    albedo, ground = traced_albedo(scene, 1, *size), np.isfinite(depth_m)
    assert shift_px(grey(frame.channels[Channel.ALBEDO] / 255), grey(albedo), ground) < 0.1
    # In light that comes from everywhere alike the game's picture is base colour too; no shadow pulls at edges.
    unlit = replace(scene, sun=None, lamps=(), ambient=(0.5, 0.5, 0.5), exposure=1.0)
    drawn = list(render_frames(unlit, *size))[1].channels[Channel.RGB]
    assert shift_px(drawn.mean(-1), picture(albedo, 0.5).mean(-1), ground) < 0.25


def test_the_measure_of_alignment_sees_a_fraction_of_a_pixel() -> None:
    still = grey(next(render_frames(random_scene(12, frames=1, kind="room"), 128, 224)).channels[Channel.RGB])
    moved = cv2.warpAffine(still, np.array([[1, 0, 0.3], [0, 1, 0.1]]), still.shape[::-1], flags=cv2.INTER_CUBIC)
    assert shift_px(still, moved) == pytest.approx(0.3, abs=0.03)
    assert shift_px(still, 0.6 * still + 20) < 1e-3


def test_a_seed_makes_the_same_pair_again_and_says_from_what() -> None:
    made = [pairs.make(4, frames=2, exposure_jitter=0.5, vignette=0.2, **SMALL) for _ in range(2)]
    (one, one_photo, facts), (two, two_photo, again) = made
    assert facts == again and facts["generator"] == 2 and facts["scene"] == "random:4"
    assert 0 < abs(facts["response"]["exposure_stops"]) <= 0.5 and facts["response"]["vignette"] == 0.2
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.channels[Channel.RGB], b.channels[Channel.RGB])
    np.testing.assert_array_equal(next(one_photo)[1], next(two_photo)[1])


def test_a_lens_blurs_what_is_out_of_focus_and_keeps_the_rest_in_place() -> None:
    size = {"height": 128, "width": 224, "samples": 8}
    sharp = next(pairs.make(900_009, frames=1, kinds=["workshop"], **size)[1])[1].mean(-1)
    _, photos, facts = pairs.make(900_009, frames=1, kinds=["workshop"], aperture_mm=60.0, **size)
    soft = next(photos)[1].mean(-1)
    detail = [np.abs(cv2.Laplacian(image, cv2.CV_64F)).mean() for image in (sharp, soft)]
    assert detail[1] < 0.9 * detail[0]
    assert 0.3 <= facts["response"]["focus_m"] < 20
    assert shift_px(sharp, soft) < 0.25


def test_kinds_are_dealt_out_in_turn() -> None:
    kinds = [pairs.make(seed, frames=1, kinds=["street", "room"], **SMALL)[2]["kind"] for seed in (6, 7, 8)]
    assert kinds == ["street", "room", "street"]


def test_kinds_kept_for_tests_are_never_made_to_train_on() -> None:
    for kind in UNSEEN_KINDS:
        with pytest.raises(SetupError, match="kept for tests"):
            pairs.make(899_999, frames=1, kinds=[kind], **SMALL)
        assert pairs.make(900_000, frames=1, kinds=[kind], **SMALL)[2]["kind"] == kind


def test_an_unknown_kind_is_refused_whoevers_turn_it_is() -> None:
    with pytest.raises(SetupError, match=r"(?s)cave.*room"):
        pairs.make(0, frames=1, kinds=["room", "cave"], **SMALL)


def test_the_path_tracer_photographs_recorded_frames_of_our_scenes() -> None:
    frames, photos, _ = pairs.make(4, frames=2, **SMALL)
    trace = pairs.path_tracer("random:4", samples=2, frames=2)
    recorded = list(frames)
    np.testing.assert_array_equal(trace(recorded[1:]), [list(photos)[1][1]])


def test_the_path_tracer_photographs_a_capture_that_is_longer_than_its_scene() -> None:
    # As `renderlift capture panda3d demo --frames 97` records it: after its last instant the scene begins anew.
    scene = demo_courtyard()
    first = next(render_frames(scene, 36, 64))
    trace = pairs.path_tracer("demo", samples=1)
    np.testing.assert_array_equal(trace([replace(first, index=len(scene))]), trace([first]))
    with pytest.raises(RenderError, match="frame 97 was not taken of courtyard"):
        trace([replace(first, index=len(scene) + 1)])


def test_the_path_tracer_refuses_frames_of_another_scene() -> None:
    frame = next(pairs.make(4, frames=2, **SMALL)[0])
    for scene, recorded in (("random:5", frame), ("random:4", replace(frame, index=7))):
        with pytest.raises(RenderError, match=r"(?s)not taken of.*--scene"):
            pairs.path_tracer(scene, samples=1, frames=2)([recorded])
