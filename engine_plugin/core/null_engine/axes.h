// Job 3 of an adapter: this engine's axes and units to those of docs/conventions.md, here and nowhere else.
//
// Engine: left-handed, x forward, y right, z up, centimetres. Ours: right-handed, z up, metres; camera x right, y down,
// z forward. Mirroring y makes the one into the other.
#pragma once

#include <array>
#include <tuple>

#include "engine.h"

namespace null_engine {

inline float metres_from_cm(float length_cm) { return length_cm * 0.01f; }

// Columns: the camera's right, down and forward in our world, and where it stands.
inline std::array<double, 16> world_from_camera(const Camera& camera) {
  const auto& [r, u, f, p] = std::tie(camera.right, camera.up, camera.forward, camera.position_cm);
  return {r[0],  -u[0], f[0],  0.01 * p[0],   //
          -r[1], u[1],  -f[1], -0.01 * p[1],  //
          r[2],  -u[2], f[2],  0.01 * p[2],   //
          0,     0,     0,     1};
}

// The way back, for an engine whose cameras clients may move.
inline Camera camera_of(const std::array<double, 16>& m) {
  Camera camera;
  camera.right = {m[0], -m[4], m[8]};
  camera.up = {-m[1], m[5], -m[9]};
  camera.forward = {m[2], -m[6], m[10]};
  camera.position_cm = {100 * m[3], -100 * m[7], 100 * m[11]};
  return camera;
}

}  // namespace null_engine
