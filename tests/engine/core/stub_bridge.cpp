#include "stub_bridge.h"

#include <chrono>
#include <thread>

#include <zmq.h>

#include "host.h"
#include "msgpack.h"

using renderlift::msgpack::Kind;
using renderlift::msgpack::Reader;
using renderlift::msgpack::Writer;

namespace {

Writer message(const char* type, std::size_t keys) {
  Writer writer;
  writer.map(keys + 1);
  writer.string("type");
  writer.string(type);
  return writer;
}

std::string text(Reader& reader) { return std::string(reader.string(0, 4096)); }
std::int64_t number(Reader& reader) { return reader.integer(INT64_MIN, INT64_MAX); }

// The texts under `key` of a list of maps, and the last integer under `index_key`.
void read_rows(Reader& reader, const char* key, std::vector<std::string>& texts, std::int64_t& last) {
  for (std::size_t rows = reader.array(70000); rows > 0; --rows) {
    for (std::size_t keys = reader.map(64); keys > 0; --keys) {
      const std::string name = text(reader);
      if (name == key) texts.push_back(text(reader));
      else if (name == "acknowledged" || name == "index") last = number(reader);
      else reader.skip();
    }
  }
}

FromEngine read(const Bytes& header) {
  FromEngine out;
  Reader reader(header.data(), header.size());
  std::vector<std::string> cameras;
  for (std::size_t keys = reader.map(64); keys > 0; --keys) {
    const std::string key = text(reader);
    if (key == "type") out.type = text(reader);
    else if (key == "session") out.session = text(reader);
    else if (key == "camera") out.camera = text(reader);
    else if (key == "name") out.name = text(reader);
    else if (key == "index") out.index = number(reader);
    else if (key == "previous") out.previous = number(reader);
    else if (key == "dropped") out.dropped = number(reader);
    else if (key == "slots") out.slots = number(reader);
    else if (key == "slot_bytes") out.slot_bytes = number(reader);
    else if (key == "buffers") read_rows(reader, "channel", out.channels, out.acknowledged);
    else if (key == "cameras") read_rows(reader, "name", cameras, out.acknowledged);
    else if (key == "slot") {
      out.in_slot = reader.kind() == Kind::map;
      reader.skip();
    } else reader.skip();
  }
  return out;
}

}  // namespace

StubBridge::StubBridge(const std::string& endpoint) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_ROUTER)) {
  const int none = 0;
  zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
  // A port that a bridge has just left may be busy for a moment.
  for (int attempt = 0; zmq_bind(socket_, endpoint.c_str()) != 0 && attempt < 100; ++attempt)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  char bound[256];
  std::size_t size = sizeof bound;
  zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, bound, &size);
  endpoint_ = bound;
}

StubBridge::~StubBridge() {
  zmq_close(socket_);
  zmq_ctx_term(context_);
}

std::optional<FromEngine> StubBridge::receive(const std::string& type, int timeout_ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    zmq_pollitem_t item{socket_, 0, ZMQ_POLLIN, 0};
    if (left.count() <= 0 || zmq_poll(&item, 1, static_cast<long>(left.count())) <= 0) return std::nullopt;
    std::vector<Bytes> parts;
    int more = 1;
    while (more) {
      zmq_msg_t part;
      zmq_msg_init(&part);
      zmq_msg_recv(&part, socket_, 0);
      const auto* data = static_cast<const std::uint8_t*>(zmq_msg_data(&part));
      parts.emplace_back(data, data + zmq_msg_size(&part));
      more = zmq_msg_more(&part);
      zmq_msg_close(&part);
    }
    peer_ = parts[0];
    FromEngine out = read(parts[1]);
    if (out.type == "heartbeat" || (!type.empty() && out.type != type)) continue;
    out.parts.assign(parts.begin() + 2, parts.end());
    return out;
  }
}

bool StubBridge::hears_nothing(int for_ms) { return !receive("", for_ms).has_value(); }

void StubBridge::raw(const Bytes& header, const std::vector<Bytes>& parts) {
  zmq_send(socket_, peer_.data(), peer_.size(), ZMQ_SNDMORE);
  zmq_send(socket_, header.data(), header.size(), parts.empty() ? 0 : ZMQ_SNDMORE);
  for (std::size_t i = 0; i < parts.size(); ++i)
    zmq_send(socket_, parts[i].data(), parts[i].size(), i + 1 < parts.size() ? ZMQ_SNDMORE : 0);
}

void StubBridge::welcome(std::uint32_t credits, std::int64_t settled, const std::string& host,
                         const std::vector<std::string>& channels, std::uint32_t version) {
  Writer out = message("welcome", 7);
  out.string("version"), out.integer(version);
  out.string("bridge"), out.string("stub");
  out.string("host"), out.string(host);
  out.string("shared_memory"), out.boolean(!host.empty());
  out.string("channels"), out.array(channels.size());
  for (const std::string& channel : channels) out.string(channel);
  out.string("credits"), out.integer(credits);
  out.string("cameras"), out.array(1);
  out.map(2);
  out.string("name"), out.string("main");
  out.string("index"), out.integer(settled);
  raw(out.bytes);
}

void StubBridge::ring_ready(const std::string& name, bool opened) {
  Writer out = message("ring_ready", 3);
  out.string("name"), out.string(name);
  out.string("opened"), out.boolean(opened);
  out.string("problem"), out.string(opened ? "" : "not today");
  raw(out.bytes);
}

void StubBridge::ack(std::int64_t index, std::uint32_t credits, const std::string& camera) {
  Writer out = message("ack", 3);
  out.string("camera"), out.string(camera);
  out.string("index"), out.integer(index);
  out.string("credits"), out.integer(credits);
  raw(out.bytes);
}

void StubBridge::nack(std::int64_t index, std::int64_t after) {
  Writer out = message("nack", 4);
  out.string("camera"), out.string("main");
  out.string("index"), out.integer(index);
  out.string("after"), out.integer(after);
  out.string("reason"), out.string("corrupt");
  raw(out.bytes);
}

void StubBridge::result(const std::string& session, std::int64_t index, std::uint32_t width, std::uint32_t height,
                        const Bytes& picture, const std::string& camera) {
  Writer out = message("result", 6);
  out.string("session"), out.string(session);
  out.string("camera"), out.string(camera);
  out.string("index"), out.integer(index);
  out.string("shape"), out.array(3);
  for (std::uint32_t side : {height, width, 3u}) out.integer(side);
  out.string("checksum"), out.integer(renderlift::host::checksum(picture.data(), picture.size()));
  out.string("timings"), out.map(1);
  out.string("render"), out.real(12.5);
  raw(out.bytes, {picture});
}

void StubBridge::error(const std::string& code, const std::string& what) {
  Writer out = message("error", 3);
  out.string("code"), out.string(code);
  out.string("message"), out.string(what);
  out.string("fix"), out.string("Do something.");
  raw(out.bytes);
}

void StubBridge::bye() {
  Writer out = message("bye", 1);
  out.string("cameras"), out.array(0);
  raw(out.bytes);
}

bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 1000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return holds();
}
