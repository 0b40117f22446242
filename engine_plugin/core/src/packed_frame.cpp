#include "packed_frame.h"

#include <cstring>
#include <new>
#include <utility>

#include "host.h"
#include "wire.h"

namespace renderlift {

namespace {

constexpr std::size_t max_free_blocks = 4;

std::size_t round_up(std::size_t value, std::size_t step) { return (value + step - 1) / step * step; }

void copy_row_swapped(const std::uint8_t* row, std::size_t step, std::uint32_t width, std::uint8_t* out) {
  for (std::uint32_t x = 0; x < width; ++x, row += step, out += 3) {
    out[0] = row[2];
    out[1] = row[1];
    out[2] = row[0];
  }
}

// A constant size lets the compiler turn the copy of a pixel into a load and a store.
template <std::size_t pixel_bytes>
void copy_row(const std::uint8_t* row, std::size_t step, std::uint32_t width, std::uint8_t* out) {
  for (std::uint32_t x = 0; x < width; ++x, row += step, out += pixel_bytes) std::memcpy(out, row, pixel_bytes);
}

void copy_row_of(std::size_t pixel_bytes, const std::uint8_t* row, std::size_t step, std::uint32_t width,
                 std::uint8_t* out) {
  switch (pixel_bytes) {
    case 2: return copy_row<2>(row, step, width, out);
    case 3: return copy_row<3>(row, step, width, out);
    case 4: return copy_row<4>(row, step, width, out);
    case 6: return copy_row<6>(row, step, width, out);
    case 8: return copy_row<8>(row, step, width, out);
    case 12: return copy_row<12>(row, step, width, out);
  }
}

PackedBuffer buffer_of(const ChannelView& view, std::size_t offset) {
  const std::uint32_t components = channel_spec(view.channel).components;
  const std::size_t bytes = std::size_t{view.width} * view.height * components * dtype_bytes(view.dtype);
  return {view.channel, view.dtype, view.height, view.width, components, offset, bytes};
}

}  // namespace

PixelPool::Block PixelPool::take(std::size_t bytes) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Block& block : free_) {
      if (block.capacity < bytes || block.capacity > 2 * bytes) continue;
      std::swap(block, free_.back());
      Block taken = std::move(free_.back());
      free_.pop_back();
      return taken;
    }
  }
  Block fresh;
  fresh.bytes.reset(new (std::nothrow) std::uint8_t[bytes]);
  fresh.capacity = fresh.bytes ? bytes : 0;
  return fresh;
}

void PixelPool::give_back(Block block) {
  std::lock_guard<std::mutex> lock(mutex_);
  // After a change of size the oldest blocks are of no more use.
  if (free_.size() == max_free_blocks) free_.erase(free_.begin());
  free_.push_back(std::move(block));
}

PackedFrame::~PackedFrame() {
  if (pool && block.bytes) pool->give_back(std::move(block));
}

void copy_pixels(const ChannelView& view, std::uint8_t* out) {
  const std::size_t pixel_bytes = channel_spec(view.channel).components * dtype_bytes(view.dtype);
  const std::size_t step = view.pixel_pitch_bytes != 0 ? view.pixel_pitch_bytes : pixel_bytes;
  const std::size_t row_bytes = view.width * pixel_bytes;
  const std::ptrdiff_t pitch =
      view.row_pitch_bytes != 0 ? view.row_pitch_bytes : static_cast<std::ptrdiff_t>(view.width * step);
  const auto* row = static_cast<const std::uint8_t*>(view.pixels);
  const bool whole_rows = step == pixel_bytes && !view.bgr;
  if (whole_rows && pitch == static_cast<std::ptrdiff_t>(row_bytes)) {
    std::memcpy(out, row, row_bytes * view.height);
    return;
  }
  for (std::uint32_t y = 0; y < view.height; ++y, row += pitch, out += row_bytes) {
    if (whole_rows) std::memcpy(out, row, row_bytes);
    else if (view.bgr && pixel_bytes == 3) copy_row_swapped(row, step, view.width, out);
    else copy_row_of(pixel_bytes, row, step, view.width, out);
  }
}

std::shared_ptr<const PackedFrame> pack(const FrameView& frame, const std::shared_ptr<PixelPool>& pool) {
  auto packed = std::make_shared<PackedFrame>();
  packed->index = frame.index;
  packed->engine_time_ns = frame.engine_time_ns;
  packed->capture_time_ns = frame.capture_time_ns != 0 ? frame.capture_time_ns : host::unix_time_ns();
  packed->pose = frame.pose;
  for (const ChannelView& view : frame.channels) {
    packed->buffers.push_back(buffer_of(view, packed->bytes));
    packed->bytes = round_up(packed->bytes + packed->buffers.back().bytes, wire::slot_alignment);
  }
  packed->pool = pool;
  packed->block = pool->take(packed->bytes);
  if (!packed->block.bytes) return nullptr;
  for (std::size_t i = 0; i < packed->buffers.size(); ++i)
    copy_pixels(frame.channels[i], packed->block.bytes.get() + packed->buffers[i].offset);
  return packed;
}

}  // namespace renderlift
