#include "doorbell.h"

#include <zmq.h>

namespace renderlift {

bool Doorbell::open(void* context) {
  inside_.reset(zmq_socket(context, ZMQ_PAIR));
  outside_.reset(zmq_socket(context, ZMQ_PAIR));
  if (!inside_ || !outside_) return false;
  const int none = 0;
  zmq_setsockopt(outside_.get(), ZMQ_LINGER, &none, sizeof none);
  return zmq_bind(inside_.get(), "inproc://doorbell") == 0 && zmq_connect(outside_.get(), "inproc://doorbell") == 0;
}

void Doorbell::ring() {
  if (rung_.exchange(true)) return;
  std::lock_guard<std::mutex> lock(outside_mutex_);
  zmq_send(outside_.get(), "", 0, ZMQ_DONTWAIT);
}

void Doorbell::answer() {
  rung_ = false;
  while (zmq_recv(inside_.get(), nullptr, 0, ZMQ_DONTWAIT) >= 0) continue;
}

}  // namespace renderlift
