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

// Job 2, readback: a frame that owns its pixels, so that they are handed over rather than copied.
// (An engine that must have its memory back at once leaves FrameView::owner empty.)
renderlift::FrameView frame_of(Readback readback, const std::string& camera);

// Job 4, overlay: this engine has no window, so pictures go into a file that every viewer opens (PPM).
bool show(const renderlift::Picture& picture, const std::string& path);

}  // namespace null_engine
