#include "unrealcv_pictures.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace renderlift::unrealcv {

namespace {

constexpr float sky_cm = 65504.0f;  // the largest half float, which UnrealCV's depth ends at
constexpr std::size_t max_stored_bytes = 65535;

// The frames are copies: their rows have no padding.
const ChannelView* find(const HeldFrame& frame, Channel channel) {
  for (const HeldChannel& held : frame.channels)
    if (held.view.channel == channel) return &held.view;
  return nullptr;
}

void put_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320u ^ value >> 1 : value >> 1;
    table[i] = value;
  }
  return table;
}

std::uint32_t crc32(const std::string& bytes, std::size_t from) {
  static const auto table = make_crc_table();
  std::uint32_t crc = 0xffffffffu;
  for (std::size_t i = from; i < bytes.size(); ++i)
    crc = table[(crc ^ static_cast<std::uint8_t>(bytes[i])) & 0xff] ^ crc >> 8;
  return ~crc;
}

void put_chunk(std::string& out, const char* type, const std::string& data) {
  put_u32(out, static_cast<std::uint32_t>(data.size()));
  const std::size_t start = out.size();
  out += type;
  out += data;
  put_u32(out, crc32(out, start));
}

std::uint32_t adler32(const std::string& bytes) {
  std::uint32_t a = 1, b = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    // 5552 bytes are as many as 32 bits can add up before the remainder is due.
    for (const std::size_t end = std::min(bytes.size(), at + 5552); at < end; ++at) {
      a += static_cast<std::uint8_t>(bytes[at]);
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b << 16 | a;
}

// A zlib stream of stored blocks (RFC 1950, RFC 1951).
std::string stored(const std::string& bytes) {
  std::string out("\x78\x01", 2);
  for (std::size_t at = 0; at < bytes.size() || at == 0;) {
    const std::size_t count = std::min(max_stored_bytes, bytes.size() - at);
    const auto length = static_cast<std::uint16_t>(count);
    const std::uint16_t header[2] = {length, static_cast<std::uint16_t>(~length)};
    out.push_back(at + count == bytes.size() ? 1 : 0);
    for (std::uint16_t value : header) out.push_back(static_cast<char>(value)), out.push_back(static_cast<char>(value >> 8));
    out.append(bytes, at, count);
    at += std::max<std::size_t>(count, 1);
  }
  put_u32(out, adler32(bytes));
  return out;
}

float float_of_half(std::uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const float size = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                   : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return half & 0x8000 ? -size : size;
}

// Component `k` of the normal at pixel `i`, in whichever of its two types it came.
float normal_at(const ChannelView& normal, std::size_t i, std::size_t k) {
  const std::uint8_t* at = first_byte(normal) + (3 * i + k) * dtype_bytes(normal.dtype);
  if (normal.dtype == DType::float32) {
    float value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  std::uint16_t half = 0;
  std::memcpy(&half, at, sizeof half);
  return float_of_half(half);
}

std::uint8_t byte_of(double unit) { return static_cast<std::uint8_t>(std::lround(127.5 * (std::clamp(unit, -1.0, 1.0) + 1))); }

}  // namespace

std::string png(const std::uint8_t* rgb, std::uint32_t width, std::uint32_t height) {
  std::string rows;
  rows.reserve((std::size_t{3} * width + 1) * height);
  for (std::uint32_t y = 0; y < height; ++y) {
    rows.push_back(0);  // no filter
    rows.append(reinterpret_cast<const char*>(rgb) + std::size_t{3} * width * y, std::size_t{3} * width);
  }
  std::string header;
  put_u32(header, width);
  put_u32(header, height);
  header.append("\x08\x02\x00\x00\x00", 5);  // 8 bits, RGB, no interlace
  std::string out("\x89PNG\r\n\x1a\n", 8);
  put_chunk(out, "IHDR", header);
  put_chunk(out, "IDAT", stored(rows));
  put_chunk(out, "IEND", "");
  return out;
}

std::array<std::uint8_t, 3> mask_color(std::uint32_t id) {
  // An odd factor permutes the 24-bit numbers, so that neighbours look different and none is used twice.
  const std::uint32_t mixed = id * 0x9e3779b1u & 0xffffffu;
  return {static_cast<std::uint8_t>(mixed >> 16), static_cast<std::uint8_t>(mixed >> 8), static_cast<std::uint8_t>(mixed)};
}

std::optional<std::string> lit_png(const HeldFrame& frame) {
  const ChannelView* rgb = find(frame, Channel::rgb);
  if (rgb == nullptr) return std::nullopt;
  return png(first_byte(*rgb), rgb->width, rgb->height);
}

std::optional<std::string> depth_npy(const HeldFrame& frame) {
  const ChannelView* depth = find(frame, Channel::depth);
  if (depth == nullptr) return std::nullopt;
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(depth->height) + ", " +
                       std::to_string(depth->width) + "), }";
  header.append(64 - (10 + header.size() + 1) % 64, ' ');  // the data begins at a multiple of 64
  header.push_back('\n');
  std::string out("\x93NUMPY\x01\x00", 8);
  out.push_back(static_cast<char>(header.size()));
  out.push_back(static_cast<char>(header.size() >> 8));
  out += header;
  for (std::size_t i = 0; i < std::size_t{depth->width} * depth->height; ++i) {
    float metres = 0;
    std::memcpy(&metres, first_byte(*depth) + 4 * i, sizeof metres);
    const float cm = std::isfinite(metres) ? 100.0f * metres : sky_cm;
    out.append(reinterpret_cast<const char*>(&cm), sizeof cm);
  }
  return out;
}

std::optional<std::string> normal_png(const HeldFrame& frame) {
  const ChannelView* normal = find(frame, Channel::normal);
  if (normal == nullptr) return std::nullopt;
  const auto& m = frame.pose.world_from_camera;
  std::vector<std::uint8_t> rgb;
  rgb.reserve(std::size_t{3} * normal->width * normal->height);
  for (std::size_t i = 0; i < std::size_t{normal->width} * normal->height; ++i) {
    const double n[3] = {normal_at(*normal, i, 0), normal_at(*normal, i, 1), normal_at(*normal, i, 2)};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double world = m[4 * axis] * n[0] + m[4 * axis + 1] * n[1] + m[4 * axis + 2] * n[2];
      rgb.push_back(byte_of(axis == 1 ? -world : world));
    }
  }
  return png(rgb.data(), normal->width, normal->height);
}

std::optional<std::string> mask_png(const HeldFrame& frame) {
  const ChannelView* ids = find(frame, Channel::instance_id);
  if (ids == nullptr) return std::nullopt;
  std::vector<std::uint8_t> rgb;
  rgb.reserve(std::size_t{3} * ids->width * ids->height);
  for (std::size_t i = 0; i < std::size_t{ids->width} * ids->height; ++i) {
    std::uint32_t id = 0;
    std::memcpy(&id, first_byte(*ids) + 4 * i, sizeof id);
    for (std::uint8_t part : mask_color(id)) rgb.push_back(part);
  }
  return png(rgb.data(), ids->width, ids->height);
}

}  // namespace renderlift::unrealcv
