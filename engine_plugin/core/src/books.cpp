#include "books.h"

#include <algorithm>

namespace renderlift {

void Rate::count(Clock::time_point now) {
  times_.push_back(now);
  while (now - times_.front() > window) times_.pop_front();
}

double Rate::per_s(Clock::time_point now) const {
  const auto recent = std::lower_bound(times_.begin(), times_.end(), now - window);
  return static_cast<double>(times_.end() - recent) / std::chrono::duration<double>(window).count();
}

void PublishTimes::note(std::int64_t index, Clock::time_point now) {
  times_.emplace_back(index, now);
  if (times_.size() > max_remembered) times_.pop_front();
}

std::optional<Clock::time_point> PublishTimes::of(std::int64_t index) const {
  const auto earlier = [](const auto& entry, std::int64_t wanted) { return entry.first < wanted; };
  const auto found = std::lower_bound(times_.begin(), times_.end(), index, earlier);
  if (found == times_.end() || found->first != index) return std::nullopt;
  return found->second;
}

Books::Books(const PublisherOptions& options, std::string session_name)
    : endpoint(options.endpoint), session(std::move(session_name)), mode(options.mode), names(options.names) {
  for (const std::string& name : options.cameras) cameras.emplace_back(name, mode);
  problem = "no bridge has answered at " + endpoint + " yet";
  fix = "Start the bridge: renderlift serve.";
}

CameraBooks* Books::camera(std::string_view name) {
  for (CameraBooks& camera : cameras)
    if (camera.outbox.name == name) return &camera;
  return nullptr;
}

std::size_t Books::unsettled() const {
  std::size_t count = 0;
  for (const CameraBooks& camera : cameras) count += camera.outbox.unsettled();
  return count;
}

std::string Books::why_waiting() const {
  if (!problem.empty()) return problem;
  return "the bridge has not acknowledged the last " + std::to_string(credits) + " frames yet";
}

void Books::disconnect(std::string why, std::optional<Error> refused) {
  welcomed = false;
  ring_in_use = false;
  problem = std::move(why);
  refusal = std::move(refused);
  fix = refusal ? refusal->fix : "See that the bridge runs: renderlift serve.";
  changed.notify_all();
}

void Books::note_picture(Picture picture, Clock::time_point now) {
  CameraBooks* from = camera(picture.camera);
  if (from == nullptr) return;
  const Clock::time_point published = from->published_at.of(picture.index).value_or(now);
  picture.received = now;
  picture.latency_ms = std::chrono::duration<double, std::milli>(now - published).count();
  latency_ms = picture.latency_ms;
  timings_ms = picture.timings_ms;
  ++result_count;
  result_rate.count(now);
  problem.clear();  // whatever failed before works again
  fix.clear();
  from->picture = std::move(picture);
  changed.notify_all();
}

Stats Books::stats(Clock::time_point now) const {
  Stats stats;
  stats.connected = welcomed;
  stats.bridge = bridge;
  stats.problem = problem;
  stats.fix = fix;
  stats.session = session;
  stats.shared_memory = ring_in_use;
  stats.accepted = accepted;
  for (const CameraBooks& camera : cameras) {
    stats.published += camera.outbox.published;
    stats.dropped += camera.outbox.dropped;
    stats.acknowledged += camera.outbox.acknowledged;
  }
  stats.unsettled = unsettled();
  stats.results = result_count;
  stats.published_per_s = published_rate.per_s(now);
  stats.results_per_s = result_rate.per_s(now);
  stats.latency_ms = latency_ms;
  stats.timings_ms = timings_ms;
  return stats;
}

BooksLock::~BooksLock() {
  for (CameraBooks& camera : books_.cameras)
    for (FramePtr& frame : camera.outbox.take_let_go()) let_go_.push_back(std::move(frame));
}

}  // namespace renderlift
