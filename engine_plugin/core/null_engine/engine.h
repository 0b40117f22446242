// The engine itself, as if by another maker: it knows nothing of Renderlift.
//
// Its conventions are those of Unreal: left-handed, x forward, y right, z up, centimetres. Its readbacks have padded
// rows, as those of every GPU, and colour comes as BGRA. What it draws is arithmetic, so that a test in any language
// can say what each byte must be (tests/engine/core/null_pixels.py).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace null_engine {

// Rows of `pitch_bytes`, of which only the first part holds pixels.
struct Image {
  std::uint32_t width = 0, height = 0;
  std::size_t pitch_bytes = 0;
  std::vector<std::uint8_t> bytes;
};

// What the engine reads back after a frame.
struct Readback {
  std::int64_t tick = 0;
  Image bgra;          // uint8 x 4
  Image depth_cm;      // float32, +inf = sky
  Image class_id;      // uint32
  Image flow_px;       // float32 x 2, backward
  std::array<double, 3> camera_position_cm{};
  double camera_yaw_radians = 0;  // from +x towards +y
  double vertical_fov_radians = 0;
};

// Draws one frame; `tick` counts frames of 1/24 s.
Readback draw(std::int64_t tick, std::uint32_t width, std::uint32_t height);

}  // namespace null_engine
