#include "unrealcv_axes.h"

#include <algorithm>
#include <cmath>

namespace renderlift::unrealcv {

namespace {

constexpr double degrees = 57.29577951308232;

}  // namespace

Place place_of(const std::array<double, 16>& m) {
  // Our camera's columns are right, down, forward; mirroring y leads into Unreal's world.
  const double forward_x = m[2], forward_y = -m[6], forward_z = m[10];
  const double right_z = m[8], up_z = -m[9];
  Place place;
  place.location_cm = {100 * m[3], -100 * m[7], 100 * m[11]};
  place.rotation_degrees = {degrees * std::asin(std::clamp(forward_z, -1.0, 1.0)),
                            degrees * std::atan2(forward_y, forward_x), degrees * std::atan2(-right_z, up_z)};
  return place;
}

std::array<double, 16> world_from_camera(const Place& place) {
  const auto [pitch, yaw, roll] = place.rotation_degrees;
  const double sp = std::sin(pitch / degrees), cp = std::cos(pitch / degrees);
  const double sy = std::sin(yaw / degrees), cy = std::cos(yaw / degrees);
  const double sr = std::sin(roll / degrees), cr = std::cos(roll / degrees);
  const double forward[3] = {cp * cy, cp * sy, sp};
  const double right[3] = {sr * sp * cy - cr * sy, sr * sp * sy + cr * cy, -sr * cp};
  const double down[3] = {cr * sp * cy + sr * sy, cr * sp * sy - sr * cy, -cr * cp};
  const auto [x, y, z] = place.location_cm;
  return {right[0],  down[0],  forward[0],  0.01 * x,   //
          -right[1], -down[1], -forward[1], -0.01 * y,  //
          right[2],  down[2],  forward[2],  0.01 * z,   //
          0,         0,        0,           1};
}

double horizontal_fov_degrees(const std::array<double, 9>& image_from_camera, std::uint32_t width) {
  return 2 * degrees * std::atan2(0.5 * width, image_from_camera[0]);
}

bool is_there(const Place& place, const Place& wanted) {
  for (std::size_t i = 0; i < 3; ++i)
    if (std::abs(place.location_cm[i] - wanted.location_cm[i]) > 0.1) return false;
  // Angles are compared as directions: 180 and -180 are one, and at a pitch of 90 yaw and roll blur.
  const auto a = world_from_camera(place), b = world_from_camera(wanted);
  for (std::size_t i : {0u, 1u, 2u, 4u, 5u, 6u, 8u, 9u, 10u})
    if (std::abs(a[i] - b[i]) > 0.01 / degrees) return false;
  return true;
}

}  // namespace renderlift::unrealcv
