#include "engine.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace null_engine {

namespace {

constexpr std::size_t pitch_alignment = 256;  // as Direct3D 12 asks for

Image image(std::uint32_t width, std::uint32_t height, std::size_t pixel_bytes) {
  Image image;
  image.width = width;
  image.height = height;
  image.pitch_bytes = (width * pixel_bytes + pitch_alignment - 1) / pitch_alignment * pitch_alignment;
  image.bytes.assign(image.pitch_bytes * height, 0xee);  // padding that must not travel
  return image;
}

template <class Value>
void put(Image& image, std::uint32_t x, std::uint32_t y, std::size_t component, std::size_t components, Value value) {
  std::memcpy(&image.bytes[y * image.pitch_bytes + (x * components + component) * sizeof value], &value, sizeof value);
}

constexpr std::uint16_t half_zero = 0, half_one = 0x3c00;

std::uint8_t byte(std::int64_t value) { return static_cast<std::uint8_t>(value & 0xff); }

void draw_pixel(Readback& out, std::uint32_t x, std::uint32_t y) {
  const std::int64_t t = out.tick;
  put(out.bgra, x, y, 0, 4, byte(7 * t + x + y));      // blue
  put(out.bgra, x, y, 1, 4, byte(3 * t + 2 * y));      // green
  put(out.bgra, x, y, 2, 4, byte(5 * t + 3 * x));      // red
  put(out.bgra, x, y, 3, 4, std::uint8_t{255});
  const bool sky = y < out.bgra.height / 4;
  const float depth_cm = 100.0f + 25.0f * static_cast<float>((x + 2 * y + static_cast<std::uint64_t>(t)) % 64);
  put(out.depth_cm, x, y, 0, 1, sky ? std::numeric_limits<float>::infinity() : depth_cm);
  const std::uint32_t id = sky ? 0u : 1 + (x / 16 + y / 16) % 3;
  put(out.class_id, x, y, 0, 1, id);
  put(out.instance_id, x, y, 0, 1, 10 * id);
  put(out.normal, x, y, 0, 3, half_zero);
  put(out.normal, x, y, 1, 3, half_zero);
  put(out.normal, x, y, 2, 3, sky ? half_zero : half_one);  // everything faces the camera
  put(out.flow_px, x, y, 0, 2, t == 0 ? std::numeric_limits<float>::quiet_NaN() : 0.25f * static_cast<float>(x % 8));
  put(out.flow_px, x, y, 1, 2, t == 0 ? std::numeric_limits<float>::quiet_NaN() : -0.5f * static_cast<float>(y % 4));
}

}  // namespace

Camera camera_at(std::int64_t tick) {
  const double t = static_cast<double>(tick), yaw = 0.01 * t;
  Camera camera;
  camera.position_cm = {10 * t, 150, 170};
  camera.forward = {std::cos(yaw), std::sin(yaw), 0};
  camera.right = {-std::sin(yaw), std::cos(yaw), 0};
  return camera;
}

Readback draw(std::int64_t tick, const Camera& camera, std::uint32_t width, std::uint32_t height) {
  Readback out;
  out.tick = tick;
  out.bgra = image(width, height, 4);
  out.depth_cm = image(width, height, 4);
  out.class_id = image(width, height, 4);
  out.instance_id = image(width, height, 4);
  out.normal = image(width, height, 6);
  out.flow_px = image(width, height, 8);
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x) draw_pixel(out, x, y);
  out.camera = camera;
  out.vertical_fov_radians = 1.0;
  return out;
}

}  // namespace null_engine
