#include "renderlift/publisher.h"

#include <thread>

#include <zmq.h>

#include "books.h"
#include "dialer.h"
#include "doorbell.h"
#include "endpoint.h"
#include "host.h"
#include "wire.h"

namespace renderlift {

namespace {

using std::chrono::milliseconds;

// What waits is renewed this often while nobody takes it: enough to greet a new bridge with a fresh frame.
constexpr milliseconds renew_after{100};

wire::Hello hello_of(const PublisherOptions& options) {
  wire::Hello hello;
  hello.engine = options.engine;
  hello.engine_version = options.engine_version;
  hello.session = options.session.empty() ? host::random_hex(32) : options.session;
  hello.instance = host::random_hex(16);
  hello.mode = options.mode;
  hello.host = options.shared_memory ? host::host_id() : "";
  hello.shared_memory = !hello.host.empty();
  hello.channels = options.channels;
  return hello;
}

Error closed() { return {ErrorKind::invalid, "this publisher is closed", "Open a new one."}; }

// A deadline that `wait_for_ever` does not overflow.
Clock::time_point deadline(milliseconds timeout) {
  const auto now = Clock::now();
  return timeout >= std::chrono::hours(24 * 365) ? (Clock::time_point::max)() : now + timeout;
}

}  // namespace

struct Publisher::Inside {
  Inside(const PublisherOptions& options, const wire::Hello& hello)
      : channels(options.channels), books(options, hello.session), context(zmq_ctx_new()) {}
  ~Inside() {
    doorbell.reset();
    dialer.reset();
    zmq_ctx_term(context);
  }

  template <class Ready>
  bool wait(std::unique_lock<std::mutex>& lock, Clock::time_point until, Ready ready) {
    // In steps, because a wait until the end of time overflows inside some standard libraries.
    while (!ready()) {
      const auto now = Clock::now();
      if (now >= until) return false;
      books.changed.wait_until(lock, std::min(until, now + milliseconds(500)));
    }
    return true;
  }
  Result<void> wait_for_credit(std::unique_lock<std::mutex>& lock, const Outbox& outbox, milliseconds timeout);
  Result<void> check_index(const Outbox& outbox, std::int64_t index) const;

  const std::vector<Channel> channels;
  Books books;
  void* const context;
  std::shared_ptr<PixelPool> pool = std::make_shared<PixelPool>();
  std::unique_ptr<Doorbell> doorbell;
  std::unique_ptr<Dialer> dialer;
  std::thread thread;
};

Result<void> Publisher::Inside::check_index(const Outbox& outbox, std::int64_t index) const {
  if (books.close_by) return closed();
  if (index <= outbox.last_index)
    return Error{ErrorKind::invalid,
                 "frame index " + std::to_string(index) + " after " + std::to_string(outbox.last_index),
                 "Let it grow within a session."};
  return {};
}

Result<void> Publisher::Inside::wait_for_credit(std::unique_lock<std::mutex>& lock, const Outbox& outbox,
                                                milliseconds timeout) {
  const std::uint64_t cancels_before = books.cancels;
  const auto has_credit = [&] { return books.welcomed && outbox.unsettled() < books.credits; };
  const auto done = [&] {
    return has_credit() || books.refusal || books.close_by || books.cancels != cancels_before;
  };
  if (!wait(lock, deadline(timeout), done))
    return Error{ErrorKind::timeout,
                 "frame not sent within " + std::to_string(timeout.count()) + " ms: " + books.why_waiting(),
                 "Start the bridge at " + books.endpoint + ", or see why it does not record."};
  if (books.refusal) return *books.refusal;
  if (books.close_by) return closed();
  if (has_credit()) return {};
  return Error{ErrorKind::cancelled, "the wait was cancelled: " + books.why_waiting(), "Publish the frame again."};
}

Publisher::Publisher(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}

Result<std::unique_ptr<Publisher>> Publisher::open(PublisherOptions options) {
  if (Result<void> checked = check_options(options); !checked) return checked.error();
  if (options.curve && !zmq_has("curve"))
    return Error{ErrorKind::invalid, "this build has no encryption", "Build the core with -DRENDERLIFT_CURVE=ON."};
  const wire::Hello hello = hello_of(options);
  auto inside = std::make_unique<Inside>(options, hello);
  inside->doorbell = std::make_unique<Doorbell>();
  if (inside->context == nullptr || !inside->doorbell->open(inside->context))
    return Error{ErrorKind::transport, std::string("no sockets: ") + zmq_strerror(zmq_errno()),
                 "Close other programs, or allow this one more open files (ulimit -n)."};
  inside->dialer =
      std::make_unique<Dialer>(inside->context, inside->books, *inside->doorbell, hello, options.curve);
  if (Result<void> opened = inside->dialer->open_socket(); !opened) return opened.error();
  inside->thread = std::thread([dialer = inside->dialer.get()] { dialer->run(); });
  return std::unique_ptr<Publisher>(new Publisher(std::move(inside)));
}

Publisher::~Publisher() { close(milliseconds(inside_->books.mode == Mode::capture ? 5000 : 200)); }

Result<Published> Publisher::publish(const FrameView& frame, milliseconds timeout) {
  Books& books = inside_->books;
  if (Result<void> checked = check_frame(frame, inside_->channels); !checked) return checked.error();
  CameraBooks* camera = books.camera(frame.camera);  // their names never change
  if (camera == nullptr)
    return Error{ErrorKind::invalid, "camera '" + frame.camera + "' was not declared",
                 "Name it in PublisherOptions::cameras."};
  {
    std::unique_lock<std::mutex> lock(books.mutex);
    if (Result<void> checked = inside_->check_index(camera->outbox, frame.index); !checked) return checked.error();
    if (books.mode == Mode::capture)
      if (Result<void> credit = inside_->wait_for_credit(lock, camera->outbox, timeout); !credit) return credit.error();
  }
  // Without the lock: the connection's thread must not wait for a copy of megabytes.
  FramePtr held = hold(frame, inside_->pool);
  if (!held) return Error{ErrorKind::invalid, "no memory for a copy of the frame", "Send fewer or smaller channels."};
  Published published = Published::queued;
  bool may_go = false;
  {
    const BooksLock lock(books);
    if (Result<void> checked = inside_->check_index(camera->outbox, frame.index); !checked) return checked.error();
    const Clock::time_point now = Clock::now();
    camera->published_at.note(frame.index, now);
    books.published_rate.count(now);
    books.last_published = now;
    published = camera->outbox.put(std::move(held), now);
    may_go = books.welcomed && camera->outbox.is_ready(books.credits, now);
  }
  if (may_go && inside_->doorbell->asleep) inside_->doorbell->ring();
  return published;
}

bool Publisher::wants_frame(std::string_view name) const {
  Books& books = inside_->books;
  std::lock_guard<std::mutex> lock(books.mutex);
  const CameraBooks* camera = books.camera(name);
  if (camera == nullptr || books.close_by) return false;
  const Outbox& outbox = camera->outbox;
  if (books.mode == Mode::capture) return books.welcomed && outbox.unsettled() < books.credits;
  return !outbox.any_waiting() || Clock::now() - outbox.waiting_since() >= renew_after;
}

std::vector<Picture> Publisher::poll_results() {
  std::vector<Picture> pictures;
  std::lock_guard<std::mutex> lock(inside_->books.mutex);
  for (CameraBooks& camera : inside_->books.cameras) {
    if (!camera.picture) continue;
    pictures.push_back(std::move(*camera.picture));
    camera.picture.reset();
  }
  return pictures;
}

Stats Publisher::stats() const {
  std::lock_guard<std::mutex> lock(inside_->books.mutex);
  return inside_->books.stats(Clock::now());
}

Result<void> Publisher::set_names(std::vector<IdName> names) {
  if (Result<void> checked = check_names(names); !checked) return checked;
  {
    std::lock_guard<std::mutex> lock(inside_->books.mutex);
    inside_->books.names = std::move(names);
    inside_->books.names_changed = true;
  }
  inside_->doorbell->ring();
  return {};
}

bool Publisher::wait_connected(milliseconds timeout) {
  std::unique_lock<std::mutex> lock(inside_->books.mutex);
  const Books& books = inside_->books;
  inside_->wait(lock, deadline(timeout), [&] { return books.welcomed || books.close_by; });
  return books.welcomed;
}

Result<std::int64_t> Publisher::resume_index(std::string_view name, milliseconds timeout) {
  const bool connected = wait_connected(timeout);
  std::lock_guard<std::mutex> lock(inside_->books.mutex);
  if (!connected) return Error{ErrorKind::transport, inside_->books.why_waiting(), inside_->books.fix};
  const CameraBooks* camera = inside_->books.camera(name);
  if (camera == nullptr)
    return Error{ErrorKind::invalid, "camera '" + std::string(name) + "' was not declared",
                 "Name it in PublisherOptions::cameras."};
  return camera->outbox.acknowledged_index + 1;
}

void Publisher::cancel() {
  std::lock_guard<std::mutex> lock(inside_->books.mutex);
  ++inside_->books.cancels;
  inside_->books.changed.notify_all();
}

bool Publisher::close(milliseconds timeout) {
  {
    std::lock_guard<std::mutex> lock(inside_->books.mutex);
    if (!inside_->books.close_by) inside_->books.close_by = deadline(timeout);
    inside_->books.changed.notify_all();
  }
  inside_->doorbell->ring();
  if (inside_->thread.joinable()) inside_->thread.join();
  std::lock_guard<std::mutex> lock(inside_->books.mutex);
  return inside_->books.closed_clean;
}

}  // namespace renderlift
