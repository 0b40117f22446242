// What publish() costs an engine's thread in preview. benchmarks/core_cost.py runs this against bridges that read,
// crawl, hang or are not there.
//
//   preview_cost ENDPOINT WIDTH HEIGHT FRAMES FRAMES_PER_S
//
// In every frame the same pixels are only copied once, for comparison, and published: in turns lent to the core, which
// copies them on this thread, and handed over to it. So whatever else the machine does falls on all three. What is
// handed over lies in memory of its own, as readbacks do, and is not used again before the core has let it go.
// Prints one JSON object of milliseconds.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "renderlift/publisher.h"

namespace {

using namespace renderlift;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void print(const char* name, std::vector<double> times_ms) {
  std::sort(times_ms.begin(), times_ms.end());
  const auto at = [&](double part) { return times_ms[static_cast<std::size_t>(part * static_cast<double>(times_ms.size() - 1))]; };
  std::printf("\"%s\": {\"p50\": %.4f, \"p99\": %.4f, \"max\": %.4f}, ", name, at(0.5), at(0.99), at(1.0));
}

struct Pixels {
  std::vector<std::uint8_t> rgb;
  std::vector<float> depth;
  FrameView frame;
  std::atomic<bool> free{true};

  Pixels(std::uint32_t width, std::uint32_t height)
      : rgb(std::size_t{3} * width * height, 128), depth(std::size_t{width} * height, 5.0f) {
    frame.channels = {view_of(Channel::rgb, width, height, rgb.data()),
                      view_of(Channel::depth, width, height, depth.data())};
  }
  void copy_to(std::vector<std::uint8_t>& copy) const {
    copy.resize(rgb.size() + depth.size() * sizeof(float));
    std::memcpy(copy.data(), rgb.data(), rgb.size());
    std::memcpy(copy.data() + rgb.size(), depth.data(), depth.size() * sizeof(float));
  }
  // A frame that owns these pixels until the last copy of its owner is gone.
  FrameView handed_over() {
    free = false;
    FrameView owned = frame;
    owned.owner = std::shared_ptr<const Pixels>(this, [this](const Pixels*) { free = true; });
    return owned;
  }
};

Pixels& free_one(std::deque<Pixels>& pool, std::uint32_t width, std::uint32_t height) {
  for (Pixels& pixels : pool)
    if (pixels.free) return pixels;
  return pool.emplace_back(width, height);
}

}  // namespace

int main(int count, char** words) {
  if (count != 6) return std::fputs("preview_cost ENDPOINT WIDTH HEIGHT FRAMES FRAMES_PER_S\n", stderr), 2;
  std::deque<Pixels> pool;  // outlives the publisher, which keeps frames until it closes
  PublisherOptions options;
  options.endpoint = words[1];
  options.engine = "preview_cost";
  options.channels = {Channel::rgb, Channel::depth};
  auto publisher = Publisher::open(options);
  if (!publisher) return std::fprintf(stderr, "%s\n", publisher.error().what.c_str()), 2;
  const auto width = static_cast<std::uint32_t>(std::atoi(words[2])), height = static_cast<std::uint32_t>(std::atoi(words[3]));
  std::vector<std::uint8_t> copy;
  const auto period = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 / std::atof(words[5])));
  publisher.value()->wait_connected(std::chrono::milliseconds(2000));
  std::printf("{");
  std::fflush(stdout);

  std::vector<double> copy_ms, lent_ms, handed_over_ms;
  auto next = Clock::now();
  for (int index = 0; index < std::atoi(words[4]); ++index) {
    Pixels& pixels = free_one(pool, width, height);
    auto start = Clock::now();
    pixels.copy_to(copy);
    copy_ms.push_back(ms_since(start));
    const bool lends = index % 2 == 0;
    {
      FrameView frame = lends ? pixels.frame : pixels.handed_over();
      frame.index = index;
      start = Clock::now();
      const bool published = publisher.value()->publish(frame).ok();
      frame.owner.reset();  // within the time: where nobody else kept it, the engine has its memory back here
      (lends ? lent_ms : handed_over_ms).push_back(ms_since(start));
      if (!published) return 1;
    }
    std::this_thread::sleep_until(next += period);
  }
  const Stats stats = publisher.value()->stats();
  print("copy", copy_ms);
  print("lent", lent_ms);
  print("handed_over", handed_over_ms);
  std::printf("\"buffers\": %zu, ", pool.size());
  std::printf("\"acknowledged\": %llu, \"dropped\": %llu}\n", static_cast<unsigned long long>(stats.acknowledged),
              static_cast<unsigned long long>(stats.dropped));
  return 0;
}
