#include "adapter.h"

#include <cstdio>
#include <cstring>

#include "axes.h"

namespace null_engine {

using renderlift::Channel;
using renderlift::ChannelView;

namespace {

ChannelView padded(Channel channel, const Image& image) {
  return renderlift::view_of(channel, image.width, image.height, image.bytes.data(),
                             static_cast<std::ptrdiff_t>(image.pitch_bytes));
}

// Most engines do this in the shader that packs their depth; this one has no GPU.
void fill_metres(const Image& depth_cm, std::vector<float>& depth_m) {
  depth_m.resize(std::size_t{depth_cm.width} * depth_cm.height);
  std::size_t at = 0;
  for (std::uint32_t y = 0; y < depth_cm.height; ++y) {
    for (std::uint32_t x = 0; x < depth_cm.width; ++x, ++at) {
      float cm = 0;
      std::memcpy(&cm, &depth_cm.bytes[y * depth_cm.pitch_bytes + x * sizeof cm], sizeof cm);
      depth_m[at] = metres_from_cm(cm);
    }
  }
}

}  // namespace

std::vector<Channel> channels() { return {Channel::rgb, Channel::depth, Channel::class_id, Channel::flow}; }

std::vector<renderlift::IdName> names() {
  return {{1, "floor", "floor", ""}, {2, "wall", "wall", ""}, {3, "box", "box", ""}};
}

renderlift::FrameView frame_of(const Readback& readback, const std::string& camera, std::vector<float>& depth_m) {
  renderlift::FrameView frame;
  frame.camera = camera;
  frame.index = readback.tick;
  frame.engine_time_ns = readback.tick * 1000000000 / 24;
  frame.pose.world_from_camera = world_from_camera(readback.camera_position_cm, readback.camera_yaw_radians);
  frame.pose.image_from_camera = renderlift::image_from_vertical_fov(readback.vertical_fov_radians,
                                                                     readback.bgra.width, readback.bgra.height);
  ChannelView rgb = padded(Channel::rgb, readback.bgra);
  rgb.pixel_pitch_bytes = 4;
  rgb.bgr = true;
  fill_metres(readback.depth_cm, depth_m);
  const ChannelView depth =
      renderlift::view_of(Channel::depth, readback.depth_cm.width, readback.depth_cm.height, depth_m.data());
  frame.channels = {rgb, depth, padded(Channel::class_id, readback.class_id), padded(Channel::flow, readback.flow_px)};
  return frame;
}

bool show(const renderlift::Picture& picture, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  std::fprintf(file, "P6\n%u %u\n255\n", picture.width, picture.height);
  const std::size_t written = std::fwrite(picture.rgb.data(), 1, picture.rgb.size(), file);
  return std::fclose(file) == 0 && written == picture.rgb.size();
}

}  // namespace null_engine
