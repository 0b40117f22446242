#include "shared_ring.h"

#include <cstring>

#include "host.h"

namespace renderlift {

namespace {

constexpr std::size_t page_bytes = 4096, table_offset = 64, slot_row_bytes = 128, released_offset = 64;
constexpr char magic[] = "RLRING01";

std::size_t round_up(std::size_t value, std::size_t step) { return (value + step - 1) / step * step; }

std::size_t data_offset(const wire::RingOffer& offer) {
  return round_up(table_offset + slot_row_bytes * offer.slots, page_bytes);
}

// Little-endian, whatever the machine.
void put(std::uint8_t* out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(value >> 8 * i);
}

}  // namespace

std::size_t ring_bytes(const wire::RingOffer& offer) { return data_offset(offer) + offer.slots * offer.slot_bytes; }

Result<std::unique_ptr<RingWriter>> RingWriter::create(std::uint32_t slots, std::size_t slot_bytes) {
  return create(wire::RingOffer{"renderlift-" + host::random_hex(16), slots, round_up(slot_bytes, page_bytes),
                                host::random_u64()});
}

Result<std::unique_ptr<RingWriter>> RingWriter::create(const wire::RingOffer& offer) {
  auto file = SharedFile::create(offer.name, ring_bytes(offer));
  if (!file) return file.error();
  return std::unique_ptr<RingWriter>(new RingWriter(offer, std::move(file.value())));
}

RingWriter::RingWriter(wire::RingOffer offer, std::unique_ptr<SharedFile> file)
    : offer_(std::move(offer)), file_(std::move(file)) {
  std::uint8_t* header = file_->data();
  std::memcpy(header, magic, 8);
  put(header + 8, offer_.slots);
  put(header + 16, offer_.slot_bytes);
  put(header + 24, offer_.token);
}

RingWriter::Cell& RingWriter::sequence(std::uint32_t slot) const {
  return *reinterpret_cast<Cell*>(file_->data() + table_offset + slot_row_bytes * slot);
}

RingWriter::Cell& RingWriter::released(std::uint32_t slot) const {
  return *reinterpret_cast<Cell*>(file_->data() + table_offset + slot_row_bytes * slot + released_offset);
}

std::optional<std::uint32_t> RingWriter::free_slot() const {
  for (std::uint32_t slot = 0; slot < offer_.slots; ++slot)
    if (sequence(slot).load(std::memory_order_relaxed) == released(slot).load(std::memory_order_acquire)) return slot;
  return std::nullopt;
}

std::uint64_t RingWriter::write(std::uint32_t slot, const HeldFrame& frame) {
  const std::uint64_t even = sequence(slot).load(std::memory_order_relaxed) + 2;
  // An exchange, because a plain store would let the pixels overtake it.
  sequence(slot).exchange(even - 1, std::memory_order_acq_rel);
  std::uint8_t* data = file_->data() + data_offset(offer_) + slot * offer_.slot_bytes;
  for (const HeldChannel& channel : frame.channels) copy_pixels(channel.view, data + channel.offset);
  sequence(slot).store(even, std::memory_order_release);
  return even;
}

}  // namespace renderlift
