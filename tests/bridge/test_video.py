import signal
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
import pytest

from renderlift.bridge.errors import RecordingError, RenderError
from renderlift.bridge.video import VideoWriter, join_videos, read_video, side_by_side, wipe


def picture(height, width, phase=0):
    """Smooth colours, as a codec meets them."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 100 * np.sin((x * a + y * b) / 60 + phase) for a, b in ((1, 0), (0, 1), (1, 1))]
    return np.stack(waves, axis=-1).astype(np.uint8)


def write(path, pictures, fps=25, **settings):
    with VideoWriter(path, *pictures[0].shape[:2], fps, **settings) as writer:
        for each in pictures:
            writer.write(each)


def times_s(path):
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@pytest.mark.parametrize("size", [(64, 96), (63, 96), (64, 95), (63, 95), (1, 1), (359, 641)])
@pytest.mark.parametrize("count", [1, 2, 73])
def test_size_and_frame_count_are_exact(tmp_path, size, count):
    if size == (359, 641):
        count = min(count, 3)
    write(tmp_path / "v.mp4", [picture(*size, phase=i) for i in range(count)])
    read = list(read_video(tmp_path / "v.mp4"))
    assert [p.shape for p in read] == [(*size, 3)] * count


@pytest.mark.parametrize("fps", [24, 25, 60, Fraction(24000, 1001), 23.976, 12.5])
def test_frames_come_at_the_rate_that_was_asked_for(tmp_path, fps):
    write(tmp_path / "v.mp4", [picture(16, 16)] * 30, fps=fps)
    assert times_s(tmp_path / "v.mp4") == pytest.approx([i / float(fps) for i in range(30)], abs=2e-4)


@pytest.mark.parametrize("size", [(64, 96), (63, 95)])
def test_pictures_look_the_same_after_the_codec(tmp_path, size):
    pictures = [picture(*size, phase=i / 9) for i in range(9)]
    write(tmp_path / "v.mp4", pictures)
    for before, after in zip(pictures, read_video(tmp_path / "v.mp4"), strict=True):
        assert np.abs(before.astype(int) - after).mean() < 2


@pytest.mark.parametrize(
    "colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (30, 200, 120), (255, 255, 255), (0, 0, 0)]
)
@pytest.mark.parametrize("side", [32, 33])
def test_colours_are_kept(tmp_path, colour, side):
    write(tmp_path / "v.mp4", [np.full((side, side, 3), colour, np.uint8)])
    (read,) = read_video(tmp_path / "v.mp4")
    assert np.abs(read.astype(int) - colour).max() <= 3


@pytest.mark.parametrize("size", [(64, 96), (63, 95)])
def test_lossless_is_lossless(tmp_path, size):
    pictures = [np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8) for i in range(5)]
    write(tmp_path / "v.mp4", pictures, lossless=True)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, read_video(tmp_path / "v.mp4"), strict=True))


def test_joined_videos_play_as_one(tmp_path):
    pictures = [picture(64, 96, phase=i / 5) for i in range(30)]
    parts = []
    for number, (start, stop) in enumerate([(0, 1), (1, 18), (18, 30)]):
        parts.append(tmp_path / f"{number}.mp4")
        write(parts[-1], pictures[start:stop], fps=Fraction(24000, 1001))
    join_videos(parts, tmp_path / "whole.mp4")
    assert times_s(tmp_path / "whole.mp4") == pytest.approx([i * 1001 / 24000 for i in range(30)], abs=1e-6)
    one_by_one = [picture for part in parts for picture in read_video(part)]
    assert all(np.array_equal(a, b) for a, b in zip(one_by_one, read_video(tmp_path / "whole.mp4"), strict=True))
    with av.open(str(tmp_path / "whole.mp4")) as container:
        assert container.streams.video[0].frames == 30


def test_a_joined_video_has_its_index_in_front_so_that_it_starts_at_once(tmp_path):
    write(tmp_path / "part.mp4", [picture(64, 96, phase=i) for i in range(10)])
    join_videos([tmp_path / "part.mp4"] * 20, tmp_path / "whole.mp4")
    whole = (tmp_path / "whole.mp4").read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    assert len(times_s(tmp_path / "whole.mp4")) == 200


WRITE_FOREVER = """
import os, sys
import numpy as np
from renderlift.bridge.video import VideoWriter
random = np.random.default_rng(0)
writer = VideoWriter(sys.argv[1], 48, 64, 25)
for i in range(100_000):
    writer.write(random.integers(0, 256, (48, 64, 3), np.uint8))
    if i == 600: os.write(1, b"x")
"""


def test_a_killed_writer_leaves_a_file_that_plays(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOREVER, tmp_path / "v.mp4"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.read(1) == b"x"
        process.send_signal(signal.SIGKILL)
    played = 0
    with suppress(RecordingError):  # the last fragment may be torn
        for read in read_video(tmp_path / "v.mp4"):
            assert read.shape == (48, 64, 3)
            played += 1
    assert played >= 250


def test_a_picture_of_another_size_is_refused(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 16, 16, 25) as writer:
        writer.write(picture(16, 16))
        with pytest.raises(RenderError, match=r"\(16, 18, 3\), the video is uint8 \(16, 16, 3\)"):
            writer.write(picture(16, 18))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere/v\.mp4"):
        VideoWriter(tmp_path / "nowhere" / "v.mp4", 16, 16, 25)


def test_a_full_disk_is_an_error_that_says_so():
    with pytest.raises(RecordingError, match="cannot write /dev/full: No space left on device"):
        write("/dev/full", [np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8) for i in range(99)])


@pytest.mark.parametrize("content", [b"", b"not a video", bytes(1000)])
def test_another_kind_of_file_is_refused(tmp_path, content):
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(RecordingError, match=r"v.mp4 cannot be read as a video"):
        list(read_video(tmp_path / "v.mp4"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"v.mp4 cannot be read as a video"):
        list(read_video(tmp_path / "v.mp4"))


def halves(height=180, width=320):
    return np.full((height, width, 3), 40, np.uint8), np.full((height, width, 3), 200, np.uint8)


def test_side_by_side_shows_each_picture_on_its_side_of_a_thin_line():
    before, after = halves()
    both = side_by_side(before, after)
    assert both.shape == (180, 640, 3)
    assert (both[:100, :319] == 40).all()
    assert (both[:100, 321:] == 200).all()
    assert (both[:, 319:321] == 245).all()


def test_a_wipe_moves_the_line():
    before, after = halves()
    picture = wipe(before, after, 0.25)
    assert (picture[:100, :79] == 40).all()
    assert (picture[:100, 81:] == 200).all()
    assert (picture[:, 79:81] == 245).all()


def test_a_wipe_at_its_ends_is_one_picture():
    before, after = halves()
    assert (wipe(before, after, -1, captions=("", ""))[:100] == 200).all()
    assert (wipe(before, after, 2, captions=("", ""))[:100] == 40).all()


def test_captions_stand_in_the_lower_corners_and_nowhere_else():
    before, after = halves()
    both = side_by_side(before, after, captions=("engine", "renderlift"))
    left, right = both[:, :319], both[:, 321:]
    assert (left[150:, :150].max(), right[150:, :150].max()) == (255, 255)
    assert (left[:150] == 40).all()
    assert (right[:150] == 200).all()


def test_captions_are_left_out_of_pictures_too_small_for_them():
    before, after = halves(16, 24)
    both = side_by_side(before, after, captions=("engine", "renderlift"))
    assert set(np.unique(both)) == {40, 200, 245}


def test_composing_leaves_the_pictures_as_they_were():
    before, after = halves()
    side_by_side(before, after)
    wipe(before, after, 0.5)
    assert (before == 40).all()
    assert (after == 200).all()
