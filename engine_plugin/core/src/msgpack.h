// MessagePack, as much of it as docs/protocol.md uses: nil, bool, integers, float 64, strings, arrays, maps.
//
// Written here and not taken from a library because the wire wants two things that are shorter to write than to
// configure: every integer in its shortest form on the way out, every length held against a cap on the way in.
// Specification: https://github.com/msgpack/msgpack/blob/master/spec.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace renderlift::msgpack {

// Appends values to `bytes`; the caller counts what it puts into arrays and maps.
class Writer {
 public:
  std::vector<std::uint8_t> bytes;

  void nil();
  void boolean(bool value);
  void integer(std::int64_t value);
  void integer(std::uint64_t value);
  void integer(std::uint32_t value) { integer(std::uint64_t{value}); }
  void real(double value);  // always as float 64
  void string(std::string_view text);
  void array(std::size_t count);
  void map(std::size_t count);

 private:
  void big_endian(std::uint8_t head, std::uint64_t value, int count);
};

enum class Kind { nil, boolean, integer, real, string, binary, array, map, extension, end };

// Reads values from bytes that nobody vouches for. The first thing that does not fit makes the reader fail for good:
// all later reads return zeros, and `problem` says what it was. Strings are views into the bytes.
class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

  Kind kind() const;
  bool nil_here();  // takes a nil, if there is one
  bool boolean();
  std::int64_t integer(std::int64_t least, std::int64_t most);
  std::uint64_t unsigned_integer(std::uint64_t most);
  double real();  // integers are taken as well
  std::string_view string(std::size_t min_characters, std::size_t max_characters);  // UTF-8, checked
  std::size_t array(std::size_t max_count);
  std::size_t map(std::size_t max_count);
  void skip();  // one value with all that is in it

  bool at_end() const { return at_ == end_; }
  bool failed() const { return !problem_.empty(); }
  const std::string& problem() const { return problem_; }
  void fail(std::string problem);

 private:
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  std::uint64_t big_endian(int count);
  std::uint8_t head();
  std::size_t length(std::uint8_t head, Kind kind);
  void skip_inside(int depth);

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::string problem_;
};

// The number of characters in `text`, or -1 if it is not UTF-8 (RFC 3629: no surrogates, no overlong forms).
std::ptrdiff_t utf8_characters(std::string_view text);

}  // namespace renderlift::msgpack
