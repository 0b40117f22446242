// A bridge that does only what a test tells it to.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

using Bytes = std::vector<std::uint8_t>;

// A message of an engine, with what tests ask of it.
struct FromEngine {
  std::string type, session, camera, name;
  std::int64_t index = -1, previous = -1, dropped = -1, acknowledged = -1;
  std::int64_t slots = 0, slot_bytes = 0;
  std::vector<std::string> channels;  // of a frame's buffers
  std::vector<Bytes> parts;
  bool in_slot = false;
};

class StubBridge {
 public:
  explicit StubBridge(const std::string& endpoint = "tcp://127.0.0.1:*");
  ~StubBridge();
  StubBridge(const StubBridge&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  // The next message that is no heartbeat, or, given a type, the next of that type.
  std::optional<FromEngine> receive(const std::string& type = "", int timeout_ms = 5000);
  bool hears_nothing(int for_ms);

  void welcome(std::uint32_t credits, std::int64_t settled = -1, const std::string& host = "",
               const std::vector<std::string>& channels = {"rgb", "depth"}, std::uint32_t version = 1);
  void ring_ready(const std::string& name, bool opened);
  void ack(std::int64_t index, std::uint32_t credits, const std::string& camera = "main");
  void nack(std::int64_t index, std::int64_t after);
  void result(const std::string& session, std::int64_t index, std::uint32_t width, std::uint32_t height,
              const Bytes& picture, const std::string& camera = "main");
  void error(const std::string& code, const std::string& message);
  void bye();
  void raw(const Bytes& header, const std::vector<Bytes>& parts = {});

 private:
  void* context_;
  void* socket_;
  std::string endpoint_;
  Bytes peer_;
};

// Waits until `holds`, at most five seconds.
bool eventually(const std::function<bool()>& holds);
