#include "dialer.h"

#include <algorithm>

#include <zmq.h>

#include "host.h"

namespace renderlift {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds heartbeat{1000};
constexpr milliseconds liveness{3000};        // silence after which the bridge counts as gone
constexpr milliseconds reopen_after{200};     // between two attempts to connect
constexpr milliseconds refused_retry{2000};   // until hello is tried again after a refusal
constexpr milliseconds objection_retry{500};  // and after a message the bridge did not like
constexpr long poll_ms = 50, poll_for_slot_ms = 1, poll_for_frame_ms = 2;
constexpr milliseconds engine_rests_after{250};  // without a frame

bool is_refusal(const std::string& code) {
  return code == "version" || code == "channel_mismatch" || code == "session_taken" || code == "full";
}

}  // namespace

Dialer::Dialer(void* context, Books& books, Doorbell& doorbell, wire::Hello hello, std::optional<CurveKeys> curve)
    : books_(books), doorbell_(doorbell), hello_(std::move(hello)),
      connection_(context, books.endpoint, std::move(curve)), frames_(books, connection_, hello_.session) {}

void Dialer::run() {
  while (!is_done()) turn();
  say_goodbye();
  connection_.close(!welcomed_ ? 0 : books_.mode == Mode::capture ? 1000 : 200);
  doorbell_.close_inside();
  frames_.close_ring();
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.disconnect(books_.closed_clean ? "closed" : books_.why_waiting());
}

void Dialer::turn() {
  zmq_pollitem_t items[] = {{connection_.socket(), 0, ZMQ_POLLIN, 0},
                            {connection_.monitor(), 0, ZMQ_POLLIN, 0},
                            {doorbell_.inside(), 0, ZMQ_POLLIN, 0}};
  zmq_poll(items, 3, poll_time_ms());
  doorbell_.asleep = false;
  doorbell_.answer();
  receive_all();
  watch_monitor();
  const Clock::time_point now = Clock::now();
  const Clock::time_point alive_at = std::max(connection_.heard_at(), connection_.opened_at());
  if (connection_.lost() || now - alive_at > liveness) reconnect(now);
  say_what_is_due(now);
  if (welcomed_) frames_.send_ready();
}

long Dialer::poll_time_ms() {
  if (welcomed_ && frames_.waits_for_slot()) return poll_for_slot_ms;
  // First the flag and then the look: a frame that this look misses finds the flag set, and rings.
  doorbell_.asleep = true;
  std::lock_guard<std::mutex> lock(books_.mutex);
  if (!welcomed_) return poll_ms;
  const Clock::time_point now = Clock::now();
  bool has_credit = false;
  for (const CameraBooks& camera : books_.cameras) {
    if (camera.outbox.is_ready(books_.credits, now)) return 0;
    has_credit = has_credit || camera.outbox.has_credit(books_.credits);
  }
  const bool soon = books_.mode == Mode::preview && has_credit && now - books_.last_published < engine_rests_after;
  doorbell_.asleep = !soon;
  return soon ? poll_for_frame_ms : poll_ms;
}

// The connection

Result<void> Dialer::open_socket() {
  hello_due_ = Clock::now();
  why_lost_.reset();
  return connection_.open();
}

// Starts over with an empty socket: what the old one still queues must not precede hello.
void Dialer::reconnect(Clock::time_point now) {
  bool is_refused = false;
  {
    std::lock_guard<std::mutex> lock(books_.mutex);
    is_refused = books_.refusal.has_value();
  }
  if (now - connection_.opened_at() < (is_refused ? refused_retry : reopen_after)) return;
  if (welcomed_) disconnected("the bridge at " + books_.endpoint + " is gone, waiting for it to come back");
  else if (!is_refused && !why_lost_) disconnected("no bridge answers at " + books_.endpoint);
  if (Result<void> opened = open_socket(); !opened) disconnected(opened.error().what, opened.error());
}

void Dialer::disconnected(std::string problem, std::optional<Error> refusal) {
  welcomed_ = false;
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.disconnect(std::move(problem), std::move(refusal));
}

void Dialer::refused(Error refusal) {
  std::string what = refusal.what;
  disconnected(std::move(what), std::move(refusal));
  hello_due_ = Clock::now() + refused_retry;
}

void Dialer::watch_monitor() {
  std::optional<Error> why = connection_.read_monitor();
  if (!why) return;
  why_lost_ = why;
  disconnected(why->what, why->kind == ErrorKind::refused ? why : std::nullopt);
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.fix = why->fix;
}

// What is received

void Dialer::receive_all() {
  for (;;) {
    Part header;
    std::optional<Part> only_part;
    if (!connection_.receive(header, only_part)) return;
    Result<wire::BridgeMessage> message = wire::decode_from_bridge(header.data(), header.size());
    if (message) {
      take_any(message.value(), only_part);
    } else if (message.error().kind == ErrorKind::refused) {
      refused(message.error());
    } else {
      std::lock_guard<std::mutex> lock(books_.mutex);
      books_.problem = message.error().what;
      books_.fix = message.error().fix;
    }
  }
}

void Dialer::take_any(const wire::BridgeMessage& message, std::optional<Part>& picture) {
  if (const auto* welcome = std::get_if<wire::Welcome>(&message)) take(*welcome);
  else if (const auto* ready = std::get_if<wire::RingReady>(&message)) frames_.take(*ready);
  else if (const auto* ack = std::get_if<wire::Ack>(&message)) take(*ack);
  else if (const auto* nack = std::get_if<wire::Nack>(&message)) take(*nack);
  else if (const auto* error = std::get_if<wire::ErrorMessage>(&message)) take(*error);
  else if (const auto* result = std::get_if<wire::ResultHeader>(&message)) take(*result, picture);
  else if (std::holds_alternative<wire::Bye>(message)) connection_.give_up();
}

void Dialer::take(const wire::Welcome& welcome) {
  std::vector<Channel> accepted;
  for (const std::string& name : welcome.channels)
    if (const ChannelSpec* spec = find_channel(name)) accepted.push_back(spec->channel);
  frames_.begin(accepted, welcome.shared_memory && !hello_.host.empty() && welcome.host == hello_.host);
  welcomed_ = true;
  const BooksLock lock(books_);
  for (CameraBooks& camera : books_.cameras) {
    std::int64_t settled = -1;
    for (const wire::Settled& row : welcome.cameras)
      if (row.name == camera.outbox.name) settled = row.index;
    camera.outbox.start_anew(settled);
  }
  books_.credits = welcome.credits;
  books_.welcomed = true;
  books_.bridge = welcome.bridge;
  books_.accepted = std::move(accepted);
  books_.refusal.reset();
  books_.problem.clear();
  books_.fix.clear();
  books_.changed.notify_all();
}

void Dialer::take(const wire::Ack& ack) {
  const BooksLock lock(books_);
  books_.credits = ack.credits;
  if (CameraBooks* camera = books_.camera(ack.camera)) camera->outbox.settle(ack.index);
  books_.changed.notify_all();
}

void Dialer::take(const wire::Nack& nack) {
  std::lock_guard<std::mutex> lock(books_.mutex);
  if (CameraBooks* camera = books_.camera(nack.camera)) camera->outbox.refuse(nack.index, Clock::now());
}

void Dialer::take(const wire::ResultHeader& header, std::optional<Part>& pixels) {
  if (header.session != hello_.session) return;
  const bool whole = pixels && pixels->size() == std::size_t{3} * header.width * header.height &&
                     host::checksum(pixels->data(), pixels->size()) == header.checksum;
  if (!whole) {
    std::lock_guard<std::mutex> lock(books_.mutex);
    books_.problem = "the picture for frame " + std::to_string(header.index) + " arrived damaged";
    return;
  }
  Picture picture;
  picture.camera = header.camera;
  picture.index = header.index;
  picture.width = header.width;
  picture.height = header.height;
  picture.rgb.assign(pixels->data(), pixels->data() + pixels->size());
  picture.timings_ms = header.timings_ms;
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.note_picture(std::move(picture), Clock::now());
}

void Dialer::take(const wire::ErrorMessage& error) {
  if (error.code == "version" || (is_refusal(error.code) && !welcomed_)) {
    refused(Error{ErrorKind::refused, error.message, error.fix});
  } else if (error.code == "failed") {
    std::lock_guard<std::mutex> lock(books_.mutex);
    books_.problem = error.message;
    books_.fix = error.fix;
  } else if (error.code == "hello_needed") {
    if (!welcomed_) return;
    disconnected("the bridge has forgotten this session");
    hello_due_ = {};
  } else {
    disconnected(error.message);
    hello_due_ = Clock::now() + objection_retry;
  }
}

// What is said

void Dialer::say_what_is_due(Clock::time_point now) {
  if (now >= hello_due_) return say_hello();
  if (!welcomed_) return;
  std::optional<std::vector<IdName>> names;
  {
    std::lock_guard<std::mutex> lock(books_.mutex);
    if (books_.names_changed) names = books_.names;
    books_.names_changed = false;
  }
  if (names) connection_.send(wire::encode_names(*names));
  else if (now - connection_.sent_at() >= heartbeat) connection_.send(wire::encode_heartbeat());
}

void Dialer::say_hello() {
  {
    std::lock_guard<std::mutex> lock(books_.mutex);
    hello_.cameras.clear();
    for (const CameraBooks& camera : books_.cameras)
      hello_.cameras.push_back({camera.outbox.name, camera.outbox.acknowledged_index});
    hello_.names = books_.names;
    books_.names_changed = false;
  }
  connection_.send(wire::encode(hello_));
  hello_due_ = (Clock::time_point::max)();
}

// The end

bool Dialer::is_done() {
  std::lock_guard<std::mutex> lock(books_.mutex);
  if (!books_.close_by) return false;
  const bool nobody_there = !books_.welcomed && books_.mode == Mode::preview;
  return nobody_there || books_.unsettled() == 0 || Clock::now() >= *books_.close_by;
}

void Dialer::say_goodbye() {
  std::vector<wire::EndRow> rows;
  {
    const BooksLock lock(books_);
    books_.closed_clean = books_.unsettled() == 0;
    for (CameraBooks& camera : books_.cameras) {
      if (camera.outbox.mode == Mode::preview) camera.outbox.drop_waiting();
      rows.push_back({camera.outbox.name, camera.outbox.last_index, camera.outbox.dropped});
    }
  }
  if (welcomed_) connection_.send(wire::encode_bye(rows));
}

}  // namespace renderlift
