// The messages of docs/protocol.md as an engine sees them: what it writes, and what it reads from the bridge.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "renderlift/frame.h"
#include "renderlift/publisher.h"

namespace renderlift::wire {

inline constexpr std::uint32_t protocol_version = 1;
inline constexpr std::size_t max_name_characters = 64;
inline constexpr std::size_t max_text_characters = 1024;
inline constexpr std::size_t max_cameras = 64;
inline constexpr std::size_t max_channels = 32;
inline constexpr std::size_t max_id_rows = 65536;
inline constexpr std::size_t max_timings = 16;
inline constexpr std::size_t max_header_bytes = 64 << 10;
inline constexpr std::size_t max_table_header_bytes = 16 << 20;  // hello and names carry the id table
inline constexpr std::size_t max_part_bytes = 256 << 20;
inline constexpr std::size_t max_frame_bytes = std::size_t{1} << 30;
inline constexpr std::uint32_t max_side = 16384;
inline constexpr std::size_t slot_alignment = 64;

using Bytes = std::vector<std::uint8_t>;

// Engine to bridge

struct CameraRow {
  std::string name;
  std::int64_t acknowledged = -1;
};

struct Hello {
  std::uint32_t version = protocol_version;
  std::string engine, engine_version, session, instance;
  Mode mode = Mode::preview;
  std::string host;
  bool shared_memory = false;
  std::vector<Channel> channels;
  std::vector<CameraRow> cameras;
  std::vector<IdName> names;
};

struct RingOffer {
  std::string name;
  std::uint32_t slots = 0;
  std::uint64_t slot_bytes = 0;
  std::uint64_t token = 0;
};

struct Slot {
  std::string ring;
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
};

struct BufferRow {
  Channel channel = Channel::rgb;
  DType dtype = DType::uint8;
  std::uint32_t height = 0, width = 0, components = 0;
  std::optional<std::uint64_t> checksum;  // of pixels in a part
  std::optional<std::uint64_t> offset;    // of pixels in a slot
};

struct FrameHeader {
  std::string_view session, camera;
  std::int64_t index = 0, previous = -1;
  std::uint64_t dropped = 0;
  std::int64_t engine_time_ns = 0, capture_time_ns = 0;
  CameraPose pose;
  std::optional<Slot> slot;
  std::vector<BufferRow> buffers;
};

struct EndRow {
  std::string name;
  std::int64_t index = -1;
  std::uint64_t dropped = 0;
};

Bytes encode(const Hello& hello);
Bytes encode(const RingOffer& ring);
Bytes encode(const FrameHeader& frame);
Bytes encode_names(const std::vector<IdName>& names);
Bytes encode_heartbeat();
Bytes encode_error(std::string_view code, std::string_view message, std::string_view fix);
Bytes encode_bye(const std::vector<EndRow>& cameras);

// Bridge to engine

struct Settled {
  std::string name;
  std::int64_t index = -1;
};

struct Welcome {
  std::string bridge, host;
  bool shared_memory = false;
  std::vector<std::string> channels;
  std::uint32_t credits = 1;
  std::vector<Settled> cameras;
};

struct RingReady {
  std::string name;
  bool opened = false;
  std::string problem;
};

struct Ack {
  std::string camera;
  std::int64_t index = 0;
  std::uint32_t credits = 1;
};

struct Nack {
  std::string camera;
  std::int64_t index = 0, after = -1;
  std::string reason;
};

struct ResultHeader {
  std::string session, camera;
  std::int64_t index = 0;
  std::uint32_t height = 0, width = 0;
  std::uint64_t checksum = 0;
  std::map<std::string, double> timings_ms;
};

struct Heartbeat {};

struct ErrorMessage {
  std::string code, message, fix;
};

struct Bye {};

using BridgeMessage = std::variant<Welcome, RingReady, Ack, Nack, ResultHeader, Heartbeat, ErrorMessage, Bye>;

// What the bridge said. Fails with `refused` where it speaks another protocol version, else with `transport`.
Result<BridgeMessage> decode_from_bridge(const std::uint8_t* data, std::size_t size);

// Whether a name or text may travel: UTF-8, and not too long (a name: not empty either).
bool is_name(std::string_view text);
bool is_text(std::string_view text);

}  // namespace renderlift::wire
