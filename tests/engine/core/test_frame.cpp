// Pixels are packed whatever rows an engine reads back, and frames that cannot travel are refused with a reason.
#include "renderlift/frame.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "check.h"
#include "held_frame.h"

using namespace renderlift;

namespace {

// A picture whose padding holds 0xee.
struct Padded {
  std::uint32_t width, height;
  std::size_t pixel_pitch, row_pitch;
  std::vector<std::uint8_t> bytes;

  Padded(std::uint32_t w, std::uint32_t h, std::size_t pixel_bytes, std::size_t alignment)
      : width(w), height(h), pixel_pitch(pixel_bytes), row_pitch((w * pixel_bytes + alignment - 1) / alignment * alignment),
        bytes(row_pitch * h, 0xee) {
    for (std::uint32_t y = 0; y < h; ++y)
      for (std::size_t i = 0; i < w * pixel_bytes; ++i) bytes[y * row_pitch + i] = value(y, i);
  }
  static std::uint8_t value(std::uint32_t y, std::size_t i) { return static_cast<std::uint8_t>(31 * y + 7 * i); }
};

FrameView frame_with(ChannelView view) {
  FrameView frame;
  frame.channels = {view};
  return frame;
}

std::shared_ptr<const HeldFrame> copied(const FrameView& frame) {
  const Result<void> checked = check_frame(frame, {Channel::rgb, Channel::depth, Channel::normal});
  CHECK(checked.ok());
  return copy_of(frame, std::make_shared<PixelPool>());
}

const std::uint8_t* pixels_of(const std::shared_ptr<const HeldFrame>& frame) { return first_byte(frame->channels[0].view); }

const std::vector<Channel> declared{Channel::rgb, Channel::depth, Channel::environment};
std::vector<std::uint8_t> some_pixels(1 << 16);

ChannelView small(Channel channel, std::uint32_t width = 8, std::uint32_t height = 4) {
  return view_of(channel, width, height, some_pixels.data());
}

bool is_refused(const FrameView& frame, const char* why) {
  const Result<void> checked = check_frame(frame, declared);
  return !checked.ok() && checked.error().what.find(why) != std::string::npos && !checked.error().fix.empty();
}

}  // namespace

TEST(padded_rows_of_odd_widths_are_packed) {
  for (std::uint32_t width : {1919u, 641u, 1u}) {
    const Padded image(width, 5, 3, 256);
    const auto frame = copied(frame_with(view_of(Channel::rgb, width, 5, image.bytes.data(),
                                                 static_cast<std::ptrdiff_t>(image.row_pitch))));
    CHECK(frame->channels[0].bytes == width * 15);
    for (std::uint32_t y = 0; y < 5; ++y)
      CHECK(std::memcmp(pixels_of(frame) + y * width * 3, &image.bytes[y * image.row_pitch], width * 3) == 0);
  }
}

TEST(rgb_is_taken_out_of_rgba_and_bgra) {
  const Padded image(641, 3, 4, 256);
  ChannelView view = view_of(Channel::rgb, 641, 3, image.bytes.data(), static_cast<std::ptrdiff_t>(image.row_pitch), 4);
  const auto rgb = copied(frame_with(view));
  view.bgr = true;
  const auto swapped = copied(frame_with(view));
  for (std::uint32_t x : {0u, 1u, 640u}) {
    const std::uint8_t* source = &image.bytes[2 * image.row_pitch + 4 * x];
    const std::uint8_t* straight = pixels_of(rgb) + (2 * 641 + x) * 3;
    const std::uint8_t* turned = pixels_of(swapped) + (2 * 641 + x) * 3;
    CHECK(straight[0] == source[0] && straight[2] == source[2]);
    CHECK(turned[0] == source[2] && turned[1] == source[1] && turned[2] == source[0]);
  }
}

TEST(a_negative_pitch_turns_bottom_up_rows) {
  const std::uint8_t rows[] = {9, 9, 9, 5, 5, 5, 1, 1, 1};  // bottom row first
  const auto frame = copied(frame_with(view_of(Channel::rgb, 1, 3, rows + 6, -3)));
  CHECK(pixels_of(frame)[0] == 1 && pixels_of(frame)[3] == 5 && pixels_of(frame)[6] == 9);
}

TEST(channels_lie_at_multiples_of_64_bytes) {
  FrameView frame = frame_with(small(Channel::rgb, 3, 2));
  frame.channels.push_back(small(Channel::depth, 3, 2));
  const auto out = copied(frame);
  CHECK(out->channels[0].offset == 0 && out->channels[1].offset == 64 && out->bytes == 128);
}

TEST(memory_of_frames_is_used_again) {
  const auto pool = std::make_shared<PixelPool>();
  const std::uint8_t* first = pixels_of(hold(frame_with(small(Channel::rgb)), pool));
  CHECK(pixels_of(hold(frame_with(small(Channel::rgb)), pool)) == first);
  CHECK(hold(frame_with(small(Channel::rgb, 64, 64)), pool) != nullptr);  // a change of size
}

TEST(a_frame_without_an_owner_is_copied_and_one_with_an_owner_stays_where_it_is) {
  const auto pool = std::make_shared<PixelPool>();
  FrameView frame = frame_with(small(Channel::rgb));
  CHECK(pixels_of(hold(frame, pool)) != some_pixels.data());
  const auto owner = std::make_shared<int>();
  frame.owner = owner;
  auto held = hold(frame, pool);
  CHECK(pixels_of(held) == some_pixels.data() && owner.use_count() == 3);
  CHECK(pixels_of(copy_of(frame, pool)) != some_pixels.data() && owner.use_count() == 3);
  held.reset();
  CHECK(owner.use_count() == 2);
}

TEST(only_rows_without_padding_travel_as_they_lie) {
  ChannelView view = small(Channel::rgb);
  CHECK(is_packed(view));
  view.row_pitch_bytes = 24;
  view.pixel_pitch_bytes = 3;
  CHECK(is_packed(view));
  view.row_pitch_bytes = -24;
  CHECK(!is_packed(view));
  view.row_pitch_bytes = 256;
  CHECK(!is_packed(view));
  view = small(Channel::rgb);
  view.pixel_pitch_bytes = 4;
  CHECK(!is_packed(view));
  view = small(Channel::rgb);
  view.bgr = true;
  CHECK(!is_packed(view));
}

TEST(frames_that_break_the_channel_table_are_refused) {
  FrameView frame = frame_with(small(Channel::rgb));
  CHECK(check_frame(frame, declared).ok());
  CHECK(is_refused(frame_with(small(Channel::depth)), "needs at least the rgb"));
  CHECK(is_refused(frame_with(small(Channel::flow)), "was not declared"));
  CHECK(is_refused(frame_with(small(Channel::rgb, 0, 4)), "0x4"));
  CHECK(is_refused(frame_with(small(Channel::rgb, 16385, 4)), "16385x4"));
  CHECK(is_refused(frame_with(small(Channel::rgb, 16384, 16384)), "too large"));
  frame.channels.push_back(small(Channel::rgb));
  CHECK(is_refused(frame, "stands twice"));
  frame.channels[1] = small(Channel::depth, 4, 4);
  CHECK(is_refused(frame, "depth is 4x4, rgb of the same frame is 8x4"));
  frame.channels[1] = small(Channel::environment, 4, 2);  // has a size of its own
  CHECK(check_frame(frame, declared).ok());
  frame.channels[1].dtype = DType::float32;
  CHECK(is_refused(frame, "comes as float32"));
}

TEST(pitches_that_cannot_be_are_refused) {
  ChannelView view = small(Channel::rgb);
  view.row_pitch_bytes = 8;  // a pitch in pixels
  CHECK(is_refused(frame_with(view), "row pitch of 8 bytes, 8 pixels need 24"));
  view = small(Channel::rgb);
  view.pixel_pitch_bytes = 2;
  CHECK(is_refused(frame_with(view), "pixels of 2 bytes"));
  view = small(Channel::rgb);
  view.pixels = nullptr;
  CHECK(is_refused(frame_with(view), "no pixels"));
}

TEST(poses_and_indices_that_cannot_be_are_refused) {
  FrameView frame = frame_with(small(Channel::rgb));
  frame.pose.world_from_camera[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK(is_refused(frame, "not finite"));
  frame = frame_with(small(Channel::rgb));
  frame.index = -1;
  CHECK(is_refused(frame, "negative"));
}

TEST(intrinsics_put_the_field_of_views_edge_at_the_pictures_edge) {
  const auto k = image_from_vertical_fov(1.0, 640, 360);
  CHECK(std::abs(k[4] * std::tan(0.5) + k[5] - 360) < 1e-9);
  CHECK(k[0] == k[4] && k[2] == 320 && k[8] == 1);
}
