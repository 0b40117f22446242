// The loop of an engine, and where Renderlift hooks into it. Copy this folder to begin an adapter: engine.* is what your
// engine already has, adapter.* and axes.h are what you write.
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "adapter.h"
#include "engine.h"
#include "options.h"

namespace {

using namespace null_engine;
using renderlift::Publisher;
using std::chrono::milliseconds;

milliseconds ms_of(double seconds) { return milliseconds(static_cast<std::int64_t>(1000 * seconds)); }

renderlift::PublisherOptions publisher_options(const Options& options) {
  renderlift::PublisherOptions publisher;
  publisher.endpoint = options.endpoint;
  publisher.engine = "null";
  publisher.engine_version = "1";
  publisher.mode = options.capture ? renderlift::Mode::capture : renderlift::Mode::preview;
  publisher.channels = channels();
  publisher.names = names();
  publisher.session = options.session;
  publisher.shared_memory = options.shared_memory;
  return publisher;
}

void show_results(Publisher& publisher, const Options& options) {
  for (const renderlift::Picture& picture : publisher.poll_results())
    if (!options.picture_path.empty()) show(picture, options.picture_path);
}

Readback draw_frame(std::int64_t tick, const Options& options) {
  const bool resized = options.resize_after >= 0 && tick >= options.resize_after;
  return draw(tick, options.width + (resized ? 16 : 0), options.height + (resized ? 8 : 0));
}

// One turn of the engine's loop. False when the bridge does not want this engine.
bool tick_once(Publisher& publisher, const Options& options, std::int64_t tick) {
  const Readback readback = draw_frame(tick, options);
  std::vector<float> depth_m;
  const auto published = publisher.publish(frame_of(readback, "main", depth_m));
  if (!published) std::fprintf(stderr, "%s\n%s\n", published.error().what.c_str(), published.error().fix.c_str());
  show_results(publisher, options);
  return published.ok();
}

// Frames from the first that the bridge still needs of this session.
bool run(Publisher& publisher, const Options& options) {
  const auto first = publisher.resume_index("main", ms_of(options.wait_s));
  if (!first && options.capture) std::fprintf(stderr, "no bridge yet: %s\n", first.error().what.c_str());
  auto next = std::chrono::steady_clock::now();
  for (std::int64_t tick = first ? first.value() : 0; tick < options.frames; ++tick) {
    if (!tick_once(publisher, options, tick)) return false;
    if (options.frames_per_s <= 0) continue;
    next += std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 / options.frames_per_s));
    std::this_thread::sleep_until(next);
  }
  return true;
}

// In preview, pictures of the last frames may still be on their way.
void wait_for_last_picture(Publisher& publisher, const Options& options) {
  const auto end = std::chrono::steady_clock::now() + ms_of(options.wait_s);
  while (!options.picture_path.empty() && publisher.stats().results == 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(milliseconds(10));
  show_results(publisher, options);
}

void print(const renderlift::Stats& stats, bool settled) {
  std::printf(
      "{\"published\": %llu, \"acknowledged\": %llu, \"dropped\": %llu, \"results\": %llu, \"shared_memory\": %s, "
      "\"session\": \"%s\", \"settled\": %s}\n",
      static_cast<unsigned long long>(stats.published), static_cast<unsigned long long>(stats.acknowledged),
      static_cast<unsigned long long>(stats.dropped), static_cast<unsigned long long>(stats.results),
      stats.shared_memory ? "true" : "false", stats.session.c_str(), settled ? "true" : "false");
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && std::string(words[1]) == "--help") return std::fputs(usage, stdout), 0;
  const auto options = parse(count, words);
  if (!options) {
    std::fprintf(stderr, "%s\n%s\n", options.error().what.c_str(), options.error().fix.c_str());
    return 2;
  }
  auto publisher = Publisher::open(publisher_options(options.value()));
  if (!publisher) {
    std::fprintf(stderr, "%s\n%s\n", publisher.error().what.c_str(), publisher.error().fix.c_str());
    return 2;
  }
  const bool ran = run(*publisher.value(), options.value());
  wait_for_last_picture(*publisher.value(), options.value());
  const bool shared = publisher.value()->stats().shared_memory;
  const bool settled = publisher.value()->close(ms_of(options.value().wait_s)) && ran;
  renderlift::Stats stats = publisher.value()->stats();
  stats.shared_memory = shared;  // as it was before the goodbye
  print(stats, settled);
  return settled ? 0 : 1;
}
