#include "held_frame.h"

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

std::size_t pixel_bytes_of(const ChannelView& view) {
  return channel_spec(view.channel).components * dtype_bytes(view.dtype);
}

HeldChannel channel_at(std::size_t offset, const ChannelView& view) {
  const std::size_t bytes = std::size_t{view.width} * view.height * pixel_bytes_of(view);
  return {view, channel_spec(view.channel).components, offset, bytes};
}

// All but the pixels' owner: the views are still those of the engine.
std::shared_ptr<HeldFrame> laid_out(const FrameView& frame) {
  auto held = std::make_shared<HeldFrame>();
  held->index = frame.index;
  held->engine_time_ns = frame.engine_time_ns;
  held->capture_time_ns = frame.capture_time_ns != 0 ? frame.capture_time_ns : host::unix_time_ns();
  held->pose = frame.pose;
  held->channels.reserve(frame.channels.size());
  for (const ChannelView& view : frame.channels) {
    held->channels.push_back(channel_at(held->bytes, view));
    held->bytes = round_up(held->bytes + held->channels.back().bytes, wire::slot_alignment);
  }
  return held;
}

// A block that goes back to its pool when nobody needs it any more.
struct Loan {
  PixelPool::Block block;
  std::shared_ptr<PixelPool> pool;

  Loan(PixelPool::Block taken, std::shared_ptr<PixelPool> from) : block(std::move(taken)), pool(std::move(from)) {}
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  ~Loan() { pool->give_back(std::move(block)); }
};

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

bool is_packed(const ChannelView& view) {
  const std::size_t pixel_bytes = pixel_bytes_of(view);
  const auto row_bytes = static_cast<std::ptrdiff_t>(view.width * pixel_bytes);
  return !view.bgr && (view.pixel_pitch_bytes == 0 || view.pixel_pitch_bytes == pixel_bytes) &&
         (view.row_pitch_bytes == 0 || view.row_pitch_bytes == row_bytes);
}

void copy_pixels(const ChannelView& view, std::uint8_t* out) {
  const std::size_t pixel_bytes = pixel_bytes_of(view);
  const std::size_t row_bytes = view.width * pixel_bytes;
  const std::uint8_t* row = first_byte(view);
  if (is_packed(view)) {
    std::memcpy(out, row, row_bytes * view.height);
    return;
  }
  const std::size_t step = view.pixel_pitch_bytes != 0 ? view.pixel_pitch_bytes : pixel_bytes;
  const std::ptrdiff_t pitch =
      view.row_pitch_bytes != 0 ? view.row_pitch_bytes : static_cast<std::ptrdiff_t>(view.width * step);
  const bool whole_rows = step == pixel_bytes && !view.bgr;
  for (std::uint32_t y = 0; y < view.height; ++y, row += pitch, out += row_bytes) {
    if (whole_rows) std::memcpy(out, row, row_bytes);
    else if (view.bgr && pixel_bytes == 3) copy_row_swapped(row, step, view.width, out);
    else copy_row_of(pixel_bytes, row, step, view.width, out);
  }
}

std::shared_ptr<const HeldFrame> hold(const FrameView& frame, const std::shared_ptr<PixelPool>& pool) {
  if (!frame.owner) return copy_of(frame, pool);
  std::shared_ptr<HeldFrame> held = laid_out(frame);
  held->owner = frame.owner;
  return held;
}

std::shared_ptr<const HeldFrame> copy_of(const FrameView& frame, const std::shared_ptr<PixelPool>& pool) {
  std::shared_ptr<HeldFrame> copy = laid_out(frame);
  PixelPool::Block block = pool->take(copy->bytes);
  if (!block.bytes) return nullptr;
  std::uint8_t* const bytes = block.bytes.get();
  copy->owner = std::make_shared<const Loan>(std::move(block), pool);
  for (HeldChannel& channel : copy->channels) {
    copy_pixels(channel.view, bytes + channel.offset);
    const DType dtype = channel.view.dtype;
    channel.view = view_of(channel.view.channel, channel.view.width, channel.view.height, bytes + channel.offset);
    channel.view.dtype = dtype;
  }
  return copy;
}

}  // namespace renderlift
