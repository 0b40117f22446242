#include "frame_sender.h"

#include <algorithm>

#include "host.h"

namespace renderlift {

namespace {

constexpr std::size_t max_ring_bytes = std::size_t{1} << 30;
constexpr std::size_t slots_per_camera = 4;  // two under way, one being read, one being written

}  // namespace

void FrameSender::begin(std::vector<Channel> accepted, bool may_share_memory) {
  accepted_ = std::move(accepted);
  ring_allowed_ = may_share_memory;
  close_ring();
}

void FrameSender::take(const wire::RingReady& ready) {
  if (!ring_ || ready.name != ring_->offer().name) return;
  if (!ready.opened) {
    ring_allowed_ = false;
    return close_ring();
  }
  ring_ready_ = true;
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.ring_in_use = true;
}

void FrameSender::close_ring() {
  ring_.reset();
  ring_ready_ = false;
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.ring_in_use = false;
}

void FrameSender::send_ready() {
  waits_for_slot_ = false;
  for (CameraBooks& camera : books_.cameras)
    while (send_next(camera.outbox)) continue;
}

bool FrameSender::fits_ring(const HeldFrame& frame) const {
  return ring_ && ring_ready_ && frame.bytes <= ring_->offer().slot_bytes;
}

// Puts one frame of this camera on the wire, if one may go; false if none may.
bool FrameSender::send_next(Outbox& outbox) {
  Outgoing outgoing;
  std::uint64_t dropped = 0;
  std::optional<std::uint32_t> slot;
  {
    std::lock_guard<std::mutex> lock(books_.mutex);
    if (!outbox.is_ready(books_.credits, Clock::now())) return false;
    if (fits_ring(*outbox.next().frame)) {
      slot = ring_->free_slot();
      waits_for_slot_ = waits_for_slot_ || !slot;
      if (!slot) return false;
    }
    outgoing = outbox.take();
    dropped = outbox.dropped;
  }
  send_frame(outbox, outgoing, dropped, slot);
  return true;
}

void FrameSender::send_frame(const Outbox& outbox, const Outgoing& outgoing, std::uint64_t dropped,
                             std::optional<std::uint32_t> slot) {
  const HeldFrame& frame = *outgoing.frame;
  wire::FrameHeader header;
  header.session = session_;
  header.camera = outbox.name;
  header.index = outgoing.index;
  header.previous = outgoing.previous;
  header.dropped = dropped;
  header.engine_time_ns = frame.engine_time_ns;
  header.capture_time_ns = frame.capture_time_ns;
  header.pose = frame.pose;
  std::vector<Part> parts;
  for (const HeldChannel& channel : frame.channels) {
    const ChannelView& view = channel.view;
    if (std::find(accepted_.begin(), accepted_.end(), view.channel) == accepted_.end()) continue;
    wire::BufferRow row{view.channel, view.dtype, view.height, view.width, channel.components, {}, {}};
    if (slot) {
      row.offset = channel.offset;
    } else {
      std::optional<Part> part = Part::of(outgoing.frame, channel);
      if (!part) return connection_.give_up();
      row.checksum = host::checksum(part->data(), part->size());
      parts.push_back(std::move(*part));
    }
    header.buffers.push_back(row);
  }
  if (slot) header.slot = wire::Slot{ring_->offer().name, *slot, ring_->write(*slot, frame)};
  connection_.send(wire::encode(header), std::move(parts));
  if (!slot && (!ring_ || frame.bytes > ring_->offer().slot_bytes)) make_ring(frame.bytes);
}

// Creates a ring whose slots hold a frame of this size, and offers it.
void FrameSender::make_ring(std::size_t slot_bytes) {
  if (!ring_allowed_) return;
  close_ring();
  const std::size_t slots = std::min(slots_per_camera * books_.cameras.size(), max_ring_bytes / slot_bytes);
  ring_allowed_ = slots >= 2;
  if (!ring_allowed_) return;
  auto created = RingWriter::create(static_cast<std::uint32_t>(slots), slot_bytes);
  ring_allowed_ = created.ok();
  if (!ring_allowed_) return;
  ring_ = std::move(created.value());
  connection_.send(wire::encode(ring_->offer()));
}

}  // namespace renderlift
