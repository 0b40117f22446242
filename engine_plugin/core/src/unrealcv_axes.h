// Between our axes and UnrealCV's: left-handed, x forward, y right, z up, centimetres; pitch, yaw, roll in degrees
// (Unreal's public documentation of FRotator).
#pragma once

#include <array>

#include "renderlift/frame.h"

namespace renderlift::unrealcv {

struct Place {
  std::array<double, 3> location_cm{};
  std::array<double, 3> rotation_degrees{};  // pitch, yaw, roll
};

Place place_of(const std::array<double, 16>& world_from_camera);
std::array<double, 16> world_from_camera(const Place& place);

double horizontal_fov_degrees(const std::array<double, 9>& image_from_camera, std::uint32_t width);

// Whether two places are one, within a millimetre and a hundredth of a degree.
bool is_there(const Place& place, const Place& wanted);

}  // namespace renderlift::unrealcv
