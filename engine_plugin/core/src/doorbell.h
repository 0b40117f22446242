// Wakes the connection's thread; a ZeroMQ socket must not be touched from two threads at once.
#pragma once

#include <atomic>
#include <mutex>

#include "connection.h"

namespace renderlift {

// Waking a thread may cost the one that wakes it its processor. So while an engine publishes in preview, the dialer
// looks every few milliseconds by itself, and publish() rings only where it is `asleep`.
class Doorbell {
 public:
  bool open(void* context);
  void ring();
  std::atomic<bool> asleep{true};
  void* inside() const { return inside_.get(); }
  void answer();  // dialer's thread: forget all rings so far
  void close_inside() { inside_.reset(); }

 private:
  ZmqSocket inside_, outside_;
  std::mutex outside_mutex_;
  std::atomic<bool> rung_{false};
};

}  // namespace renderlift
