// One instant of one camera as an engine hands it over: channels of pixels, the camera, the clock.
//
// docs/conventions.md is the authority on axes, units and colours; the adapter converts to it before it fills these
// structs, and nothing behind them converts again:
//   camera   OpenCV: x right, y down, z forward
//   world    right-handed, Z up, metres
//   image    origin top left, the centre of pixel (0, 0) is (0.5, 0.5)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "renderlift/result.h"

namespace renderlift {

enum class DType : std::uint8_t { uint8, float16, float32, uint32 };

// What an engine can tell about a picture. `channel_spec` says how each is stored.
enum class Channel : std::uint8_t {
  rgb,          // colour after tonemapping, as the viewport shows it
  depth,        // distance along camera +Z in metres, +inf = sky
  normal,       // unit vector, camera space, facing the camera; zero = none
  class_id,     // semantic class; 0 = unlabelled
  instance_id,  // one object; 0 = unlabelled
  flow,         // pixels: position in the previous frame minus position in this one; NaN = none
  albedo,       // base colour, linear, times 255
  material,     // roughness, metallic, each times 255
  environment,  // equirectangular HDR radiance, world space; the only channel with a size of its own
};
inline constexpr int channel_count = 9;

// One row of the channel table. `dtype` is what our plugins write; `other` is allowed as well (equal if there is none).
struct ChannelSpec {
  Channel channel;
  std::string_view name;  // as on the wire
  DType dtype;
  DType other;
  std::uint32_t components;
  std::string_view unit;
  bool view_sized;  // shares the frame's width and height
};

const ChannelSpec& channel_spec(Channel channel);
const ChannelSpec* find_channel(std::string_view name);  // nullptr if the table lacks it
std::string_view dtype_name(DType dtype);                // "uint8", "float16", "float32", "uint32"
std::size_t dtype_bytes(DType dtype);

// Pixels of one channel. How long they must stay is said by the frame: FrameView::owner.
// Rows go top to bottom, components are interleaved, numbers are little-endian.
struct ChannelView {
  Channel channel = Channel::rgb;
  DType dtype = DType::uint8;
  std::uint32_t width = 0;   // pixels, 1 to 16384
  std::uint32_t height = 0;  // pixels, 1 to 16384
  const void* pixels = nullptr;
  // Bytes from one row to the next, as GPU readbacks give it; 0 = rows without padding. Negative = `pixels` is the
  // top row and memory runs upwards (OpenGL).
  std::ptrdiff_t row_pitch_bytes = 0;
  // Bytes from one pixel to the next; 0 = no padding. 4 with `components` 3 takes RGB out of RGBA.
  std::size_t pixel_pitch_bytes = 0;
  bool bgr = false;  // uint8 x 3 only: components lie as blue, green, red
};

// A view of `channel` in the dtype our plugins write; add row_pitch_bytes where rows are padded.
ChannelView view_of(Channel channel, std::uint32_t width, std::uint32_t height, const void* pixels,
                    std::ptrdiff_t row_pitch_bytes = 0, std::size_t pixel_pitch_bytes = 0);

// Where the camera is and how it projects, read from the same view that drew the pixels. Matrices row by row,
// they multiply columns.
struct CameraPose {
  std::array<double, 16> world_from_camera{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};  // 4 x 4, metres
  std::array<double, 9> image_from_camera{1, 0, 0, 0, 1, 0, 0, 0, 1};                        // 3 x 3, pixels
};

// The intrinsics of a symmetric perspective view with square pixels.
std::array<double, 9> image_from_vertical_fov(double vertical_fov_radians, std::uint32_t width, std::uint32_t height);

struct FrameView {
  std::string camera = "main";          // one of PublisherOptions::cameras
  std::int64_t index = 0;               // counts from 0 and grows; a gap says that the engine left frames out
  std::int64_t engine_time_ns = 0;      // the engine's own clock: simulation time
  std::int64_t capture_time_ns = 0;     // wall clock (Unix time) at capture; 0 = when published
  CameraPose pose;
  std::vector<ChannelView> channels;    // rgb among them, none twice; all but environment of one size

  // Who keeps the pixels.
  //   null: they are lent until publish() returns, which copies them on the engine's thread.
  //   else: they are handed over. Nothing is copied there; the core keeps this pointer, and the pixels must neither move
  //         nor change before the last copy of it is gone: in preview when they have left for the bridge or a newer
  //         frame replaced them, in capture when the bridge has acknowledged them. Then the pointer's deleter runs, on
  //         whichever thread was last: within a later publish() or close() of the engine's, or on one of the core's. It
  //         must return soon and must not call the Publisher. No lock is held around it. Where publish() fails, the
  //         core has kept nothing. At most one frame of a camera waits in preview, and as many as the bridge has given
  //         credit for are under way.
  std::shared_ptr<const void> owner = nullptr;
};

// One row of the id table that goes with a stream: what an id stands for.
struct IdName {
  std::uint32_t id = 0;
  std::string name;        // of the instance, or of the class itself
  std::string class_name;
  std::string path;        // where the engine keeps it, e.g. "room/table/cup"; empty = this row is the class
};

// Whether publish() would take this frame's pixels; says what is wrong with them. `declared` lists the channels named
// in PublisherOptions.
Result<void> check_frame(const FrameView& frame, const std::vector<Channel>& declared);

}  // namespace renderlift
