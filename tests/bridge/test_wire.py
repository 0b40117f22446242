"""docs/protocol.md, the golden files and the code must say the same; and nothing else gets in."""

import json
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderlift.bridge.errors import ChannelError, ProtocolError, VersionError
from renderlift.bridge.frame import CHANNELS, Channel
from renderlift.bridge.wire import (
    MAX_HEADER_BYTES,
    MAX_TABLE_HEADER_BYTES,
    BridgeMessage,
    EngineMessage,
    FrameHeader,
    Heartbeat,
    Hello,
    channel_rows,
    check_frame,
    check_hello,
    decode_from_bridge,
    decode_from_engine,
    encode,
)

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
FROM_ENGINE = ["hello", "ring", "frame_parts", "frame_slot", "names", "heartbeat", "error", "bye"]
FROM_BRIDGE = ["welcome", "ring_ready", "ack", "nack", "result", "heartbeat", "error", "bye"]
ALL_CHANNELS = frozenset(Channel)


def meaning(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.msgpack").read_bytes()


def changed(name: str, **values: object) -> bytes:
    """A golden message with other values, packed by the independent encoder."""
    return msgpack.packb(meaning(name) | values)


@pytest.mark.parametrize("name", sorted({*FROM_ENGINE, *FROM_BRIDGE}))
def test_golden_bytes_mean_what_stands_beside_them(name: str) -> None:
    assert msgpack.unpackb(golden(name)) == meaning(name)


@pytest.mark.parametrize("name", FROM_ENGINE)
def test_an_engines_golden_bytes_are_read_and_written_again_unchanged(name: str) -> None:
    message = decode_from_engine(golden(name))
    assert json.loads(msgspec.json.encode(message)) == meaning(name)
    assert encode(message) == golden(name)


@pytest.mark.parametrize("name", FROM_BRIDGE)
def test_the_bridges_golden_bytes_are_read_and_written_again_unchanged(name: str) -> None:
    message = decode_from_bridge(golden(name))
    assert json.loads(msgspec.json.encode(message)) == meaning(name)
    assert encode(message) == golden(name)


def test_the_protocol_page_names_every_message_and_every_field() -> None:
    page = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    for message in (*EngineMessage.__args__, *BridgeMessage.__args__):
        info: Any = msgspec.inspect.type_info(message)
        assert f"`{info.tag}`" in page
        missing = [field.encode_name for field in info.fields if f"`{field.encode_name}`" not in page]
        assert not missing, f"{info.tag}: {missing} not in docs/protocol.md"


def test_keys_of_the_future_are_ignored() -> None:
    assert decode_from_engine(changed("heartbeat", mood="good")) == Heartbeat()


@pytest.mark.parametrize("name", ["hello", "welcome"])
def test_another_version_is_named_even_when_nothing_else_can_be_read(name: str) -> None:
    decode = decode_from_engine if name == "hello" else decode_from_bridge
    for part in (changed(name, version=2), msgpack.packb({"type": name, "version": 2, "engine": 7})):
        with pytest.raises(VersionError, match="speaks protocol version 2, this side speaks 1"):
            decode(part)


@pytest.mark.parametrize(
    "values",
    [
        {"type": "nonsense"},
        {"session": ""},
        {"session": "s" * 65},
        {"index": -1},
        {"index": 2**63},
        {"index": "300"},
        {"world_from_camera": [1.0] * 15},
        {"world_from_camera": [1.0] * 1_000_000},
        {"buffers": []},
        {"buffers": [meaning("frame_parts")["buffers"][0]] * 33},
        {"slot": {"ring": "r", "slot": -1, "sequence": 2}},
    ],
)
def test_values_outside_their_limits_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        decode_from_engine(changed("frame_parts", **values))


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"\x81",
        b"\xdf\xff\xff\xff\xff",  # a map of four billion entries
        b"\x81\xa4type\xdb\xff\xff\xff\xff",  # a string of four gigabytes
        b"\x91" * 100_000,
        b"\x82\xa4type\xa9heartbeat\xa1x" + b"\x91" * 100_000 + b"\x90",
        b"\x81\xa4type\xa2\xff\xfe",  # no UTF-8
        b"\x81\xa4type\xc4\x09heartbeat",  # bytes for a string
    ],
)
def test_bombs_and_fragments_are_refused(part: bytes) -> None:
    for decode in (decode_from_engine, decode_from_bridge):
        with pytest.raises(ProtocolError):
            decode(part)


def test_an_oversized_header_is_refused_before_it_is_believed() -> None:
    huge_table = changed("names", names=[{"id": 1, "name": "n", "class_name": "c", "path": ""}] * 65_537)
    for part in (
        bytes(MAX_TABLE_HEADER_BYTES + 1),
        huge_table,
        changed("frame_parts", padding="x" * MAX_HEADER_BYTES),
    ):
        with pytest.raises(ProtocolError):
            decode_from_engine(part)


def test_a_channel_the_table_lacks_is_left_out_and_the_others_are_accepted() -> None:
    rows = [*meaning("hello")["channels"], {"name": "smell", "dtype": "uint8", "components": 1, "unit": "?"}]
    hello = decode_from_engine(changed("hello", channels=rows))
    assert isinstance(hello, Hello)
    assert check_hello(hello) == {Channel.RGB, Channel.DEPTH}


@pytest.mark.parametrize("wrong", [{"unit": "cm"}, {"dtype": "uint16"}, {"components": 3}])
def test_a_known_channel_in_another_unit_or_type_is_refused(wrong: dict[str, object]) -> None:
    depth = meaning("hello")["channels"][1] | wrong
    hello = decode_from_engine(changed("hello", channels=[depth]))
    assert isinstance(hello, Hello)
    with pytest.raises(ProtocolError, match=r"depth .* the table wants float32 x 1 in 'm'") as caught:
        check_hello(hello)
    assert caught.value.code == "channel_mismatch"


def test_our_own_channel_rows_are_accepted() -> None:
    hello = msgspec.structs.replace(decode_from_engine(golden("hello")), channels=channel_rows(CHANNELS))
    assert isinstance(hello, Hello)
    assert check_hello(hello) == ALL_CHANNELS


def frame_with(*, buffers: list[dict[str, Any]] | None = None, **values: object) -> FrameHeader:
    rows = meaning("frame_parts")["buffers"] if buffers is None else buffers
    header = decode_from_engine(changed("frame_parts", buffers=rows, **values))
    assert isinstance(header, FrameHeader)
    return header


def test_a_good_frame_gives_its_pose() -> None:
    pose = check_frame(frame_with(), ALL_CHANNELS)
    np.testing.assert_array_equal(pose.world_from_camera[:3, 3], [2.5, -3.0, 1.75])
    np.testing.assert_array_equal(pose.image_from_camera[0], [1.5, 0.0, 1.5])


RGB, DEPTH = meaning("frame_parts")["buffers"]


@pytest.mark.parametrize(
    ("buffers", "code"),
    [
        ([RGB, DEPTH | {"channel": "smell"}], "unknown_channel"),
        ([RGB, DEPTH | {"channel": "flow"}], "unknown_channel"),  # known, but not agreed on
        ([RGB, RGB], "malformed"),
        ([DEPTH], "channel_mismatch"),  # no rgb
        ([RGB, DEPTH | {"shape": [3, 2, 1]}], "channel_mismatch"),
        ([RGB, DEPTH | {"shape": [2, 3, 2]}], "channel_mismatch"),
        ([RGB, DEPTH | {"dtype": "float64"}], "channel_mismatch"),
        ([RGB | {"dtype": "object"}], "channel_mismatch"),
        ([RGB | {"shape": [0, 3, 3]}], "too_large"),
        ([RGB | {"shape": [-2, -3, 3]}], "too_large"),
        ([RGB | {"shape": [16_385, 3, 3]}], "too_large"),
        ([RGB | {"shape": [16_384, 16_384, 3]}], "too_large"),
        ([RGB | {"shape": [2**62, 2**62, 3]}], "too_large"),
        ([RGB | {"checksum": None}], "malformed"),
        ([RGB | {"offset": 0}], "malformed"),
    ],
)
def test_buffers_that_break_the_channel_table_are_refused(buffers: list[dict[str, Any]], code: str) -> None:
    header = frame_with(buffers=buffers)
    with pytest.raises(ProtocolError) as caught:
        check_frame(header, frozenset({Channel.RGB, Channel.DEPTH}))
    assert caught.value.code == code


def test_offsets_in_a_slot_are_aligned() -> None:
    slot = meaning("frame_slot")["slot"]
    header = frame_with(buffers=[RGB | {"offset": 8}], slot=slot)
    with pytest.raises(ProtocolError, match="multiple of 64"):
        check_frame(header, ALL_CHANNELS)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_pose_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ChannelError, match="world_from_camera must be a finite"):
        check_frame(frame_with(world_from_camera=[bad] * 16), ALL_CHANNELS)


def read_as_either_side(part: bytes) -> None:
    """Whatever comes, only the errors of our own tree may come out."""
    for decode in (decode_from_engine, decode_from_bridge):
        try:
            message = decode(part)
            if isinstance(message, Hello):
                check_hello(message)
            if isinstance(message, FrameHeader):
                check_frame(message, ALL_CHANNELS)
        except (ProtocolError, ChannelError) as error:
            assert error.message


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_in_an_orderly_way(part: bytes) -> None:
    read_as_either_side(part)


@settings(max_examples=600, deadline=None)
@given(
    name=st.sampled_from(sorted({*FROM_ENGINE, *FROM_BRIDGE})),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    end=st.integers(0, 10_000),
)
def test_mutated_and_truncated_messages_are_refused_or_still_valid(
    name: str, changes: list[tuple[int, int]], end: int
) -> None:
    part = bytearray(golden(name))
    for place, value in changes:
        part[place % len(part)] = value
    read_as_either_side(bytes(part[: end % (2 * len(part))]))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=80) | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=10,
)


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_any_value_in_any_field_is_refused_or_valid(data: st.DataObject) -> None:
    message = meaning(
        data.draw(st.sampled_from(["hello", "frame_parts", "frame_slot", "welcome", "result", "bye"]))
    )
    place: Any = message
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(ANYTHING)
    read_as_either_side(msgpack.packb(message))
