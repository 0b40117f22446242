// The connection, alone on its thread: one socket after another to the same endpoint.
//
// What it shares with the Publisher are the Books. docs/protocol.md is the authority on the bytes.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "books.h"
#include "shared_ring.h"
#include "wire.h"

namespace renderlift {

// Closes itself; moved, never shared between threads without a lock.
struct ZmqClose {
  void operator()(void* socket) const;
};
using ZmqSocket = std::unique_ptr<void, ZmqClose>;

// Wakes the dialer; a ZeroMQ socket must not be touched from two threads at once.
//
// Waking a thread may cost the one that wakes it its processor. So while an engine publishes in preview, the dialer
// looks every few milliseconds by itself, and publish() rings only where it is `asleep`.
class Doorbell {
 public:
  bool open(void* context);
  void ring();
  std::atomic<bool> asleep{true};
  void* inside() const { return inside_.get(); }
  void answer();  // dialer's thread: forget all rings so far
  void close_inside() { inside_.reset(); }

 private:
  ZmqSocket inside_, outside_;
  std::mutex outside_mutex_;
  std::atomic<bool> rung_{false};
};

class Dialer {
 public:
  Dialer(void* context, Books& books, Doorbell& doorbell, wire::Hello hello, std::optional<CurveKeys> curve);

  Result<void> open_socket();
  void run();  // until Books::close_by and what then is left to do

 private:

  void turn();
  long poll_time_ms();
  void reconnect(Clock::time_point now);
  void close_socket(int linger_ms);
  void disconnected(std::string problem, std::optional<Error> refusal = std::nullopt);
  void refused(Error refusal);
  void watch_monitor();

  void receive_all();
  void take_any(const wire::BridgeMessage& message, const void* picture, std::size_t picture_bytes);
  void take(const wire::Welcome& welcome);
  void take(const wire::RingReady& ready);
  void take(const wire::Ack& ack);
  void take(const wire::Nack& nack);
  void take(const wire::ErrorMessage& error);
  void take(const wire::ResultHeader& header, const void* picture, std::size_t picture_bytes);

  void send(const wire::Bytes& header, const std::shared_ptr<const PackedFrame>& frame = nullptr,
            const std::vector<PackedBuffer>& parts = {});
  void say_what_is_due(Clock::time_point now);
  void say_hello();
  bool send_next(Outbox& outbox);
  void send_frame(const Outbox& outbox, const Outgoing& outgoing, std::uint64_t dropped,
                  std::optional<std::uint32_t> slot);
  void make_ring(std::size_t slot_bytes);
  void close_ring();
  bool fits_ring(const PackedFrame& frame) const;

  bool is_done();
  void say_goodbye();

  void* const context_;
  Books& books_;
  Doorbell& doorbell_;
  wire::Hello hello_;
  const std::optional<CurveKeys> curve_;

  ZmqSocket socket_, monitor_;
  std::unique_ptr<RingWriter> ring_;
  bool ring_allowed_ = false, ring_ready_ = false;
  bool waits_for_slot_ = false;
  bool lost_ = false;
  bool welcomed_ = false;  // this thread's copy of Books::welcomed
  std::vector<Channel> accepted_;
  Clock::time_point opened_at_{}, heard_at_{}, sent_at_{}, hello_due_{};
};

}  // namespace renderlift
