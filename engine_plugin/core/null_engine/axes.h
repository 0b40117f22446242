// Job 3 of an adapter: this engine's axes and units to those of docs/conventions.md, here and nowhere else.
//
// Engine: left-handed, x forward, y right, z up, centimetres. Ours: right-handed, z up, metres; camera x right, y down,
// z forward. Mirroring y makes the one into the other.
#pragma once

#include <array>
#include <cmath>

#include "renderlift/frame.h"

namespace null_engine {

inline float metres_from_cm(float length_cm) { return length_cm * 0.01f; }

inline std::array<double, 16> world_from_camera(const std::array<double, 3>& position_cm, double yaw_radians) {
  const double c = std::cos(yaw_radians), s = std::sin(yaw_radians);
  const double x = 0.01 * position_cm[0], y = -0.01 * position_cm[1], z = 0.01 * position_cm[2];
  // Columns: the camera's right, down and forward in our world, and where it stands.
  return {-s, 0,  c,  x,  //
          -c, 0,  -s, y,  //
          0,  -1, 0,  z,  //
          0,  0,  0,  1};
}

}  // namespace null_engine
