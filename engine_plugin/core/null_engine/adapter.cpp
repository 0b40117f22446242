#include "adapter.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "axes.h"

namespace null_engine {

using renderlift::Channel;
using renderlift::ChannelView;

namespace {

// What a frame owns: the readback itself, and pixels that the engine has in another form than docs/conventions.md wants.
// Most engines convert those in the shader that packs their channels; this one has no GPU.
struct Kept {
  Readback readback;
  std::vector<float> depth_m;
  std::vector<std::uint16_t> normal;
};

ChannelView padded(Channel channel, const Image& image) {
  return renderlift::view_of(channel, image.width, image.height, image.bytes.data(),
                             static_cast<std::ptrdiff_t>(image.pitch_bytes));
}

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

// From right, up, back to right, down, forward: the two others change their sign, which is a half's topmost bit.
void fill_normals(const Image& normal, std::vector<std::uint16_t>& out) {
  out.resize(std::size_t{3} * normal.width * normal.height);
  for (std::uint32_t y = 0; y < normal.height; ++y)
    std::memcpy(&out[std::size_t{3} * normal.width * y], &normal.bytes[y * normal.pitch_bytes], std::size_t{6} * normal.width);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (i % 3 != 0 && out[i] != 0) out[i] ^= 0x8000;
}

}  // namespace

std::vector<Channel> channels() {
  return {Channel::rgb, Channel::depth, Channel::normal, Channel::class_id, Channel::instance_id, Channel::flow};
}

std::vector<renderlift::IdName> names() {
  return {{1, "floor", "floor", ""},           {2, "wall", "wall", ""},           {3, "box", "box", ""},
          {10, "floor_1", "floor", "room/floor"}, {20, "wall_1", "wall", "room/wall"}, {30, "box_1", "box", "room/box"}};
}

renderlift::FrameView frame_of(Readback drawn, const std::string& camera) {
  const auto kept = std::make_shared<Kept>();
  kept->readback = std::move(drawn);
  const Readback& readback = kept->readback;
  renderlift::FrameView frame;
  frame.camera = camera;
  frame.index = readback.tick;
  frame.engine_time_ns = readback.tick * 1000000000 / 24;
  frame.pose.world_from_camera = world_from_camera(readback.camera);
  frame.pose.image_from_camera = renderlift::image_from_vertical_fov(readback.vertical_fov_radians,
                                                                     readback.bgra.width, readback.bgra.height);
  ChannelView rgb = padded(Channel::rgb, readback.bgra);
  rgb.pixel_pitch_bytes = 4;
  rgb.bgr = true;
  fill_metres(readback.depth_cm, kept->depth_m);
  fill_normals(readback.normal, kept->normal);
  const std::uint32_t width = readback.bgra.width, height = readback.bgra.height;
  frame.channels = {rgb,
                    renderlift::view_of(Channel::depth, width, height, kept->depth_m.data()),
                    renderlift::view_of(Channel::normal, width, height, kept->normal.data()),
                    padded(Channel::class_id, readback.class_id),
                    padded(Channel::instance_id, readback.instance_id),
                    padded(Channel::flow, readback.flow_px)};
  frame.owner = kept;
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
