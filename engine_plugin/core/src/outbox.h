// The engine's books of one camera: what waits, what is under way, what is settled (docs/protocol.md section 4).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "held_frame.h"
#include "renderlift/publisher.h"

namespace renderlift {

using Clock = std::chrono::steady_clock;

using FramePtr = std::shared_ptr<const HeldFrame>;

// A published frame, and the index of the one published before it.
struct Outgoing {
  std::int64_t index = -1, previous = -1;
  FramePtr frame;  // null once it is under way in preview, which sends nothing twice
};

// published = acknowledged + dropped + unsettled, at any time. Not guarded: Books::mutex is.
class Outbox {
 public:
  Outbox(std::string camera_name, Mode camera_mode) : name(std::move(camera_name)), mode(camera_mode) {}

  const std::string name;
  const Mode mode;
  std::int64_t last_index = -1;  // published
  std::int64_t acknowledged_index = -1;
  std::uint64_t published = 0, dropped = 0, acknowledged = 0;

  std::size_t unsettled() const { return waiting_.size() + under_way_.size(); }
  bool any_waiting() const { return !waiting_.empty(); }
  Clock::time_point waiting_since() const { return waiting_since_; }

  Published put(FramePtr frame, Clock::time_point now);
  bool has_credit(std::uint32_t credits) const { return under_way_.size() < credits; }
  // Whether a frame waits that may go now: there is credit, and it is not held back.
  bool is_ready(std::uint32_t credits, Clock::time_point now) const;
  const Outgoing& next() const { return waiting_.front(); }
  Outgoing take();                      // the next frame; from here on it is under way
  void settle(std::int64_t index);      // everything up to `index` has arrived for good
  void refuse(std::int64_t index, Clock::time_point now);  // preview: it is dropped; capture: all is sent again
  void start_anew(std::int64_t settled);  // a connection begins; its bridge holds nothing after `settled`
  void drop_waiting();
  // What the books have let go since the last call. Whoever takes it destroys it without the lock: a frame's owner may
  // be of the engine's, and then that runs its code.
  std::vector<FramePtr> take_let_go();

 private:
  void let_go(Outgoing& outgoing);
  void send_again();

  std::deque<Outgoing> waiting_, under_way_;
  std::vector<FramePtr> let_go_;
  Clock::time_point waiting_since_{};
  Clock::time_point held_until_{};
  std::size_t repeats_ = 0;
};

}  // namespace renderlift
