// The loop of an engine, and where Renderlift hooks into it. Copy this folder to begin an adapter: engine.* is what your
// engine already has, adapter.* and axes.h are what you write.
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>

#include "adapter.h"
#include "axes.h"
#include "engine.h"
#include "options.h"
#include "renderlift/unrealcv_server.h"

namespace {

using namespace null_engine;
using renderlift::Publisher;
using renderlift::UnrealcvServer;
using std::chrono::milliseconds;

void tell(const renderlift::Error& error) { std::fprintf(stderr, "%s\n%s\n", error.what.c_str(), error.fix.c_str()); }

milliseconds ms_of(double seconds) { return milliseconds(static_cast<std::int64_t>(1000 * seconds)); }

renderlift::Result<renderlift::PublisherOptions> publisher_options(const Options& options) {
  renderlift::PublisherOptions publisher;
  publisher.endpoint = options.endpoint;
  publisher.engine = "null";
  publisher.engine_version = "1";
  publisher.mode = options.capture ? renderlift::Mode::capture : renderlift::Mode::preview;
  publisher.channels = channels();
  publisher.names = names();
  publisher.session = options.session;
  publisher.shared_memory = options.shared_memory;
  if (options.key_path.empty() && options.peer_path.empty()) return publisher;
  auto keys = renderlift::load_curve_keys(options.key_path, options.peer_path);
  if (!keys) return keys.error();
  publisher.curve = std::move(keys.value());
  return publisher;
}

void show_results(Publisher& publisher, const Options& options) {
  for (const renderlift::Picture& picture : publisher.poll_results())
    if (!options.picture_path.empty()) show(picture, options.picture_path);
}

// Who hears of each frame: the bridge, and UnrealCV's clients where the server runs.
struct Listeners {
  Publisher& publisher;
  UnrealcvServer* unrealcv;
};

// The engine's camera: on its path, until a client of UnrealCV has put it elsewhere.
Camera place_camera(const Listeners& to, std::int64_t tick) {
  static std::optional<Camera> placed;
  if (to.unrealcv != nullptr)
    for (const renderlift::CameraMove& move : to.unrealcv->take_moves()) placed = camera_of(move.world_from_camera);
  return placed.value_or(camera_at(tick));
}

Readback draw_frame(std::int64_t tick, const Camera& camera, const Options& options) {
  const bool resized = options.resize_after >= 0 && tick >= options.resize_after;
  return draw(tick, camera, options.width + (resized ? 16 : 0), options.height + (resized ? 8 : 0));
}

// One turn of the engine's loop. False when the bridge does not want this engine.
bool tick_once(const Listeners& to, const Options& options, std::int64_t tick) {
  renderlift::FrameView frame = frame_of(draw_frame(tick, place_camera(to, tick), options), "main");
  std::shared_ptr<const void> lent;
  if (options.lend) frame.owner.swap(lent);
  if (to.unrealcv != nullptr && to.unrealcv->wants_frame("main")) (void)to.unrealcv->offer(frame);
  const auto published = to.publisher.publish(frame);
  if (!published) tell(published.error());
  show_results(to.publisher, options);
  return published.ok();
}

// Frames from the first that the bridge still needs of this session.
bool run(const Listeners& to, const Options& options) {
  const auto first = to.publisher.resume_index("main", ms_of(options.wait_s));
  if (!first && options.capture) std::fprintf(stderr, "no bridge yet: %s\n", first.error().what.c_str());
  auto next = std::chrono::steady_clock::now();
  for (std::int64_t tick = first ? first.value() : 0; tick < options.frames; ++tick) {
    if (!tick_once(to, options, tick)) return false;
    if (options.frames_per_s <= 0) continue;
    next += std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 / options.frames_per_s));
    std::this_thread::sleep_until(next);
  }
  return true;
}

std::unique_ptr<UnrealcvServer> start_unrealcv(const Options& options) {
  if (options.unrealcv_port < 0) return nullptr;
  renderlift::UnrealcvOptions server;
  server.port = static_cast<std::uint16_t>(options.unrealcv_port);
  server.scene = "null";
  auto started = UnrealcvServer::start(server);
  if (!started) tell(started.error());
  if (!started) return nullptr;
  started.value()->set_names(names());
  std::printf("{\"unrealcv_port\": %d}\n", started.value()->port());
  std::fflush(stdout);
  return std::move(started.value());
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
  if (!options) return tell(options.error()), 2;
  const auto settings = publisher_options(options.value());
  if (!settings) return tell(settings.error()), 2;
  auto publisher = Publisher::open(settings.value());
  if (!publisher) return tell(publisher.error()), 2;
  const auto unrealcv = start_unrealcv(options.value());
  const bool ran = run({*publisher.value(), unrealcv.get()}, options.value());
  wait_for_last_picture(*publisher.value(), options.value());
  const renderlift::Stats before_goodbye = publisher.value()->stats();
  const bool settled = publisher.value()->close(ms_of(options.value().wait_s)) && ran;
  renderlift::Stats stats = publisher.value()->stats();
  stats.shared_memory = before_goodbye.shared_memory;
  if (!settled && !before_goodbye.problem.empty()) std::fprintf(stderr, "%s\n%s\n", before_goodbye.problem.c_str(), before_goodbye.fix.c_str());
  print(stats, settled);
  return settled ? 0 : 1;
}
