// The engine's end of a shared-memory ring, laid out as in docs/protocol.md section 5.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "held_frame.h"
#include "shared_file.h"
#include "wire.h"

namespace renderlift {

class RingWriter {
 public:
  // `slot_bytes` is rounded up to whole pages. Fails with `transport`: no shared memory, or not enough.
  static Result<std::unique_ptr<RingWriter>> create(std::uint32_t slots, std::size_t slot_bytes);
  // As above, with a name and token of the caller's.
  static Result<std::unique_ptr<RingWriter>> create(const wire::RingOffer& offer);

  const wire::RingOffer& offer() const { return offer_; }
  // A slot that the bridge has given back.
  std::optional<std::uint32_t> free_slot() const;
  // Copies a frame that fits into a free slot; the slot's sequence number goes into the frame's header.
  std::uint64_t write(std::uint32_t slot, const HeldFrame& frame);

 private:
  using Cell = std::atomic<std::uint64_t>;
  static_assert(sizeof(Cell) == 8 && Cell::is_always_lock_free, "cells are shared with other processes");

  RingWriter(wire::RingOffer offer, std::unique_ptr<SharedFile> file);
  Cell& sequence(std::uint32_t slot) const;
  Cell& released(std::uint32_t slot) const;

  wire::RingOffer offer_;
  std::unique_ptr<SharedFile> file_;
};

// How many bytes a ring of this shape has.
std::size_t ring_bytes(const wire::RingOffer& offer);

}  // namespace renderlift
