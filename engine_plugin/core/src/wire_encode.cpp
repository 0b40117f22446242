// What an engine says, written canonically: keys in the order of docs/protocol.md, none left out.
#include "msgpack.h"
#include "wire.h"

namespace renderlift::wire {

namespace {

using msgpack::Writer;

// A map that starts with its `type`; `keys` counts the others.
Writer message(std::string_view type, std::size_t keys) {
  Writer writer;
  writer.map(keys + 1);
  writer.string("type");
  writer.string(type);
  return writer;
}

void put(Writer& writer, std::string_view key, std::string_view value) {
  writer.string(key);
  writer.string(value);
}

// Without this, a string literal would turn into a bool sooner than into a string_view.
void put(Writer& writer, std::string_view key, const char* value) { put(writer, key, std::string_view(value)); }

void put(Writer& writer, std::string_view key, bool value) {
  writer.string(key);
  writer.boolean(value);
}

template <class Integer>
void put_integer(Writer& writer, std::string_view key, Integer value) {
  writer.string(key);
  writer.integer(value);
}

void put_or_nil(Writer& writer, std::string_view key, const std::optional<std::uint64_t>& value) {
  writer.string(key);
  if (value) writer.integer(*value);
  else writer.nil();
}

template <std::size_t count>
void put(Writer& writer, std::string_view key, const std::array<double, count>& numbers) {
  writer.string(key);
  writer.array(count);
  for (double number : numbers) writer.real(number);
}

void put_list(Writer& writer, std::string_view key, std::size_t count) {
  writer.string(key);
  writer.array(count);
}

void put_channels(Writer& writer, const std::vector<Channel>& channels) {
  put_list(writer, "channels", channels.size());
  for (Channel channel : channels) {
    const ChannelSpec& spec = channel_spec(channel);
    writer.map(4);
    put(writer, "name", spec.name);
    put(writer, "dtype", dtype_name(spec.dtype));
    put_integer(writer, "components", spec.components);
    put(writer, "unit", spec.unit);
  }
}

void put_id_table(Writer& writer, const std::vector<IdName>& names) {
  put_list(writer, "names", names.size());
  for (const IdName& row : names) {
    writer.map(4);
    put_integer(writer, "id", row.id);
    put(writer, "name", row.name);
    put(writer, "class_name", row.class_name);
    put(writer, "path", row.path);
  }
}

void put_slot(Writer& writer, const std::optional<Slot>& slot) {
  writer.string("slot");
  if (!slot) return writer.nil();
  writer.map(3);
  put(writer, "ring", slot->ring);
  put_integer(writer, "slot", slot->slot);
  put_integer(writer, "sequence", slot->sequence);
}

void put_buffer(Writer& writer, const BufferRow& row) {
  writer.map(5);
  put(writer, "channel", channel_spec(row.channel).name);
  put(writer, "dtype", dtype_name(row.dtype));
  put_list(writer, "shape", 3);
  for (std::uint32_t side : {row.height, row.width, row.components}) writer.integer(side);
  put_or_nil(writer, "checksum", row.checksum);
  put_or_nil(writer, "offset", row.offset);
}

}  // namespace

Bytes encode(const Hello& hello) {
  Writer writer = message("hello", 11);
  put_integer(writer, "version", hello.version);
  put(writer, "engine", hello.engine);
  put(writer, "engine_version", hello.engine_version);
  put(writer, "session", hello.session);
  put(writer, "instance", hello.instance);
  put(writer, "mode", hello.mode == Mode::capture ? "capture" : "preview");
  put(writer, "host", hello.host);
  put(writer, "shared_memory", hello.shared_memory);
  put_channels(writer, hello.channels);
  put_list(writer, "cameras", hello.cameras.size());
  for (const CameraRow& row : hello.cameras) {
    writer.map(2);
    put(writer, "name", row.name);
    put_integer(writer, "acknowledged", row.acknowledged);
  }
  put_id_table(writer, hello.names);
  return std::move(writer.bytes);
}

Bytes encode(const RingOffer& ring) {
  Writer writer = message("ring", 4);
  put(writer, "name", ring.name);
  put_integer(writer, "slots", ring.slots);
  put_integer(writer, "slot_bytes", ring.slot_bytes);
  put_integer(writer, "token", ring.token);
  return std::move(writer.bytes);
}

Bytes encode(const FrameHeader& frame) {
  Writer writer = message("frame", 11);
  put(writer, "session", frame.session);
  put(writer, "camera", frame.camera);
  put_integer(writer, "index", frame.index);
  put_integer(writer, "previous", frame.previous);
  put_integer(writer, "dropped", frame.dropped);
  put_integer(writer, "engine_time_ns", frame.engine_time_ns);
  put_integer(writer, "capture_time_ns", frame.capture_time_ns);
  put(writer, "world_from_camera", frame.pose.world_from_camera);
  put(writer, "image_from_camera", frame.pose.image_from_camera);
  put_slot(writer, frame.slot);
  put_list(writer, "buffers", frame.buffers.size());
  for (const BufferRow& row : frame.buffers) put_buffer(writer, row);
  return std::move(writer.bytes);
}

Bytes encode_names(const std::vector<IdName>& names) {
  Writer writer = message("names", 1);
  put_id_table(writer, names);
  return std::move(writer.bytes);
}

Bytes encode_heartbeat() { return std::move(message("heartbeat", 0).bytes); }

Bytes encode_error(std::string_view code, std::string_view text, std::string_view fix) {
  Writer writer = message("error", 3);
  put(writer, "code", code);
  put(writer, "message", text);
  put(writer, "fix", fix);
  return std::move(writer.bytes);
}

Bytes encode_bye(const std::vector<EndRow>& cameras) {
  Writer writer = message("bye", 1);
  put_list(writer, "cameras", cameras.size());
  for (const EndRow& row : cameras) {
    writer.map(3);
    put(writer, "name", row.name);
    put_integer(writer, "index", row.index);
    put_integer(writer, "dropped", row.dropped);
  }
  return std::move(writer.bytes);
}

bool is_name(std::string_view text) {
  const std::ptrdiff_t characters = msgpack::utf8_characters(text);
  return characters >= 1 && characters <= static_cast<std::ptrdiff_t>(max_name_characters);
}

bool is_text(std::string_view text) {
  const std::ptrdiff_t characters = msgpack::utf8_characters(text);
  return characters >= 0 && characters <= static_cast<std::ptrdiff_t>(max_text_characters);
}

}  // namespace renderlift::wire
