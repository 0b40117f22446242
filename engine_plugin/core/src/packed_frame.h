// A published frame as the core keeps it: pixels without padding, channel after channel, as they lie in a ring's slot.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "renderlift/frame.h"

namespace renderlift {

struct PackedBuffer {
  Channel channel;
  DType dtype;
  std::uint32_t height, width, components;
  std::size_t offset, bytes;  // in PackedFrame::pixels; offsets are multiples of wire::slot_alignment
};

// Memory that frames leave behind for the next ones: fresh pages cost the engine's thread more than the copy itself.
class PixelPool {
 public:
  struct Block {
    std::unique_ptr<std::uint8_t[]> bytes;
    std::size_t capacity = 0;
  };
  Block take(std::size_t bytes);  // empty if there is no memory
  void give_back(Block block);

 private:
  std::mutex mutex_;
  std::vector<Block> free_;
};

struct PackedFrame {
  std::int64_t index = 0, engine_time_ns = 0, capture_time_ns = 0;
  CameraPose pose;
  std::vector<PackedBuffer> buffers;
  std::size_t bytes = 0;  // of all buffers, each rounded up to wire::slot_alignment
  PixelPool::Block block;
  std::shared_ptr<PixelPool> pool;

  PackedFrame() = default;
  PackedFrame(const PackedFrame&) = delete;
  PackedFrame& operator=(const PackedFrame&) = delete;
  ~PackedFrame();

  const std::uint8_t* pixels() const { return block.bytes.get(); }
};

// A copy of a frame that check_frame() accepted; null if there is no memory for it.
std::shared_ptr<const PackedFrame> pack(const FrameView& frame, const std::shared_ptr<PixelPool>& pool);

// Copies one channel's rows without padding to `out` (bytes as PackedBuffer::bytes).
void copy_pixels(const ChannelView& view, std::uint8_t* out);

}  // namespace renderlift
