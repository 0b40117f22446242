#include "msgpack.h"

#include <cstring>

namespace renderlift::msgpack {

namespace {

constexpr int max_depth = 32;  // of what is skipped; what is read has a depth of three
constexpr std::size_t no_limit = static_cast<std::size_t>(-1);

constexpr std::uint8_t nil_head = 0xc0, false_head = 0xc2, true_head = 0xc3, float32_head = 0xca, float64_head = 0xcb;



Kind kind_of(std::uint8_t head) {
  if (head <= 0x7f || head >= 0xe0) return Kind::integer;
  if (head <= 0x8f) return Kind::map;
  if (head <= 0x9f) return Kind::array;
  if (head <= 0xbf) return Kind::string;
  switch (head) {
    case 0xc0: return Kind::nil;
    case 0xc2: case 0xc3: return Kind::boolean;
    case 0xc4: case 0xc5: case 0xc6: return Kind::binary;
    case 0xca: case 0xcb: return Kind::real;
    case 0xcc: case 0xcd: case 0xce: case 0xcf: return Kind::integer;
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: return Kind::integer;
    case 0xd9: case 0xda: case 0xdb: return Kind::string;
    case 0xdc: case 0xdd: return Kind::array;
    case 0xde: case 0xdf: return Kind::map;
    default: return Kind::extension;  // 0xc1 is used by nobody; skip() refuses it
  }
}

}  // namespace

void Writer::big_endian(std::uint8_t head, std::uint64_t value, int count) {
  bytes.push_back(head);
  for (int shift = 8 * (count - 1); shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

void Writer::nil() { bytes.push_back(nil_head); }

void Writer::boolean(bool value) { bytes.push_back(value ? true_head : false_head); }

void Writer::integer(std::uint64_t value) {
  if (value <= 0x7f) bytes.push_back(static_cast<std::uint8_t>(value));
  else if (value <= 0xff) big_endian(0xcc, value, 1);
  else if (value <= 0xffff) big_endian(0xcd, value, 2);
  else if (value <= 0xffffffff) big_endian(0xce, value, 4);
  else big_endian(0xcf, value, 8);
}

void Writer::integer(std::int64_t value) {
  const auto raw = static_cast<std::uint64_t>(value);
  if (value >= 0) integer(raw);
  else if (value >= -32) bytes.push_back(static_cast<std::uint8_t>(raw));
  else if (value >= INT8_MIN) big_endian(0xd0, raw, 1);
  else if (value >= INT16_MIN) big_endian(0xd1, raw, 2);
  else if (value >= INT32_MIN) big_endian(0xd2, raw, 4);
  else big_endian(0xd3, raw, 8);
}

void Writer::real(double value) {
  std::uint64_t raw = 0;
  std::memcpy(&raw, &value, sizeof raw);
  big_endian(float64_head, raw, 8);
}

void Writer::string(std::string_view text) {
  if (text.size() <= 31) bytes.push_back(static_cast<std::uint8_t>(0xa0 | text.size()));
  else if (text.size() <= 0xff) big_endian(0xd9, text.size(), 1);
  else if (text.size() <= 0xffff) big_endian(0xda, text.size(), 2);
  else big_endian(0xdb, text.size(), 4);
  bytes.insert(bytes.end(), text.begin(), text.end());
}

void Writer::array(std::size_t count) {
  if (count <= 15) bytes.push_back(static_cast<std::uint8_t>(0x90 | count));
  else if (count <= 0xffff) big_endian(0xdc, count, 2);
  else big_endian(0xdd, count, 4);
}

void Writer::map(std::size_t count) {
  if (count <= 15) bytes.push_back(static_cast<std::uint8_t>(0x80 | count));
  else if (count <= 0xffff) big_endian(0xde, count, 2);
  else big_endian(0xdf, count, 4);
}

void Reader::fail(std::string problem) {
  if (!failed()) problem_ = std::move(problem);
  at_ = end_;
}

Kind Reader::kind() const { return at_ == end_ ? Kind::end : kind_of(*at_); }

std::uint8_t Reader::head() {
  if (at_ == end_) {
    fail("it ends too early");
    return nil_head;
  }
  return *at_++;
}

std::uint64_t Reader::big_endian(int count) {
  if (left() < static_cast<std::size_t>(count)) {
    fail("it ends too early");
    return 0;
  }
  std::uint64_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | *at_++;
  return value;
}

bool Reader::nil_here() {
  if (kind() != Kind::nil) return false;
  ++at_;
  return true;
}

bool Reader::boolean() {
  if (kind() != Kind::boolean) fail("true or false is wanted");
  return head() == true_head;
}

std::int64_t Reader::integer(std::int64_t least, std::int64_t most) {
  if (kind() != Kind::integer) fail("an integer is wanted");
  const std::uint8_t first = head();
  std::int64_t value = 0;
  switch (first) {
    case 0xcc: case 0xcd: case 0xce: case 0xcf: {
      const std::uint64_t raw = big_endian(1 << (first - 0xcc));
      if (raw > static_cast<std::uint64_t>(INT64_MAX)) fail("an integer is too large");
      else value = static_cast<std::int64_t>(raw);
      break;
    }
    case 0xd0: value = static_cast<std::int8_t>(big_endian(1)); break;
    case 0xd1: value = static_cast<std::int16_t>(big_endian(2)); break;
    case 0xd2: value = static_cast<std::int32_t>(big_endian(4)); break;
    case 0xd3: value = static_cast<std::int64_t>(big_endian(8)); break;
    default: value = static_cast<std::int8_t>(first);
  }
  if (failed()) return 0;
  if (value < least || value > most) {
    fail("integer " + std::to_string(value) + " is out of range");
    return 0;
  }
  return value;
}

std::uint64_t Reader::unsigned_integer(std::uint64_t most) {
  if (at_ != end_ && *at_ == 0xcf) {
    ++at_;
    const std::uint64_t value = big_endian(8);
    if (value > most) fail("integer " + std::to_string(value) + " is out of range");
    return failed() ? 0 : value;
  }
  const std::uint64_t cap = most < static_cast<std::uint64_t>(INT64_MAX) ? most : static_cast<std::uint64_t>(INT64_MAX);
  return static_cast<std::uint64_t>(integer(0, static_cast<std::int64_t>(cap)));
}

double Reader::real() {
  if (kind() == Kind::integer) {
    if (*at_ == 0xcf) return static_cast<double>(unsigned_integer(UINT64_MAX));
    return static_cast<double>(integer(INT64_MIN, INT64_MAX));
  }
  if (kind() != Kind::real) fail("a number is wanted");
  if (head() == float32_head) {
    const auto raw = static_cast<std::uint32_t>(big_endian(4));
    float value = 0;
    std::memcpy(&value, &raw, sizeof value);
    return static_cast<double>(value);
  }
  const std::uint64_t raw = big_endian(8);
  double value = 0;
  std::memcpy(&value, &raw, sizeof value);
  return value;
}

// How many bytes or values follow `first`, which announces a string, binary, array or map.
std::size_t Reader::length(std::uint8_t first, Kind kind) {
  switch (first) {
    case 0xc4: case 0xd9: return big_endian(1);
    case 0xc5: case 0xda: case 0xdc: case 0xde: return big_endian(2);
    case 0xc6: case 0xdb: case 0xdd: case 0xdf: return big_endian(4);
    default: return first & (kind == Kind::string ? 0x1f : 0x0f);
  }
}

std::string_view Reader::string(std::size_t min_characters, std::size_t max_characters) {
  if (kind() != Kind::string) fail("a string is wanted");
  const std::size_t size = length(head(), Kind::string);
  if (size > left()) fail("a string ends too early");
  if (failed()) return {};
  const std::string_view text(reinterpret_cast<const char*>(at_), size);
  at_ += size;
  const std::ptrdiff_t characters = size > 4 * max_characters ? -2 : utf8_characters(text);
  if (characters == -1) fail("a string is not UTF-8");
  else if (characters < 0 || static_cast<std::size_t>(characters) > max_characters) fail("a string is too long");
  else if (static_cast<std::size_t>(characters) < min_characters) fail("a string is too short");
  return failed() ? std::string_view{} : text;
}

std::size_t Reader::array(std::size_t max_count) {
  if (kind() != Kind::array) fail("a list is wanted");
  const std::size_t count = length(head(), Kind::array);
  // Each value has at least one byte, so a count above what is left is a lie, whatever its cap.
  if (count > max_count || count > left()) fail("a list of " + std::to_string(count) + " is too long");
  return failed() ? 0 : count;
}

std::size_t Reader::map(std::size_t max_count) {
  if (kind() != Kind::map) fail("a map is wanted");
  const std::size_t count = length(head(), Kind::map);
  if (count > max_count || count > left() / 2) fail("a map of " + std::to_string(count) + " is too long");
  return failed() ? 0 : count;
}

void Reader::skip() { skip_inside(max_depth); }

void Reader::skip_inside(int depth) {
  if (depth == 0) return fail("it is nested too deep");
  switch (kind()) {
    case Kind::end: return fail("it ends too early");
    case Kind::nil: ++at_; return;
    case Kind::boolean: boolean(); return;
    case Kind::integer: case Kind::real: real(); return;
    case Kind::string: string(0, no_limit / 4); return;
    case Kind::binary: {
      const std::size_t size = length(head(), Kind::binary);
      if (size > left()) return fail("bytes end too early");
      at_ += size;
      return;
    }
    case Kind::array:
      for (std::size_t count = array(no_limit); count > 0 && !failed(); --count) skip_inside(depth - 1);
      return;
    case Kind::map:
      for (std::size_t count = 2 * map(no_limit); count > 0 && !failed(); --count) skip_inside(depth - 1);
      return;
    case Kind::extension: return fail("a kind of value that the protocol does not use");
  }
}

std::ptrdiff_t utf8_characters(std::string_view text) {
  std::ptrdiff_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++characters) {
    const auto first = static_cast<std::uint8_t>(text[i]);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const int following = first >= 0xc2 && first <= 0xdf ? 1 : (first & 0xf0) == 0xe0 ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
    if (following == 0 || text.size() - i <= static_cast<std::size_t>(following)) return -1;
    std::uint32_t code = first & (0x3f >> following);
    for (int k = 1; k <= following; ++k) {
      const auto byte = static_cast<std::uint8_t>(text[i + static_cast<std::size_t>(k)]);
      if ((byte & 0xc0) != 0x80) return -1;
      code = code << 6 | (byte & 0x3f);
    }
    const bool overlong = code < (following == 3 ? 0x10000u : following == 2 ? 0x800u : 0x80u);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return -1;
    i += static_cast<std::size_t>(following) + 1;
  }
  return characters;
}

}  // namespace renderlift::msgpack
