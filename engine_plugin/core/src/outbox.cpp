#include "outbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace renderlift {

namespace {

// Waits before frames are sent again, while nothing is acknowledged in between.
constexpr std::chrono::milliseconds repeat_after[] = {
    std::chrono::milliseconds(0),   std::chrono::milliseconds(50),  std::chrono::milliseconds(100),
    std::chrono::milliseconds(200), std::chrono::milliseconds(400), std::chrono::milliseconds(800),
    std::chrono::milliseconds(1600), std::chrono::milliseconds(2000)};

}  // namespace

Published Outbox::put(FramePtr frame, Clock::time_point now) {
  Outgoing outgoing{frame->index, last_index, std::move(frame)};
  last_index = outgoing.index;
  ++published;
  if (outgoing.index <= acknowledged_index) {
    // An engine that was started again publishes once more what is already durable.
    ++acknowledged;
    let_go(outgoing);
    return Published::queued;
  }
  const bool replaces = mode == Mode::preview && !waiting_.empty();
  if (replaces) drop_waiting();
  waiting_.push_back(std::move(outgoing));
  waiting_since_ = now;
  return replaces ? Published::replaced : Published::queued;
}

bool Outbox::is_ready(std::uint32_t credits, Clock::time_point now) const {
  return !waiting_.empty() && has_credit(credits) && now >= held_until_;
}

Outgoing Outbox::take() {
  Outgoing next = std::move(waiting_.front());
  waiting_.pop_front();
  under_way_.push_back({next.index, next.previous, mode == Mode::capture ? next.frame : nullptr});
  return next;
}

void Outbox::settle(std::int64_t index) {
  for (std::deque<Outgoing>* queue : {&under_way_, &waiting_}) {
    while (!queue->empty() && queue->front().index <= index) {
      let_go(queue->front());
      queue->pop_front();
      ++acknowledged;
      repeats_ = 0;
      held_until_ = {};
    }
  }
  acknowledged_index = std::max(acknowledged_index, index);
}

void Outbox::refuse(std::int64_t index, Clock::time_point now) {
  if (mode == Mode::preview) {
    const auto refused = [&](const Outgoing& out) { return out.index == index; };
    const auto kept = std::remove_if(under_way_.begin(), under_way_.end(), refused);
    dropped += static_cast<std::uint64_t>(std::distance(kept, under_way_.end()));
    under_way_.erase(kept, under_way_.end());
    return;
  }
  send_again();
  held_until_ = now + repeat_after[std::min(repeats_, std::size(repeat_after) - 1)];
  ++repeats_;
}

void Outbox::start_anew(std::int64_t settled) {
  settle(settled);
  if (mode == Mode::preview) {
    dropped += under_way_.size();
    under_way_.clear();
  } else {
    send_again();
  }
}

void Outbox::drop_waiting() {
  dropped += waiting_.size();
  for (Outgoing& outgoing : waiting_) let_go(outgoing);
  waiting_.clear();
}

std::vector<FramePtr> Outbox::take_let_go() { return std::exchange(let_go_, {}); }

void Outbox::let_go(Outgoing& outgoing) {
  if (outgoing.frame) let_go_.push_back(std::move(outgoing.frame));
}

void Outbox::send_again() {
  waiting_.insert(waiting_.begin(), std::make_move_iterator(under_way_.begin()),
                  std::make_move_iterator(under_way_.end()));
  under_way_.clear();
}

}  // namespace renderlift
