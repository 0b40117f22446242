// What the null engine is told on its command line.
#pragma once

#include <cstdint>
#include <string>

#include "renderlift/result.h"

namespace null_engine {

struct Options {
  std::string endpoint, session, picture_path;
  std::string key_path, peer_path;  // CURVE: own .key_secret, the bridge's .key
  bool lend = false;                // frames are lent to the core, not handed over
  bool capture = false;
  int unrealcv_port = -1;  // 0 = any free one; -1 = no server
  bool shared_memory = true;
  std::int64_t frames = 24;
  std::int64_t resize_after = -1;  // from this frame on the picture is 16 pixels wider and 8 higher
  std::uint32_t width = 320, height = 180;
  double frames_per_s = 24;  // 0 = as fast as it goes
  double wait_s = 5;         // for the bridge: to answer at first, and to settle at the end
};

extern const char usage[];

renderlift::Result<Options> parse(int count, const char* const* words);

}  // namespace null_engine
