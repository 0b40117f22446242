// The writer writes the shortest form, the reader reads every form and believes nothing.
#include "msgpack.h"

#include <cmath>

#include "check.h"
#include "golden.h"

using namespace renderlift::msgpack;
using Bytes = std::vector<std::uint8_t>;

namespace {

Reader reader_of(const Bytes& bytes) { return Reader(bytes.data(), bytes.size()); }

Bytes written(std::int64_t value) {
  Writer writer;
  writer.integer(value);
  return writer.bytes;
}

// Reads one value and writes it again.
void copy_value(Reader& reader, Writer& writer) {
  switch (reader.kind()) {
    case Kind::nil: reader.nil_here(); return writer.nil();
    case Kind::boolean: return writer.boolean(reader.boolean());
    case Kind::real: return writer.real(reader.real());
    case Kind::string: return writer.string(reader.string(0, 4096));
    case Kind::integer: {
      Reader ahead = reader;
      const std::int64_t value = ahead.integer(INT64_MIN, INT64_MAX);
      if (ahead.failed()) return writer.integer(reader.unsigned_integer(UINT64_MAX));
      reader = ahead;
      return writer.integer(value);
    }
    case Kind::array: {
      const std::size_t count = reader.array(1000);
      writer.array(count);
      for (std::size_t i = 0; i < count; ++i) copy_value(reader, writer);
      return;
    }
    case Kind::map: {
      const std::size_t count = reader.map(1000);
      writer.map(count);
      for (std::size_t i = 0; i < 2 * count; ++i) copy_value(reader, writer);
      return;
    }
    default: reader.fail("no such value in the golden files");
  }
}

}  // namespace

TEST(every_golden_message_is_read_and_written_again_unchanged) {
  for (const char* name : {"hello", "ring", "frame_parts", "frame_slot", "names", "heartbeat", "error", "bye", "welcome",
                           "ring_ready", "ack", "nack", "result"}) {
    const Bytes bytes = golden(std::string(name) + ".msgpack");
    Reader reader = reader_of(bytes);
    Writer writer;
    copy_value(reader, writer);
    CHECK(!reader.failed());
    CHECK(reader.at_end());
    CHECK(writer.bytes == bytes);
  }
}

TEST(integers_take_their_shortest_form) {
  const std::int64_t edges[] = {0,      127,    128,        255,         256,           65535,     65536,
                                UINT32_MAX, UINT32_MAX + std::int64_t{1}, INT64_MAX, -1, -32, -33, -128, -129,
                                -32768, -32769, INT32_MIN, INT32_MIN - std::int64_t{1}, INT64_MIN};
  const std::size_t sizes[] = {1, 1, 2, 2, 3, 3, 5, 5, 9, 9, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9};
  for (std::size_t i = 0; i < sizeof edges / sizeof *edges; ++i) {
    const Bytes bytes = written(edges[i]);
    CHECK(bytes.size() == sizes[i]);
    CHECK(reader_of(bytes).integer(INT64_MIN, INT64_MAX) == edges[i]);
  }
}

TEST(the_largest_u64_survives) {
  Writer writer;
  writer.integer(UINT64_MAX);
  CHECK(reader_of(writer.bytes).unsigned_integer(UINT64_MAX) == UINT64_MAX);
  Reader as_signed = reader_of(writer.bytes);
  as_signed.integer(INT64_MIN, INT64_MAX);
  CHECK(as_signed.failed());
}

TEST(strings_of_every_length_class_survive) {
  for (std::size_t size : {0u, 31u, 32u, 255u, 256u, 65535u, 65536u}) {
    Writer writer;
    writer.string(std::string(size, 'x'));
    CHECK(reader_of(writer.bytes).string(0, 70000) == std::string(size, 'x'));
  }
}

TEST(characters_are_counted_not_bytes) {
  CHECK(utf8_characters("Grüße") == 5);
  CHECK(utf8_characters("日本語") == 3);
  CHECK(utf8_characters("\xf0\x9f\x8e\xae") == 1);
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\x80"})
    CHECK(utf8_characters(bad) == -1);
}

TEST(lengths_that_the_bytes_cannot_hold_are_refused) {
  for (const Bytes& bomb : {Bytes{0xdf, 0xff, 0xff, 0xff, 0xff}, Bytes{0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0},
                            Bytes{0xdb, 0xff, 0xff, 0xff, 0xff}, Bytes{0xc6, 0xff, 0xff, 0xff, 0xff}, Bytes{0x81},
                            Bytes{0xa4, 't'}, Bytes{0xcf, 1}, Bytes{}, Bytes(100000, 0x91), Bytes{0xc1}}) {
    Reader reader = reader_of(bomb);
    reader.skip();
    CHECK(reader.failed());
    CHECK(reader.at_end());
  }
}

TEST(integers_are_taken_for_numbers_but_numbers_not_for_integers) {
  CHECK(reader_of(written(-7)).real() == -7.0);
  Writer writer;
  writer.real(1.0);
  Reader reader = reader_of(writer.bytes);
  reader.integer(0, 9);
  CHECK(reader.failed());
  CHECK(reader_of({0xca, 0x3f, 0x80, 0, 0}).real() == 1.0);  // float 32
}
