// The adapter: what stands between an engine and the core. Four jobs and no more: capture (say what the engine can
// tell), readback (point at its pixels), axes (axes.h) and overlay (show what comes back).
#pragma once

#include <string>
#include <vector>

#include "engine.h"
#include "renderlift/publisher.h"

namespace null_engine {

// Job 1, capture: the channels that this engine has, and what its ids stand for.
std::vector<renderlift::Channel> channels();
std::vector<renderlift::IdName> names();

// Pixels that the engine has in another form than docs/conventions.md wants. Most engines convert them in the shader
// that packs their channels; this one has no GPU.
struct Converted {
  std::vector<float> depth_m;
  std::vector<std::uint16_t> normal;
};

// Job 2, readback: a frame that borrows the pixels of `readback` and of `converted`, which it fills.
renderlift::FrameView frame_of(const Readback& readback, const std::string& camera, Converted& converted);

// Job 4, overlay: this engine has no window, so pictures go into a file that every viewer opens (PPM).
bool show(const renderlift::Picture& picture, const std::string& path);

}  // namespace null_engine
