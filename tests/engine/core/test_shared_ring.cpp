// The ring has the golden bytes, holds a slot until the bridge gives it back, and leaves nothing behind.
#include "shared_ring.h"

#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "golden.h"

using namespace renderlift;

namespace {

// A bridge's mapping of a ring.
struct Mapped {
  std::uint8_t* data = nullptr;
  std::size_t bytes = 0;

  explicit Mapped(const wire::RingOffer& offer) : bytes(ring_bytes(offer)) {
    const int fd = open(("/dev/shm/" + offer.name).c_str(), O_RDWR);
    CHECK(fd >= 0);
    data = static_cast<std::uint8_t*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
  }
  ~Mapped() { munmap(data, bytes); }
  void release(std::size_t slot, std::uint64_t sequence) const { std::memcpy(data + 128 + 128 * slot, &sequence, 8); }
};

bool exists(const std::string& name) { return access(("/dev/shm/" + name).c_str(), F_OK) == 0; }

std::shared_ptr<const HeldFrame> golden_frame() {
  const auto rgb = golden("frame_parts.1.bin"), depth = golden("frame_parts.2.bin");
  FrameView frame;
  frame.channels = {view_of(Channel::rgb, 3, 2, rgb.data()), view_of(Channel::depth, 3, 2, depth.data())};
  return copy_of(frame, std::make_shared<PixelPool>());
}

}  // namespace

TEST(our_writer_writes_the_golden_ring) {
  auto ring = RingWriter::create(wire::RingOffer{"renderlift-00000000c0de0001", 2, 4096, 18364758544493064720u});
  CHECK(ring.ok());
  const Mapped mapped(ring.value()->offer());
  const HeldFrame nothing;
  mapped.release(0, ring.value()->write(0, nothing));
  mapped.release(1, ring.value()->write(1, nothing));
  CHECK(ring.value()->write(1, *golden_frame()) == 4);
  const auto wanted = golden("ring.bin");
  CHECK(wanted.size() == mapped.bytes && std::memcmp(mapped.data, wanted.data(), wanted.size()) == 0);
}

TEST(a_slot_is_free_again_only_when_the_bridge_gives_it_back) {
  auto ring = RingWriter::create(2, 5000);
  CHECK(ring.ok() && ring.value()->offer().slot_bytes == 8192);
  const Mapped mapped(ring.value()->offer());
  const auto frame = golden_frame();
  const std::uint64_t first = ring.value()->write(*ring.value()->free_slot(), *frame);
  ring.value()->write(*ring.value()->free_slot(), *frame);
  CHECK(!ring.value()->free_slot());
  mapped.release(0, first);
  CHECK(ring.value()->free_slot() == 0u);
}

TEST(a_ring_that_is_closed_leaves_no_name_and_one_of_the_dead_is_swept) {
  const std::string dead = "renderlift-00000000dead0001";
  std::fclose(std::fopen(("/dev/shm/" + dead).c_str(), "w"));
  std::string name;
  {
    auto ring = RingWriter::create(2, 4096);
    CHECK(ring.ok());
    name = ring.value()->offer().name;
    auto second = RingWriter::create(2, 4096);  // its sweep leaves the living alone
    CHECK(exists(name) && !exists(dead));
  }
  CHECK(!exists(name));
}

TEST(more_memory_than_there_is_is_an_error_now_and_no_fault_later) {
  const auto ring = RingWriter::create(1024, std::size_t{1} << 40);
  CHECK(!ring.ok() && ring.error().what.find("no shared memory") != std::string::npos);
}
