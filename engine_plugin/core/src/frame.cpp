#include "renderlift/frame.h"

#include <algorithm>
#include <cmath>

#include "wire.h"

namespace renderlift {

namespace {

// The same table as CHANNELS in bridge/renderlift/bridge/frame.py; a test in tests/engine/core holds them together.
constexpr ChannelSpec table[channel_count] = {
    {Channel::rgb, "rgb", DType::uint8, DType::uint8, 3, "sRGB", true},
    {Channel::depth, "depth", DType::float32, DType::float32, 1, "m", true},
    {Channel::normal, "normal", DType::float16, DType::float32, 3, "unit vector", true},
    {Channel::class_id, "class_id", DType::uint32, DType::uint32, 1, "id", true},
    {Channel::instance_id, "instance_id", DType::uint32, DType::uint32, 1, "id", true},
    {Channel::flow, "flow", DType::float32, DType::float32, 2, "px", true},
    {Channel::albedo, "albedo", DType::uint8, DType::uint8, 3, "linear/255", true},
    {Channel::material, "material", DType::uint8, DType::uint8, 2, "1/255", true},
    {Channel::environment, "environment", DType::float16, DType::float16, 3, "radiance", false},
};

std::string size_text(const ChannelView& view) {
  return std::to_string(view.width) + "x" + std::to_string(view.height);
}

Error wrong(std::string what, std::string fix) { return {ErrorKind::invalid, std::move(what), std::move(fix)}; }

Result<void> check_view(const ChannelView& view, const std::vector<Channel>& declared) {
  const ChannelSpec& spec = channel_spec(view.channel);
  const std::string name(spec.name);
  if (std::find(declared.begin(), declared.end(), view.channel) == declared.end())
    return wrong(name + " was not declared", "Name it in PublisherOptions::channels.");
  if (view.dtype != spec.dtype && view.dtype != spec.other)
    return wrong(name + " comes as " + std::string(dtype_name(view.dtype)) + ", the table wants " +
                     std::string(dtype_name(spec.dtype)),
                 "Convert it in the engine's adapter; docs/conventions.md says how.");
  if (view.width < 1 || view.height < 1 || view.width > wire::max_side || view.height > wire::max_side)
    return wrong(name + " is " + size_text(view) + " pixels", "Keep sides from 1 to 16384.");
  const std::size_t pixel_bytes = spec.components * dtype_bytes(view.dtype);
  if (pixel_bytes * view.width * view.height > wire::max_part_bytes)
    return wrong(name + " of " + size_text(view) + " pixels is too large", "Keep a channel under 256 MiB.");
  if (view.pixels == nullptr) return wrong(name + " has no pixels", "Set ChannelView::pixels.");
  if (view.pixel_pitch_bytes != 0 && view.pixel_pitch_bytes < pixel_bytes)
    return wrong(name + " has pixels of " + std::to_string(view.pixel_pitch_bytes) + " bytes, they need " +
                     std::to_string(pixel_bytes),
                 "Set ChannelView::pixel_pitch_bytes to the distance of two pixels, or 0.");
  const std::size_t step = view.pixel_pitch_bytes != 0 ? view.pixel_pitch_bytes : pixel_bytes;
  const std::size_t row_bytes = (view.width - 1) * step + pixel_bytes;
  const std::size_t pitch = static_cast<std::size_t>(std::abs(view.row_pitch_bytes));
  if (pitch != 0 && pitch < row_bytes)
    return wrong(name + " has a row pitch of " + std::to_string(view.row_pitch_bytes) + " bytes, " +
                     std::to_string(view.width) + " pixels need " + std::to_string(row_bytes),
                 "The pitch is in bytes, not in pixels.");
  return {};
}

bool all_finite(const double* numbers, std::size_t count) {
  return std::all_of(numbers, numbers + count, [](double number) { return std::isfinite(number); });
}

}  // namespace

const ChannelSpec& channel_spec(Channel channel) { return table[static_cast<std::size_t>(channel)]; }

const ChannelSpec* find_channel(std::string_view name) {
  for (const ChannelSpec& spec : table)
    if (spec.name == name) return &spec;
  return nullptr;
}

std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::uint8: return "uint8";
    case DType::float16: return "float16";
    case DType::float32: return "float32";
    case DType::uint32: return "uint32";
  }
  return "";
}

std::size_t dtype_bytes(DType dtype) {
  return dtype == DType::uint8 ? 1 : dtype == DType::float16 ? 2 : 4;
}

ChannelView view_of(Channel channel, std::uint32_t width, std::uint32_t height, const void* pixels,
                    std::ptrdiff_t row_pitch_bytes, std::size_t pixel_pitch_bytes) {
  ChannelView view;
  view.channel = channel;
  view.dtype = channel_spec(channel).dtype;
  view.width = width;
  view.height = height;
  view.pixels = pixels;
  view.row_pitch_bytes = row_pitch_bytes;
  view.pixel_pitch_bytes = pixel_pitch_bytes;
  return view;
}

std::array<double, 9> image_from_vertical_fov(double vertical_fov_radians, std::uint32_t width, std::uint32_t height) {
  const double focal_px = 0.5 * height / std::tan(0.5 * vertical_fov_radians);
  return {focal_px, 0, 0.5 * width, 0, focal_px, 0.5 * height, 0, 0, 1};
}

Result<void> check_frame(const FrameView& frame, const std::vector<Channel>& declared) {
  const ChannelView* rgb = nullptr;
  std::uint32_t seen = 0;
  std::size_t frame_bytes = 0;
  for (const ChannelView& view : frame.channels) {
    if (static_cast<int>(view.channel) >= channel_count) return wrong("a channel is none of the table", "See Channel.");
    if (Result<void> checked = check_view(view, declared); !checked) return checked;
    const std::uint32_t bit = 1u << static_cast<int>(view.channel);
    if (seen & bit) return wrong(std::string(channel_spec(view.channel).name) + " stands twice", "Send it once.");
    seen |= bit;
    frame_bytes += std::size_t{view.width} * view.height * channel_spec(view.channel).components * dtype_bytes(view.dtype);
    if (view.channel == Channel::rgb) rgb = &view;
  }
  if (rgb == nullptr) return wrong("a frame needs at least the rgb channel", "Add it to FrameView::channels.");
  for (const ChannelView& view : frame.channels)
    if (channel_spec(view.channel).view_sized && (view.width != rgb->width || view.height != rgb->height))
      return wrong(std::string(channel_spec(view.channel).name) + " is " + size_text(view) + ", rgb of the same frame is " +
                       size_text(*rgb),
                   "Read all channels back from one render of one view.");
  if (frame_bytes > wire::max_frame_bytes) return wrong("a frame is larger than 1 GiB", "Send fewer or smaller channels.");
  if (frame.index < 0) return wrong("frame index " + std::to_string(frame.index) + " is negative", "Count from 0.");
  if (!all_finite(frame.pose.world_from_camera.data(), 16) || !all_finite(frame.pose.image_from_camera.data(), 9))
    return wrong("the camera's pose is not finite", "Leave frames out while the engine has no camera.");
  return {};
}

}  // namespace renderlift
