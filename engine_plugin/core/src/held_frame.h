// A published frame as the core keeps it: where its pixels lie, who keeps them there, and how they will lie in a slot.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "renderlift/frame.h"

namespace renderlift {

struct HeldChannel {
  ChannelView view;           // its pixels, wherever the frame's owner keeps them
  std::uint32_t components;
  std::size_t offset, bytes;  // in a ring's slot, without padding; offsets are multiples of wire::slot_alignment
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

struct HeldFrame {
  std::int64_t index = 0, engine_time_ns = 0, capture_time_ns = 0;
  CameraPose pose;
  std::vector<HeldChannel> channels;
  std::size_t bytes = 0;  // of all channels, each rounded up to wire::slot_alignment
  std::shared_ptr<const void> owner;  // of the memory that the views point into
};

// Of a frame that check_frame() accepted: its own memory where it has an owner, else a copy. Null if there is no memory.
std::shared_ptr<const HeldFrame> hold(const FrameView& frame, const std::shared_ptr<PixelPool>& pool);

// A copy without padding, owner or not. Null if there is no memory for it.
std::shared_ptr<const HeldFrame> copy_of(const FrameView& frame, const std::shared_ptr<PixelPool>& pool);

// Whether the pixels lie as they travel: without padding, top to bottom, components in order.
bool is_packed(const ChannelView& view);

// Copies one channel's pixels to `out` as they travel (bytes as HeldChannel::bytes).
void copy_pixels(const ChannelView& view, std::uint8_t* out);

inline const std::uint8_t* first_byte(const ChannelView& view) { return static_cast<const std::uint8_t*>(view.pixels); }

}  // namespace renderlift
