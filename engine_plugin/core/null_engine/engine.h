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

// Where the camera is, as this engine says it: unit vectors and centimetres in its own world.
struct Camera {
  std::array<double, 3> position_cm{}, forward{1, 0, 0}, right{0, 1, 0}, up{0, 0, 1};
};

// What the engine reads back after a frame.
struct Readback {
  std::int64_t tick = 0;
  Image bgra;          // uint8 x 4
  Image depth_cm;      // float32, +inf = sky
  Image class_id;      // uint32
  Image instance_id;   // uint32
  Image normal;        // float16 x 3, camera's right, up and back
  Image flow_px;       // float32 x 2, backward
  Camera camera;
  double vertical_fov_radians = 0;
};

// The path the camera takes while nobody moves it; `tick` counts frames of 1/24 s.
Camera camera_at(std::int64_t tick);

Readback draw(std::int64_t tick, const Camera& camera, std::uint32_t width, std::uint32_t height);

}  // namespace null_engine
