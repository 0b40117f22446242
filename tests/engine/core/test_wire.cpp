// The core writes the golden bytes of an engine, and reads those of the bridge.
#include "wire.h"

#include "check.h"
#include "golden.h"
#include "host.h"
#include "msgpack.h"

using namespace renderlift;
using namespace renderlift::wire;

namespace {

std::string golden_session() {
  std::string text;
  while (text.size() < 32) text += "0f";
  return text;
}

std::vector<IdName> golden_names() {
  return {{1, "cup_01", "cup", "room/table/cup_01"}, {4294967295u, "Grüße", "sign", ""}};
}

FrameHeader golden_frame(const std::string& session_name) {
  FrameHeader frame;
  frame.session = session_name;
  frame.camera = "main";
  frame.index = 300;
  frame.previous = 299;
  frame.dropped = 2;
  frame.engine_time_ns = 12500000000;
  frame.capture_time_ns = 1790000000123456789;
  frame.pose.world_from_camera = {1, 0, 0, 2.5, 0, 0, 1, -3, 0, -1, 0, 1.75, 0, 0, 0, 1};
  frame.pose.image_from_camera = {1.5, 0, 1.5, 0, 1.5, 1, 0, 0, 1};
  frame.buffers = {{Channel::rgb, DType::uint8, 2, 3, 3, {}, {}}, {Channel::depth, DType::float32, 2, 3, 1, {}, {}}};
  return frame;
}

Result<BridgeMessage> decoded(const Bytes& bytes) { return decode_from_bridge(bytes.data(), bytes.size()); }

template <class Message>
Message read(const std::string& name) {
  const auto message = decoded(golden(name + ".msgpack"));
  CHECK(message.ok());
  const Message* wanted = message ? std::get_if<Message>(&message.value()) : nullptr;
  CHECK(wanted != nullptr);
  return wanted ? *wanted : Message{};
}

}  // namespace

TEST(hello_is_written_as_in_the_golden_file) {
  Hello hello;
  hello.engine = "panda3d";
  hello.engine_version = "1.10.15";
  hello.session = golden_session();
  hello.instance = "a1b2c3d4e5f60718";
  hello.mode = Mode::capture;
  hello.host = "00112233445566778899aabbccddeeff";
  hello.shared_memory = true;
  hello.channels = {Channel::rgb, Channel::depth};
  hello.cameras = {{"main", -1}, {"left", 41}};
  hello.names = golden_names();
  CHECK(encode(hello) == golden("hello.msgpack"));
}

TEST(a_frame_in_parts_is_written_as_in_the_golden_file) {
  const std::string name = golden_session();
  FrameHeader frame = golden_frame(name);
  for (std::size_t i = 0; i < 2; ++i) {
    const Bytes part = golden("frame_parts." + std::to_string(i + 1) + ".bin");
    frame.buffers[i].checksum = host::checksum(part.data(), part.size());
  }
  CHECK(encode(frame) == golden("frame_parts.msgpack"));
}

TEST(a_frame_in_a_slot_is_written_as_in_the_golden_file) {
  const std::string name = golden_session();
  FrameHeader frame = golden_frame(name);
  frame.slot = Slot{"renderlift-0123456789abcdef", 1, 4};
  frame.buffers[0].offset = 0;
  frame.buffers[1].offset = 64;
  CHECK(encode(frame) == golden("frame_slot.msgpack"));
}

TEST(the_other_messages_of_an_engine_are_written_as_in_the_golden_files) {
  CHECK(encode(RingOffer{"renderlift-0123456789abcdef", 2, 4096, 18364758544493064720u}) == golden("ring.msgpack"));
  CHECK(encode_names(golden_names()) == golden("names.msgpack"));
  CHECK(encode_heartbeat() == golden("heartbeat.msgpack"));
  CHECK(encode_bye({{"main", 300, 2}}) == golden("bye.msgpack"));
  CHECK(encode_error("version", "the peer speaks protocol version 2, this side speaks 1",
                     "Install the same renderlift release in the engine and at the bridge.") == golden("error.msgpack"));
}

TEST(the_golden_messages_of_the_bridge_are_read) {
  const auto welcome = read<Welcome>("welcome");
  CHECK(welcome.bridge == "0.1.0" && welcome.host == "00112233445566778899aabbccddeeff" && welcome.shared_memory);
  CHECK(welcome.channels == (std::vector<std::string>{"depth", "rgb"}) && welcome.credits == 8);
  CHECK(welcome.cameras.size() == 2 && welcome.cameras[0].index == -1 && welcome.cameras[1].index == 70000);
  const auto ready = read<RingReady>("ring_ready");
  CHECK(ready.name == "renderlift-0123456789abcdef" && !ready.opened && !ready.problem.empty());
  const auto ack = read<Ack>("ack");
  CHECK(ack.camera == "main" && ack.index == 300 && ack.credits == 8);
  const auto nack = read<Nack>("nack");
  CHECK(nack.index == 302 && nack.after == 300 && nack.reason == "corrupt");
  const auto result = read<ResultHeader>("result");
  CHECK(result.height == 2 && result.width == 3 && result.timings_ms.at("render") == 240.25);
  const Bytes picture = golden("result.1.bin");
  CHECK(host::checksum(picture.data(), picture.size()) == result.checksum);
  CHECK(read<ErrorMessage>("error").code == "version");
  read<Heartbeat>("heartbeat");
  read<Bye>("bye");
}

namespace {

// A message of string keys and integer or string values.
struct Pair {
  const char* key;
  const char* text;  // or, if null, the number
  std::int64_t number;
};

Bytes message(std::initializer_list<Pair> pairs) {
  msgpack::Writer writer;
  writer.map(pairs.size());
  for (const Pair& pair : pairs) {
    writer.string(pair.key);
    if (pair.text != nullptr) writer.string(pair.text);
    else writer.integer(pair.number);
  }
  return writer.bytes;
}

bool is_refused(const Bytes& bytes) { return !decoded(bytes).ok(); }

}  // namespace

TEST(keys_may_come_in_any_order_and_unknown_ones_are_ignored) {
  const auto ack = decoded(message({{"credits", nullptr, 3},
                                    {"mood", "good", 0},
                                    {"index", nullptr, 7},
                                    {"camera", "main", 0},
                                    {"type", "ack", 0}}));
  CHECK(ack.ok() && std::get_if<Ack>(&ack.value())->index == 7);
}

TEST(values_outside_their_limits_are_refused) {
  const auto ack = [](const char* camera, std::int64_t index, std::int64_t credits) {
    return message({{"type", "ack", 0}, {"camera", camera, 0}, {"index", nullptr, index}, {"credits", nullptr, credits}});
  };
  CHECK(!is_refused(ack("main", 0, 1)));
  CHECK(is_refused(ack("", 0, 1)));
  CHECK(is_refused(ack(std::string(65, 'c').c_str(), 0, 1)));
  CHECK(is_refused(ack("main", -1, 1)));
  CHECK(is_refused(ack("main", 0, 0)));
  CHECK(is_refused(ack("main", 0, std::int64_t{1} << 32)));
  CHECK(is_refused(message({{"type", "ack", 0}, {"camera", "main", 0}, {"index", nullptr, 0}})));
  CHECK(is_refused(message({{"type", "nonsense", 0}})));
  Bytes trailing = golden("heartbeat.msgpack");
  trailing.push_back(0);
  CHECK(is_refused(trailing));
  CHECK(is_refused(Bytes(wire::max_header_bytes + 1, 0xc0)));
}

TEST(every_truncation_of_a_bridges_message_is_refused) {
  for (const char* name : {"welcome", "ring_ready", "ack", "nack", "result", "error", "bye", "heartbeat"}) {
    Bytes bytes = golden(std::string(name) + ".msgpack");
    while (!bytes.empty()) {
      bytes.pop_back();
      CHECK(is_refused(bytes));
    }
  }
}

TEST(another_version_is_named_even_when_nothing_else_can_be_read) {
  const auto welcome = decoded(message({{"type", "welcome", 0}, {"version", nullptr, 2}, {"bridge", nullptr, 7}}));
  CHECK(!welcome.ok() && welcome.error().kind == ErrorKind::refused);
  CHECK(welcome.error().what.find("protocol version 2") != std::string::npos);
}
