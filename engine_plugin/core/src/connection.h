// One socket to the bridge after another, and what ZeroMQ tells of each. Used by the connection's thread alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <zmq.h>

#include "outbox.h"
#include "renderlift/publisher.h"
#include "wire.h"

namespace renderlift {

// Closes itself; moved, never shared between threads without a lock.
struct ZmqClose {
  void operator()(void* socket) const { zmq_close(socket); }
};
using ZmqSocket = std::unique_ptr<void, ZmqClose>;

// One part of a message, received or to be sent.
class Part {
 public:
  Part() { zmq_msg_init(&message_); }
  Part(Part&& other) noexcept : Part() { zmq_msg_move(&message_, &other.message_); }
  Part& operator=(Part&&) = delete;
  ~Part() { zmq_msg_close(&message_); }

  // Of a frame's channel, as it travels: ZeroMQ holds the frame until it is sent, unless rows have to be packed first.
  // Nothing where there is no memory.
  static std::optional<Part> of(const FramePtr& frame, const HeldChannel& channel);

  std::uint8_t* data() { return static_cast<std::uint8_t*>(zmq_msg_data(&message_)); }
  std::size_t size() { return zmq_msg_size(&message_); }
  bool receive(void* socket) { return zmq_msg_recv(&message_, socket, ZMQ_DONTWAIT) >= 0; }
  bool send(void* socket, bool more) {
    return zmq_msg_send(&message_, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0;
  }
  bool more() { return zmq_msg_more(&message_) != 0; }

 private:
  zmq_msg_t message_;
};

class Connection {
 public:
  Connection(void* context, std::string endpoint, std::optional<CurveKeys> curve);

  // An empty socket that dials, in place of the one before. Fails with `transport` or, for keys, with `invalid`.
  Result<void> open();
  void close(int linger_ms);

  // To be polled; null while closed.
  void* socket() const { return socket_.get(); }
  void* monitor() const { return monitor_.get(); }

  // The next message, without its parts but the first; false if there is none.
  bool receive(Part& header, std::optional<Part>& only_part);
  void send(const wire::Bytes& header, std::vector<Part> parts = {});

  // Reads what ZeroMQ told since the last call. What it says where keys or encryption do not fit together:
  // `refused` if the bridge has said so itself, `transport` if it has hung up in the middle of it.
  std::optional<Error> read_monitor();

  bool lost() const { return lost_; }
  void give_up() { lost_ = true; }
  Clock::time_point opened_at() const { return opened_at_; }
  Clock::time_point heard_at() const { return heard_at_; }
  Clock::time_point sent_at() const { return sent_at_; }

 private:
  bool set_keys();
  std::optional<Error> why_not_encrypted(int event, int value) const;

  void* const context_;
  const std::string endpoint_;
  const std::optional<CurveKeys> curve_;
  ZmqSocket socket_, monitor_;
  bool lost_ = false;
  Clock::time_point opened_at_{}, heard_at_{}, sent_at_{};
};

}  // namespace renderlift
