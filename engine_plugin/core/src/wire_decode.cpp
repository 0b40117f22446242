// What the bridge says, read tolerantly in form (any order of keys, unknown keys) and strictly in values.
#include <cmath>
#include <initializer_list>

#include "msgpack.h"
#include "wire.h"

namespace renderlift::wire {

namespace {

using msgpack::Reader;

constexpr std::size_t max_keys = 256;  // unknown ones included

// Reads a map: calls `take(i)` where the value of keys[i] comes next, skips values of other keys. Each key must be
// there; one that comes twice counts as it came last.
template <class Take>
void read_map(Reader& reader, std::initializer_list<std::string_view> keys, Take take) {
  std::uint32_t missing = (1u << keys.size()) - 1;
  for (std::size_t left = reader.map(max_keys); left > 0 && !reader.failed(); --left) {
    const std::string_view key = reader.string(0, max_text_characters);
    std::size_t index = 0;
    while (index < keys.size() && keys.begin()[index] != key) ++index;
    if (index == keys.size()) {
      reader.skip();
    } else {
      missing &= ~(1u << index);
      take(index);
    }
  }
  for (std::size_t index = 0; index < keys.size(); ++index)
    if (missing & 1u << index) reader.fail("'" + std::string(keys.begin()[index]) + "' is missing");
}

std::string name(Reader& reader) { return std::string(reader.string(1, max_name_characters)); }
std::string text(Reader& reader) { return std::string(reader.string(0, max_text_characters)); }
std::int64_t index_or_none(Reader& reader) { return reader.integer(-1, INT64_MAX); }
std::int64_t u63(Reader& reader) { return reader.integer(0, INT64_MAX); }
std::uint32_t credits(Reader& reader) { return static_cast<std::uint32_t>(reader.integer(1, UINT32_MAX)); }

Settled read_settled(Reader& reader) {
  Settled row;
  read_map(reader, {"name", "index"}, [&](std::size_t key) {
    if (key == 0) row.name = name(reader);
    else row.index = index_or_none(reader);
  });
  return row;
}

Welcome read_welcome(Reader& reader) {
  Welcome welcome;
  const auto take = [&](std::size_t key) {
    switch (key) {
      case 0: reader.integer(protocol_version, protocol_version); break;
      case 1: welcome.bridge = text(reader); break;
      case 2: welcome.host = text(reader); break;
      case 3: welcome.shared_memory = reader.boolean(); break;
      case 4:
        welcome.channels.clear();
        for (std::size_t n = reader.array(max_channels); n > 0; --n) welcome.channels.push_back(name(reader));
        break;
      case 5: welcome.credits = credits(reader); break;
      case 6:
        welcome.cameras.clear();
        for (std::size_t n = reader.array(max_cameras); n > 0; --n) welcome.cameras.push_back(read_settled(reader));
        break;
    }
  };
  read_map(reader, {"version", "bridge", "host", "shared_memory", "channels", "credits", "cameras"}, take);
  return welcome;
}

RingReady read_ring_ready(Reader& reader) {
  RingReady ready;
  read_map(reader, {"name", "opened", "problem"}, [&](std::size_t key) {
    if (key == 0) ready.name = name(reader);
    else if (key == 1) ready.opened = reader.boolean();
    else ready.problem = text(reader);
  });
  return ready;
}

Ack read_ack(Reader& reader) {
  Ack ack;
  read_map(reader, {"camera", "index", "credits"}, [&](std::size_t key) {
    if (key == 0) ack.camera = name(reader);
    else if (key == 1) ack.index = u63(reader);
    else ack.credits = credits(reader);
  });
  return ack;
}

Nack read_nack(Reader& reader) {
  Nack nack;
  read_map(reader, {"camera", "index", "after", "reason"}, [&](std::size_t key) {
    if (key == 0) nack.camera = name(reader);
    else if (key == 1) nack.index = u63(reader);
    else if (key == 2) nack.after = index_or_none(reader);
    else nack.reason = name(reader);
  });
  for (const char* known : {"corrupt", "overwritten", "gap", "busy"})
    if (nack.reason == known) return nack;
  reader.fail("'" + nack.reason + "' is no reason for a nack");
  return nack;
}

void read_shape(Reader& reader, ResultHeader& result) {
  if (reader.array(3) != 3) reader.fail("a shape has three numbers");
  result.height = static_cast<std::uint32_t>(reader.integer(1, max_side));
  result.width = static_cast<std::uint32_t>(reader.integer(1, max_side));
  reader.integer(3, 3);
}

void read_timings(Reader& reader, ResultHeader& result) {
  result.timings_ms.clear();
  for (std::size_t left = reader.map(max_timings); left > 0; --left) {
    const std::string key = name(reader);
    const double time_ms = reader.real();
    if (!std::isfinite(time_ms)) reader.fail("a timing is not finite");
    result.timings_ms[key] = time_ms;
  }
}

ResultHeader read_result(Reader& reader) {
  ResultHeader result;
  const auto take = [&](std::size_t key) {
    switch (key) {
      case 0: result.session = name(reader); break;
      case 1: result.camera = name(reader); break;
      case 2: result.index = u63(reader); break;
      case 3: read_shape(reader, result); break;
      case 4: result.checksum = reader.unsigned_integer(UINT64_MAX); break;
      case 5: read_timings(reader, result); break;
    }
  };
  read_map(reader, {"session", "camera", "index", "shape", "checksum", "timings"}, take);
  return result;
}

ErrorMessage read_error(Reader& reader) {
  ErrorMessage error;
  read_map(reader, {"code", "message", "fix"}, [&](std::size_t key) {
    if (key == 0) error.code = name(reader);
    else if (key == 1) error.message = text(reader);
    else error.fix = text(reader);
  });
  return error;
}

Bye read_bye(Reader& reader) {
  read_map(reader, {"cameras"}, [&](std::size_t) {
    for (std::size_t n = reader.array(max_cameras); n > 0; --n) reader.skip();
  });
  return {};
}

Error unreadable(const std::string& problem) {
  return {ErrorKind::transport, "a message from the bridge cannot be read: " + problem,
          "Install the same renderlift release in the engine and at the bridge."};
}

// The `type`, wherever in the map it stands.
std::string type_of(const std::uint8_t* data, std::size_t size, std::string& problem) {
  Reader reader(data, size);
  std::string type;
  read_map(reader, {"type"}, [&](std::size_t) { type = name(reader); });
  if (!reader.failed() && !reader.at_end()) reader.fail("bytes follow after its end");
  problem = reader.problem();
  return type;
}

// The version that a welcome names, even if nothing else in it can be read; ours if it names none.
std::uint32_t version_of(const std::uint8_t* data, std::size_t size) {
  Reader reader(data, size);
  std::int64_t version = protocol_version;
  read_map(reader, {"version"}, [&](std::size_t) { version = reader.integer(0, UINT32_MAX); });
  return reader.failed() ? protocol_version : static_cast<std::uint32_t>(version);
}

}  // namespace

Result<BridgeMessage> decode_from_bridge(const std::uint8_t* data, std::size_t size) {
  if (size > max_header_bytes) return unreadable("it has " + std::to_string(size) + " bytes");
  std::string problem;
  const std::string type = type_of(data, size, problem);
  if (!problem.empty()) return unreadable(problem);
  if (const std::uint32_t version = version_of(data, size); type == "welcome" && version != protocol_version)
    return Error{ErrorKind::refused,
                 "the bridge speaks protocol version " + std::to_string(version) + ", this engine speaks " +
                     std::to_string(protocol_version),
                 "Install the same renderlift release in the engine and at the bridge."};
  Reader reader(data, size);
  BridgeMessage message;
  if (type == "welcome") message = read_welcome(reader);
  else if (type == "ring_ready") message = read_ring_ready(reader);
  else if (type == "ack") message = read_ack(reader);
  else if (type == "nack") message = read_nack(reader);
  else if (type == "result") message = read_result(reader);
  else if (type == "error") message = read_error(reader);
  else if (type == "bye") message = read_bye(reader);
  else if (type == "heartbeat") message = Heartbeat{};
  else return unreadable("no message is called '" + type + "'");
  if (reader.failed()) return unreadable(type + ": " + reader.problem());
  return message;
}

}  // namespace renderlift::wire
