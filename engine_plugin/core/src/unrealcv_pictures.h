// Frames as UnrealCV's clients read them: PNG for what is looked at, numpy's own format for numbers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "held_frame.h"

namespace renderlift::unrealcv {

// One answer, or nothing if the frame lacks the channel.
std::optional<std::string> lit_png(const HeldFrame& frame);
std::optional<std::string> depth_npy(const HeldFrame& frame);   // (H, W) float32, centimetres; sky = 65504
std::optional<std::string> normal_png(const HeldFrame& frame);  // Unreal's world axes, (n + 1) / 2
std::optional<std::string> mask_png(const HeldFrame& frame);    // every instance in its mask_color

// The colour that stands for an id; none of two ids below 2^24 share one, and 0 is black.
std::array<std::uint8_t, 3> mask_color(std::uint32_t id);

// rgb (H, W, 3) as PNG, not compressed: it goes to the next process, not into a file.
std::string png(const std::uint8_t* rgb, std::uint32_t width, std::uint32_t height);

}  // namespace renderlift::unrealcv
