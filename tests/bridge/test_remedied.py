"""A renderer that had to help itself says so, and the frames that it made so are named."""

import pytest

from renderlift.bridge.batch import Look, enhance_all, streams_of
from renderlift.bridge.clip import identity
from renderlift.bridge.enhance import Order, enhance, enhance_share
from renderlift.bridge.record import Recorder
from renderlift.bridge.remedied import Remedied, in_words
from renderlift.bridge.split import split

CUT = {"length": 5, "overlap": 2}
TILES = "the autoencoder in tiles (out of memory)"
HALF = "half the pixels (out of memory)"


class Failing:
    """A renderer that needs a remedy from some frames on, and then keeps it."""

    def __init__(self, needs):
        self.needs = needs  # remedy: frame
        self.remedies = []

    def __call__(self, clip):
        for remedy, index in self.needs.items():
            if clip.frames[-1].index >= index and remedy not in self.remedies:
                self.remedies.append(remedy)
        return identity(clip)


def dying_at(index, render):
    """The same renderer, killed at the clip that starts with this frame."""

    def dies(clip):
        if clip.frames[0].index == index:
            raise KeyboardInterrupt
        return render(clip)

    dies.remedies = render.remedies
    return dies


@pytest.fixture
def recorded(tmp_path, make_frame):
    def record(indices, name="take", **changes):
        with Recorder(tmp_path / name) as recorder:
            for index in indices:
                recorder.write(make_frame(index, 16, 16, **changes))
        return tmp_path / name

    return record


def test_a_renderer_that_needed_no_remedy_has_none_to_tell(tmp_path, recorded):
    recording = recorded(range(11))
    assert enhance(recording, tmp_path / "silent", identity, **CUT).remedied == ()
    assert enhance(recording, tmp_path / "sound", Failing({}), **CUT).remedied == ()


def test_the_frames_are_named_from_the_clip_that_needed_it_to_the_end(tmp_path, recorded):
    done = enhance(recorded(range(17)), tmp_path / "out", Failing({TILES: 7, HALF: 12}), **CUT)
    # Clips are 0-4, 3-7, 6-10, 9-13, 12-16.
    assert done.remedied == (Remedied(TILES, 3, 16), Remedied(HALF, 9, 16))
    assert in_words(done.remedied) == f"frames 3 to 16 with {TILES}; frames 9 to 16 with {HALF}"


def test_missing_frames_do_not_end_a_remedy(tmp_path, recorded):
    done = enhance(recorded([*range(5), *range(9, 14), 20]), tmp_path / "out", Failing({TILES: 9}), **CUT)
    assert done.remedied == (Remedied(TILES, 9, 20),)


def test_a_run_that_goes_on_after_a_kill_tells_of_the_frames_before_it_too(tmp_path, recorded):
    recording = recorded(range(20))
    with pytest.raises(KeyboardInterrupt):
        enhance(recording, tmp_path / "out", dying_at(9, Failing({TILES: 0})), **CUT)
    done = enhance(recording, tmp_path / "out", Failing({}), **CUT)
    assert 0 < done.reused_frames < 20
    assert done.remedied == (Remedied(TILES, 0, done.remedied[0].last_index),)
    assert done.remedied[0].last_index < 11


def test_a_remedy_that_is_needed_before_and_after_a_kill_is_told_once(tmp_path, recorded):
    recording = recorded(range(20))
    with pytest.raises(KeyboardInterrupt):
        enhance(recording, tmp_path / "out", dying_at(9, Failing({TILES: 0})), **CUT)
    assert enhance(recording, tmp_path / "out", Failing({TILES: 0}), **CUT).remedied == (Remedied(TILES, 0, 19),)


def test_shares_that_workers_rendered_tell_of_their_frames_in_one_list(tmp_path, recorded):
    recording = recorded([*range(10), *range(20, 30), *range(40, 50)])
    order = Order(recording, tmp_path / "out", **CUT)
    first, second, third = split(order, 3)
    enhance_share(order, Failing({}), *first)
    enhance_share(order, Failing({TILES: 26}), *second)
    enhance_share(order, Failing({TILES: 40}), *third)
    done = enhance(recording, tmp_path / "out", Failing({}), **CUT)
    assert done.remedied == (Remedied(TILES, 23, 29), Remedied(TILES, 40, 49))


def test_an_output_that_was_finished_before_still_tells(tmp_path, recorded, monkeypatch):
    (tmp_path / "helping_look.py").write_text(
        "def load():\n"
        "    render = lambda clip: clip.channels['rgb']\n"
        f"    render.remedies = [{TILES!r}]\n"
        "    return render\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    streams = streams_of([recorded(range(9))], tmp_path / "out").streams
    for reused in (0, 9):
        [(_, done)] = list(enhance_all(streams, Look("helping_look:load"), None))
        assert done.reused_frames == reused
        assert done.remedied == (Remedied(TILES, 0, 8),)
