import errno
import os
import random
import resource
import signal
import subprocess
import sys
import tracemalloc
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zstandard
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.records import Chunk, Header
from mcap.writer import MCAP0_MAGIC, Writer

from renderlift.bridge import segment_write
from renderlift.bridge.errors import ChannelError, RecordingError
from renderlift.bridge.foxglove import quaternion
from renderlift.bridge.frame import CHANNELS, Channel, IdName
from renderlift.bridge.record import Recorder, read_frames, summarize
from renderlift.bridge.segment_index import encoded

ALL = tuple(Channel)
NAMES = (IdName(1, "cup", "kitchenware", "room/table/cup"), IdName(2, "tisch ü", "table"))


def record(path, frames, **settings):
    with Recorder(path, **settings) as recorder:
        for frame in frames:
            recorder.write(frame)
            recorder.flush()


def indices(path, **wanted):
    return [frame.index for frame in read_frames(path, **wanted)]


# Reading back


def test_every_channel_comes_back_bit_for_bit(tmp_path, make_frame, same_frame):
    frames = [make_frame(i, channels=ALL, names=NAMES) for i in range(3)]
    record(tmp_path, frames)
    assert all(same_frame(a, b) for a, b in zip(frames, read_frames(tmp_path), strict=True))


@pytest.mark.parametrize(("channel", "dtype"), [(c, d) for c in ALL for d in CHANNELS[c].dtypes])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 33)])
def test_every_dtype_comes_back_at_any_size(tmp_path, make_frame, same_frame, channel, dtype, size):
    spec = CHANNELS[channel]
    raw = np.random.default_rng(0).bytes(size[0] * size[1] * spec.components * np.dtype(dtype).itemsize)
    arrays = {
        Channel.RGB: np.zeros((*size, 3), np.uint8),
        channel: np.frombuffer(raw, dtype).reshape(*size, spec.components),
    }
    frame = make_frame(arrays=arrays)
    record(tmp_path, [frame])
    assert same_frame(frame, next(read_frames(tmp_path)))


@pytest.mark.parametrize("largest", [0, 65535, 65536, 2**32 - 1])
def test_small_and_large_ids_come_back_as_they_were(tmp_path, make_frame, largest):
    ids = np.array([[[0], [largest]]], np.uint32)
    frame = make_frame(arrays={Channel.RGB: np.zeros((1, 2, 3), np.uint8), Channel.INSTANCE_ID: ids})
    record(tmp_path, [frame])
    read = next(read_frames(tmp_path)).channels[Channel.INSTANCE_ID]
    assert read.dtype == np.uint32
    assert np.array_equal(read, ids)


def test_views_and_foreign_byte_order_are_recorded_by_value(tmp_path, make_frame):
    depth = np.arange(24, dtype=">f4").reshape(4, 6, 1)[::2, ::-1]
    rgb = np.zeros((2, 6, 3), np.uint8)
    record(tmp_path, [make_frame(arrays={Channel.RGB: rgb, Channel.DEPTH: depth})])
    assert np.array_equal(next(read_frames(tmp_path)).channels[Channel.DEPTH], depth)


def test_a_frame_owns_arrays_that_can_be_written_to(tmp_path, make_frame):
    record(tmp_path, [make_frame(channels=ALL)])
    for array in next(read_frames(tmp_path)).channels.values():
        array[:] = 1
        assert array.flags.owndata


def test_a_changing_id_table_stays_with_its_frames(tmp_path, make_frame):
    tables = [(), NAMES, NAMES, NAMES[:1], ()]
    record(tmp_path, [make_frame(i, names=table) for i, table in enumerate(tables)])
    assert [frame.names for frame in read_frames(tmp_path)] == tables


def test_interleaved_engines_and_cameras_come_back_in_order(tmp_path, make_frame, same_frame):
    frames = [
        make_frame(i, camera=camera, session=session, engine=session)
        for i in range(4)
        for session in ("a", "b")
        for camera in ("left", "right")
    ]
    record(tmp_path, frames)
    assert all(same_frame(a, b) for a, b in zip(frames, read_frames(tmp_path), strict=True))


def test_only_what_is_asked_for_is_read(tmp_path, make_frame):
    frames = [
        make_frame(i, camera=c, session=s, channels=ALL) for i in range(6) for s in "ab" for c in ("left", "right")
    ]
    record(tmp_path, frames)
    some = list(read_frames(tmp_path, session="b", camera="left", channels=[Channel.DEPTH], start=2, stop=4))
    assert [(f.index, f.session, f.camera_name) for f in some] == [(2, "b", "left"), (3, "b", "left")]
    assert set(some[0].channels) == {Channel.RGB, Channel.DEPTH}


def test_a_range_is_found_across_segments(tmp_path, make_frame):
    record(tmp_path, [make_frame(i) for i in range(20)], segment_bytes=4000)
    assert summarize(tmp_path).segments > 3
    assert indices(tmp_path, start=7, stop=13) == list(range(7, 13))


def test_one_segment_is_read_like_a_recording(tmp_path, make_frame):
    record(tmp_path, [make_frame(i) for i in range(3)])
    assert indices(tmp_path / "000000.mcap") == [0, 1, 2]
    assert summarize(tmp_path / "000000.mcap").frames == 3


# Appending


def test_a_second_run_continues_in_a_new_segment(tmp_path, make_frame):
    record(tmp_path, [make_frame(i) for i in range(3)])
    before = (tmp_path / "000000.mcap").read_bytes()
    with Recorder(tmp_path) as recorder:
        assert recorder.last_index("s", "main") == 2
        assert recorder.last_index("other", "main") == -1
        recorder.write(make_frame(3))
        assert recorder.last_index("s", "main") == 3
    assert indices(tmp_path) == [0, 1, 2, 3]
    assert (tmp_path / "000000.mcap").read_bytes() == before


def test_a_repeated_frame_is_recorded_once(tmp_path, make_frame):
    record(tmp_path, [make_frame(i) for i in (0, 1, 1, 0, 2)])
    record(tmp_path, [make_frame(i) for i in (2, 3)])
    assert indices(tmp_path) == [0, 1, 2, 3]


def test_a_recorder_that_wrote_nothing_leaves_nothing(tmp_path):
    Recorder(tmp_path / "r").close()
    assert not (tmp_path / "r").exists()
    (tmp_path / "there").mkdir()
    Recorder(tmp_path / "there").close()
    assert (tmp_path / "there").exists()  # it was not the recorder's


def test_a_frame_that_breaks_the_channel_table_is_refused_and_harms_nothing(tmp_path, make_frame):
    broken = replace(make_frame(1), channels={Channel.RGB: np.zeros((2, 2, 4), np.uint8)})
    with Recorder(tmp_path) as recorder:
        recorder.write(make_frame(0))
        with pytest.raises(ChannelError):
            recorder.write(broken)
        recorder.write(make_frame(2))
    assert indices(tmp_path) == [0, 2]


def test_a_second_recorder_on_the_same_folder_is_refused(tmp_path):
    with Recorder(tmp_path), pytest.raises(RecordingError, match="another process records into"):
        Recorder(tmp_path)
    Recorder(tmp_path).close()


# Summaries


def test_a_summary_says_what_is_there_and_what_is_missing(tmp_path, make_frame):
    frames = [make_frame(i, height=4, width=6, channels=(Channel.RGB, Channel.DEPTH)) for i in (0, 1, 4, 5, 9)]
    record(tmp_path, [*frames, make_frame(3, camera="other")])
    summary = summarize(tmp_path)
    main, other = summary.streams
    assert (main.engine, main.session, main.camera) == ("test", "s", "main")
    assert (main.frames, main.first_index, main.last_index) == (5, 0, 9)
    assert main.missing == (range(2, 4), range(6, 9))
    assert (main.height, main.width, main.channels) == (4, 6, (Channel.RGB, Channel.DEPTH))
    assert main.fps == pytest.approx(25)
    assert main.duration_s == pytest.approx(9 / 25)
    assert (other.frames, other.fps, other.missing) == (1, None, ())
    assert (summary.frames, summary.whole) == (6, True)
    assert summary.bytes == (tmp_path / "000000.mcap").stat().st_size


def test_a_summary_joins_segments_and_runs(tmp_path, make_frame):
    record(tmp_path, [make_frame(i) for i in (0, 1, 2)], segment_bytes=1)
    record(tmp_path, [make_frame(i) for i in (5, 6)])
    (stream,) = summarize(tmp_path).streams
    assert stream.missing == (range(3, 5),)
    assert stream.fps == pytest.approx(25)
    assert summarize(tmp_path).segments == 4


def test_checking_every_byte_gives_the_same_summary(tmp_path, make_frame):
    record(tmp_path, [make_frame(i, channels=ALL) for i in (0, 1, 5)], segment_bytes=5000)
    assert summarize(tmp_path, verify=True) == summarize(tmp_path)


# Other readers


def test_the_library_s_own_reader_accepts_every_byte(tmp_path, make_frame):
    record(tmp_path, [make_frame(i, channels=ALL, names=NAMES) for i in range(3)])
    with (tmp_path / "000000.mcap").open("rb") as file:
        messages = list(make_reader(file, validate_crcs=True).iter_messages())
    topics = {channel.topic for _, channel, _ in messages}
    assert topics == {f"/test/main/{kind}" for kind in (*ALL, "names", "calibration", "transform", "frame")}
    assert len(messages) == 3 * (len(ALL) + 3) + 1


def test_viewers_find_pictures_camera_and_pose_by_the_schemas_in_the_file(tmp_path, make_frame):
    frame = make_frame(channels=ALL, height=4, width=6)
    record(tmp_path, [frame])
    found = {}
    with (tmp_path / "000000.mcap").open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            if schema.encoding == "protobuf":
                found[channel.topic.rsplit("/", 1)[1]] = decode(schema, message.data)
    rgb, depth = found["rgb"], found["depth"]
    assert (rgb.encoding, rgb.width, rgb.height, rgb.step) == ("rgb8", 6, 4, 18)
    assert rgb.data == frame.channels[Channel.RGB].tobytes()
    assert (depth.encoding, depth.data) == ("32FC1", frame.channels[Channel.DEPTH].tobytes())
    known = {"rgb8", "mono8", "mono16", "32FC1", "32SC1"}
    assert {image.encoding for name, image in found.items() if name in ALL} <= known
    assert list(found["calibration"].K) == frame.camera.image_from_camera.ravel().tolist()
    assert found["calibration"].frame_id == found["transform"].child_frame_id == rgb.frame_id
    assert found["transform"].translation.x == frame.camera.world_from_camera[0, 3]
    assert found["transform"].rotation.w == 1


def decode(schema, data):
    """Decode a message as a viewer does: from the definition in the file alone."""
    files = descriptor_pb2.FileDescriptorSet.FromString(schema.data)
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(schema.name)).FromString(data)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: sum(x * x for x in q) > 0.01))
def test_a_rotation_matrix_becomes_its_quaternion(values):
    x, y, z, w = np.array(values) / np.linalg.norm(values)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    assert abs(np.dot(quaternion(rotation), [x, y, z, w])) == pytest.approx(1, abs=1e-9)


# Crashes

RECORD_FOREVER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from conftest import frame_of
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder
recorder = Recorder(sys.argv[1], segment_bytes=int(sys.argv[3]))
index = recorder.last_index("s", "main") + 1
while True:
    recorder.write(frame_of(index, 60, 80, channels=tuple(Channel)))
    recorder.flush()
    os.write(1, b"%d\\n" % index)
    index += 1
"""


def record_and_kill(path, segment_bytes, random):
    """Record in a process of its own, kill it at a random time, return the last index it called safe."""
    command = [sys.executable, "-c", RECORD_FOREVER, str(path), str(Path(__file__).parent), str(segment_bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        first = process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(random.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        return int((first + process.stdout.read()).split()[-1])


@pytest.mark.parametrize(("segment_bytes", "seed"), [(1 << 30, 7), (1 << 18, 8)])
def test_kill_9_loses_nothing_that_was_flushed_and_repeats_nothing(
    tmp_path, make_frame, same_frame, segment_bytes, seed
):
    times = random.Random(seed)
    for _ in range(4):
        safe = record_and_kill(tmp_path, segment_bytes, times)
        read = indices(tmp_path)
        assert read == list(range(len(read)))
        assert safe <= read[-1] <= safe + 1
    with Recorder(tmp_path) as recorder:
        assert recorder.last_index("s", "main") >= safe
    for index, frame in enumerate(read_frames(tmp_path)):
        assert same_frame(frame, make_frame(index, 60, 80, channels=ALL))


def test_a_summary_tells_a_killed_recording_from_a_whole_one(tmp_path, make_frame):
    record_and_kill(tmp_path, 1 << 30, random.Random(0))
    assert summarize(tmp_path).cut_segments == ("000000.mcap",)
    assert not summarize(tmp_path).whole
    record(tmp_path, [make_frame(10_000)])
    summary = summarize(tmp_path, verify=True)
    assert (summary.cut_segments, summary.recovered_segments) == ((), ("000000.mcap",))
    assert not summary.whole


class ShortRecording:
    """Five frames of two cameras, the bytes of their segment, and where each frame ends in it."""

    def __init__(self, folder, make_frame):
        cameras = ("left", "right", "left", "right", "left")
        self.frames = [make_frame(i, channels=ALL, names=NAMES, camera=camera) for i, camera in enumerate(cameras)]
        self.ends = []
        with Recorder(folder) as recorder:
            for frame in self.frames:
                recorder.write(frame)
                self.ends.append((folder / "000000.mcap").stat().st_size)
        self.bytes = (folder / "000000.mcap").read_bytes()


@pytest.fixture(scope="module")
def short(tmp_path_factory, make_frame):
    return ShortRecording(tmp_path_factory.mktemp("short"), make_frame)


@settings(deadline=None, max_examples=150)
@given(
    place=st.floats(0, 1, exclude_max=True),
    near_an_end=st.none() | st.integers(-40, 40),
    filler=st.sampled_from([b"", bytes(50), bytes(5000)]),  # a power cut can leave zeros
)
@example(place=0.0001, near_an_end=None, filler=bytes(50))  # within the file's first eight bytes
def test_a_recording_cut_at_any_byte_reads_up_to_there_and_goes_on(
    tmp_path_factory, short, same_frame, make_frame, place, near_an_end, filler
):
    whole, ends, frames = short.bytes, short.ends, short.frames
    cut = int(place * len(whole))
    if near_an_end is not None:
        cut = max(0, min(ends[int(place * len(ends))] + near_an_end, len(whole) - 1))
    folder = tmp_path_factory.mktemp("cut")
    segment = folder / "000000.mcap"
    segment.write_bytes(whole[:cut] + filler)
    safe = sum((whole[:cut] + filler).startswith(whole[:end]) for end in ends)

    read = list(read_frames(folder))
    assert safe <= len(read) <= safe + 1
    assert all(same_frame(a, b) for a, b in zip(read, frames, strict=False))
    assert summarize(folder).cut_segments == ("000000.mcap",)

    with Recorder(folder) as recorder:
        recorder.write(make_frame(100, channels=ALL))
    expected = [*frames[:safe], make_frame(100, channels=ALL)]
    assert all(same_frame(a, b) for a, b in zip(read_frames(folder), expected, strict=True))
    assert summarize(folder, verify=True).frames == safe + 1
    if safe:
        assert summarize(folder).recovered_segments == ("000000.mcap",)
        with segment.open("rb") as file:
            assert len(list(make_reader(file, validate_crcs=True).iter_messages())) >= safe * len(ALL)


@settings(deadline=None, max_examples=200)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_a_wrong_frame(tmp_path_factory, short, same_frame, position, bit):
    flipped = bytearray(short.bytes)
    flipped[int(position * len(flipped))] ^= 1 << bit
    segment = tmp_path_factory.mktemp("flip") / "000000.mcap"
    segment.write_bytes(flipped)
    try:
        read = list(read_frames(segment))
        summary = summarize(segment)
    except RecordingError as error:
        assert error.fix
        return
    by_index = {frame.index: frame for frame in short.frames}
    assert all(same_frame(frame, by_index[frame.index]) for frame in read)
    assert {i for s in summary.streams for run in s.runs for i in range(run[0], run[1] + 1)} <= set(by_index)


def test_a_damaged_frame_is_skipped_and_counted(tmp_path, short):
    spoiled = bytearray(short.bytes)
    spoiled[(short.ends[1] + short.ends[2]) // 2] ^= 255
    segment = tmp_path / "000000.mcap"
    segment.write_bytes(spoiled)
    assert indices(segment) == [0, 1, 3, 4]
    summary = summarize(segment, verify=True)
    assert (summary.damaged_chunks, summary.whole, summary.frames) == (1, False, 4)


# Disks that fail


@contextmanager
def file_size_limit(limit_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_with_the_bytes_that_wait_and_recording_goes_on(tmp_path, make_frame, same_frame):
    frames = [make_frame(i, 40, 60, channels=ALL) for i in range(8)]
    with Recorder(tmp_path) as recorder:
        for frame in frames[:3]:
            recorder.write(frame)
        safe = (tmp_path / "000000.mcap").stat().st_size
        with file_size_limit(safe + 1000):
            with pytest.raises(RecordingError, match=r"000000.mcap: .*; \d+ bytes are waiting") as caught:
                recorder.write(frames[3])
            assert "Free some space" in caught.value.fix
            assert recorder.last_index("s", "main") == 2
            with pytest.raises(RecordingError):
                recorder.flush()
            assert indices(tmp_path) == [0, 1, 2]
        for frame in frames[3:]:
            recorder.write(frame)
        assert recorder.last_index("s", "main") == 7
    assert all(same_frame(a, b) for a, b in zip(frames, read_frames(tmp_path), strict=True))
    assert summarize(tmp_path).whole


def test_closing_on_a_full_disk_keeps_all_that_was_safe(tmp_path, make_frame):
    recorder = Recorder(tmp_path)
    recorder.write(make_frame(0))
    with file_size_limit((tmp_path / "000000.mcap").stat().st_size + 100):
        with pytest.raises(RecordingError):
            recorder.write(make_frame(1))
        with pytest.raises(RecordingError):
            recorder.close()
    assert indices(tmp_path) == [0]
    record(tmp_path, [make_frame(1)])
    assert indices(tmp_path) == [0, 1]


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("nth", range(12))
def test_whichever_write_fails_a_retry_makes_it_good(tmp_path, make_frame, same_frame, monkeypatch, nth, reason):
    calls = iter(range(10_000))
    real_write = os.write

    def failing_write(file, data):
        if next(calls) == nth:
            raise OSError(reason, os.strerror(reason))
        return real_write(file, bytes(data[: max(len(data) // 2, 1000)]))  # and every write is a short one

    monkeypatch.setattr(segment_write.os, "write", failing_write)
    frames = [make_frame(i, channels=ALL) for i in range(6)]
    failures = 0
    with Recorder(tmp_path, segment_bytes=9000) as recorder:
        for frame in frames:
            try:
                recorder.write(frame)
            except RecordingError:
                failures += 1
                recorder.write(frame)
    assert failures == 1
    assert all(same_frame(a, b) for a, b in zip(frames, read_frames(tmp_path), strict=True))


def test_a_really_full_disk_and_space_that_returns(tmp_path, make_frame, same_frame):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        (disk / "ballast").write_bytes(bytes(600_000))
        frames = [make_frame(i, 40, 60, channels=ALL) for i in range(8)]
        with Recorder(disk / "r") as recorder:
            written = 0
            with pytest.raises(RecordingError, match=r"No space left on device; [1-9]"):
                for frame in frames:
                    recorder.write(frame)
                    written += 1
            assert indices(disk / "r") == list(range(written))
            (disk / "ballast").unlink()
            for frame in frames[written:]:
                recorder.write(frame)
        assert all(same_frame(a, b) for a, b in zip(frames, read_frames(disk / "r"), strict=True))
    finally:
        subprocess.run(["umount", disk], check=True)


# Files that are not what they seem


@pytest.mark.parametrize("read", [lambda path: list(read_frames(path)), summarize])
class TestStrangeFiles:
    def test_nothing_there(self, tmp_path, read):
        with pytest.raises(RecordingError, match="there is no recording at") as caught:
            read(tmp_path / "nothing")
        assert "renderlift record" in caught.value.fix

    def test_a_folder_without_segments(self, tmp_path, read):
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(RecordingError, match="there is no recording at"):
            read(tmp_path)

    def test_another_kind_of_file(self, tmp_path, read):
        (tmp_path / "000000.mcap").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
        with pytest.raises(RecordingError, match="is not an MCAP file"):
            read(tmp_path)

    def test_somebody_else_s_mcap(self, tmp_path, read):
        write_foreign(tmp_path / "a.mcap")
        with pytest.raises(RecordingError, match="holds no Renderlift frames, only /imu"):
            read(tmp_path / "a.mcap")

    def test_a_newer_format(self, tmp_path, read, short):
        with (tmp_path / "000000.mcap").open("wb") as file:
            writer = Writer(file)
            writer.start()
            metadata = {"renderlift.format": "2", "renderlift.kind": "frame"}
            writer.register_channel("/x/frame", "json", 0, metadata)
            writer.add_message(1, 0, b"{}", 0)
            writer.finish()
        with pytest.raises(RecordingError, match="recording format 2, this Renderlift reads 1") as caught:
            read(tmp_path)
        assert "Upgrade" in caught.value.fix

    @settings(deadline=None, max_examples=100)
    @given(noise=st.binary(max_size=400), opcode=st.integers(0, 20), length=st.integers(0, 2**64 - 1))
    def test_noise_behind_the_magic(self, tmp_path_factory, read, noise, opcode, length):
        segment = tmp_path_factory.mktemp("noise") / "000000.mcap"
        record = bytes([opcode]) + length.to_bytes(8, "little")
        segment.write_bytes(MCAP0_MAGIC + encoded(Header("", "renderlift")) + record + noise + MCAP0_MAGIC)
        read(segment)


def write_foreign(path):
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema("Imu", "jsonschema", b"{}")
        writer.register_channel("/imu", "json", schema)
        writer.add_message(1, 0, b"{}", 0)
        writer.finish()


def test_a_recorder_never_touches_a_foreign_file(tmp_path):
    write_foreign(tmp_path / "000000.mcap")
    before = (tmp_path / "000000.mcap").read_bytes()
    with pytest.raises(RecordingError, match="holds no Renderlift frames"):
        Recorder(tmp_path)
    cut = before[:-40]
    (tmp_path / "000000.mcap").write_bytes(cut)
    with pytest.raises(RecordingError, match="holds no Renderlift frames"):
        Recorder(tmp_path)
    assert (tmp_path / "000000.mcap").read_bytes() == cut


def test_a_recorder_does_not_record_into_a_file(tmp_path):
    (tmp_path / "film").write_text("")
    with pytest.raises(RecordingError, match="cannot record into") as caught:
        Recorder(tmp_path / "film")
    assert "folder" in caught.value.fix


@pytest.mark.parametrize("claimed", [100, 1 << 30])
def test_a_bomb_is_not_unpacked(tmp_path, claimed):
    size = 1 << 30
    packer = zstandard.ZstdCompressor(level=1).compressobj(size=size)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(size >> 24)) + packer.flush()
    chunk = Chunk("zstd", bomb, 0, 0, zlib.crc32(b""), claimed)
    segment = tmp_path / "000000.mcap"
    segment.write_bytes(MCAP0_MAGIC + encoded(Header("", "renderlift")) + encoded(chunk))
    tracemalloc.start()
    try:
        assert summarize(segment).damaged_chunks == 1
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


# Memory

TEN_THOUSAND = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from conftest import frame_of
from renderlift.bridge.frame import Channel
from renderlift.bridge.record import Recorder, read_frames
def peak_mb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with Recorder(sys.argv[1]) as recorder:
    for i in range(10_000):
        recorder.write(frame_of(i, 2, 2, channels=(Channel.RGB, Channel.DEPTH)))
        recorder.flush()
        if i == 500: early_mb = peak_mb()
print(peak_mb() - early_mb)
written_mb = peak_mb()
assert sum(1 for _ in read_frames(sys.argv[1])) == 10_000
print(peak_mb() - written_mb)
"""


def test_ten_thousand_frames_take_no_more_memory_than_a_few(tmp_path):
    command = [sys.executable, "-c", TEN_THOUSAND, str(tmp_path), str(Path(__file__).parent)]
    growth_mb = [
        float(x) for x in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    ]
    assert max(growth_mb) < 25, growth_mb
