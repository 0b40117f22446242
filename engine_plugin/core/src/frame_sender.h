// How frames get on the wire: through a ring in shared memory where both sides have one, else as parts of the message.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "books.h"
#include "connection.h"
#include "shared_ring.h"
#include "wire.h"

namespace renderlift {

class FrameSender {
 public:
  FrameSender(Books& books, Connection& connection, std::string session)
      : books_(books), connection_(connection), session_(std::move(session)) {}

  // A bridge has welcomed this engine. It may still read from slots of the ring before: it gets a new one.
  void begin(std::vector<Channel> accepted, bool may_share_memory);
  void take(const wire::RingReady& ready);
  void close_ring();

  // Sends every frame that may go now.
  void send_ready();
  // Whether one could not, for the bridge has given back no slot yet.
  bool waits_for_slot() const { return waits_for_slot_; }

 private:
  bool send_next(Outbox& outbox);
  void send_frame(const Outbox& outbox, const Outgoing& outgoing, std::uint64_t dropped,
                  std::optional<std::uint32_t> slot);
  void make_ring(std::size_t slot_bytes);
  bool fits_ring(const HeldFrame& frame) const;

  Books& books_;
  Connection& connection_;
  const std::string session_;
  std::vector<Channel> accepted_;
  std::unique_ptr<RingWriter> ring_;
  bool ring_allowed_ = false, ring_ready_ = false;
  bool waits_for_slot_ = false;
};

}  // namespace renderlift
