// What the engine's threads and the connection's thread share; `mutex` guards all of it.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "outbox.h"
#include "renderlift/publisher.h"

namespace renderlift {

// Events per second over the last two.
class Rate {
 public:
  void count(Clock::time_point now);
  double per_s(Clock::time_point now) const;

 private:
  static constexpr std::chrono::seconds window{2};
  std::deque<Clock::time_point> times_;
};

// When frames were published, for the latency of what comes back.
class PublishTimes {
 public:
  void note(std::int64_t index, Clock::time_point now);
  std::optional<Clock::time_point> of(std::int64_t index) const;

 private:
  static constexpr std::size_t max_remembered = 4096;
  std::deque<std::pair<std::int64_t, Clock::time_point>> times_;
};

struct CameraBooks {
  CameraBooks(const std::string& name, Mode mode) : outbox(name, mode) {}

  Outbox outbox;
  PublishTimes published_at;
  std::optional<Picture> picture;  // the newest that nobody has taken yet
};

struct Books {
  Books(const PublisherOptions& options, std::string session);

  CameraBooks* camera(std::string_view name);
  std::size_t unsettled() const;
  std::string why_waiting() const;
  void disconnect(std::string problem, std::optional<Error> refusal = std::nullopt);
  void note_picture(Picture picture, Clock::time_point now);
  Stats stats(Clock::time_point now) const;

  const std::string endpoint, session;
  const Mode mode;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<CameraBooks> cameras;  // a deque, because they do not move
  std::vector<IdName> names;
  bool names_changed = false;
  std::uint32_t credits = 1;
  bool welcomed = false;
  bool ring_in_use = false;
  std::string bridge;
  std::vector<Channel> accepted;
  std::optional<Error> refusal;
  std::string problem, fix;
  std::uint64_t result_count = 0;
  double latency_ms = 0;
  std::map<std::string, double> timings_ms;
  Rate published_rate, result_rate;
  Clock::time_point last_published{};
  std::uint64_t cancels = 0;
  std::optional<Clock::time_point> close_by;
  bool closed_clean = false;
};

// The lock, for whoever may make the books let frames go. These are destroyed after it is given back.
class BooksLock {
 public:
  explicit BooksLock(Books& books) : books_(books), lock_(books.mutex) {}
  ~BooksLock();
  BooksLock(const BooksLock&) = delete;
  BooksLock& operator=(const BooksLock&) = delete;

 private:
  Books& books_;
  std::vector<FramePtr> let_go_;  // destroyed last
  std::unique_lock<std::mutex> lock_;
};

}  // namespace renderlift
