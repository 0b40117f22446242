#include "dialer.h"

#include <algorithm>
#include <cstring>

#include <zmq.h>

#include "endpoint.h"
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
constexpr std::size_t max_ring_bytes = std::size_t{1} << 30;
constexpr std::size_t slots_per_camera = 4;  // two under way, one being read, one being written
// What fits the CPU's cache crosses loopback 1.7 times as fast as with the kernel's own, larger choice.
constexpr int loopback_buffer_bytes = 256 << 10;

bool is_refusal(const std::string& code) {
  return code == "version" || code == "channel_mismatch" || code == "session_taken" || code == "full";
}

void set_int(void* socket, int option, int value) { zmq_setsockopt(socket, option, &value, sizeof value); }

void set_text(void* socket, int option, const std::string& text) {
  zmq_setsockopt(socket, option, text.c_str(), text.size() + 1);
}

// One part of a message, received or to be sent.
struct Part {
  zmq_msg_t message;
  Part() { zmq_msg_init(&message); }
  ~Part() { zmq_msg_close(&message); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  std::uint8_t* data() { return static_cast<std::uint8_t*>(zmq_msg_data(&message)); }
  std::size_t size() { return zmq_msg_size(&message); }
  bool receive(void* socket) { return zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) >= 0; }
  bool more() { return zmq_msg_more(&message) != 0; }
};

using FrameHolder = std::shared_ptr<const PackedFrame>;

void forget_frame(void*, void* holder) { delete static_cast<FrameHolder*>(holder); }

bool send_part(void* socket, zmq_msg_t* message, bool more) {
  if (zmq_msg_send(message, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0) return true;
  zmq_msg_close(message);
  return false;
}

bool send_bytes(void* socket, const wire::Bytes& bytes, bool more) {
  zmq_msg_t message;
  if (zmq_msg_init_size(&message, bytes.size()) != 0) return false;
  std::memcpy(zmq_msg_data(&message), bytes.data(), bytes.size());
  return send_part(socket, &message, more);
}

// Pixels are not copied: ZeroMQ holds the frame until they are on their way.
bool send_pixels(void* socket, const FrameHolder& frame, const PackedBuffer& buffer, bool more) {
  zmq_msg_t message;
  auto* holder = new FrameHolder(frame);
  // ZeroMQ only reads, but its signature does not say so.
  auto* data = const_cast<std::uint8_t*>(frame->pixels() + buffer.offset);
  if (zmq_msg_init_data(&message, data, buffer.bytes, forget_frame, holder) != 0) {
    delete holder;
    return false;
  }
  return send_part(socket, &message, more);
}

}  // namespace

void ZmqClose::operator()(void* socket) const { zmq_close(socket); }

bool Doorbell::open(void* context) {
  inside_.reset(zmq_socket(context, ZMQ_PAIR));
  outside_.reset(zmq_socket(context, ZMQ_PAIR));
  if (!inside_ || !outside_) return false;
  set_int(outside_.get(), ZMQ_LINGER, 0);
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

Dialer::Dialer(void* context, Books& books, Doorbell& doorbell, wire::Hello hello, std::optional<CurveKeys> curve)
    : context_(context), books_(books), doorbell_(doorbell), hello_(std::move(hello)), curve_(std::move(curve)) {}

void Dialer::run() {
  while (!is_done()) turn();
  say_goodbye();
  close_socket(!welcomed_ ? 0 : books_.mode == Mode::capture ? 1000 : 200);
  doorbell_.close_inside();
  ring_.reset();
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.disconnect(books_.closed_clean ? "closed" : books_.why_waiting());
}

void Dialer::turn() {
  zmq_pollitem_t items[] = {{socket_.get(), 0, ZMQ_POLLIN, 0},
                            {monitor_.get(), 0, ZMQ_POLLIN, 0},
                            {doorbell_.inside(), 0, ZMQ_POLLIN, 0}};
  zmq_poll(items, 3, poll_time_ms());
  doorbell_.asleep = false;
  doorbell_.answer();
  receive_all();
  watch_monitor();
  const Clock::time_point now = Clock::now();
  if (lost_ || now - std::max(heard_at_, opened_at_) > liveness) reconnect(now);
  say_what_is_due(now);
  waits_for_slot_ = false;
  if (!welcomed_) return;
  for (CameraBooks& camera : books_.cameras)
    while (send_next(camera.outbox)) continue;
}

long Dialer::poll_time_ms() {
  if (waits_for_slot_) return poll_for_slot_ms;
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
  static std::atomic<unsigned> count{0};
  socket_.reset(zmq_socket(context_, ZMQ_DEALER));
  monitor_.reset(zmq_socket(context_, ZMQ_PAIR));
  if (!socket_ || !monitor_)
    return Error{ErrorKind::transport, std::string("no socket: ") + zmq_strerror(zmq_errno()),
                 "Close other programs, or allow this one more open files (ulimit -n)."};
  const bool loopback = is_loopback(books_.endpoint);
  const auto max_message_bytes = static_cast<std::int64_t>(wire::max_part_bytes);
  zmq_setsockopt(socket_.get(), ZMQ_MAXMSGSIZE, &max_message_bytes, sizeof max_message_bytes);
  set_int(socket_.get(), ZMQ_LINGER, 0);
  set_int(socket_.get(), ZMQ_IPV6, books_.endpoint.find('[') != std::string::npos);
  // Our own window bounds what is queued; ZeroMQ must neither block nor drop.
  set_int(socket_.get(), ZMQ_SNDHWM, 0);
  set_int(socket_.get(), ZMQ_RECONNECT_IVL, 100);
  if (loopback) {
    set_int(socket_.get(), ZMQ_SNDBUF, loopback_buffer_bytes);
    set_int(socket_.get(), ZMQ_RCVBUF, loopback_buffer_bytes);
  }
  if (curve_) {
    set_text(socket_.get(), ZMQ_CURVE_PUBLICKEY, curve_->public_key);
    set_text(socket_.get(), ZMQ_CURVE_SECRETKEY, curve_->secret_key);
    set_text(socket_.get(), ZMQ_CURVE_SERVERKEY, curve_->bridge_key);
  }
  set_int(monitor_.get(), ZMQ_LINGER, 0);
  const std::string events = "inproc://monitor-" + std::to_string(count++);
  zmq_socket_monitor(socket_.get(), events.c_str(), ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
  zmq_connect(monitor_.get(), events.c_str());
  if (zmq_connect(socket_.get(), books_.endpoint.c_str()) != 0)
    return Error{ErrorKind::transport,
                 "'" + books_.endpoint + "' is no address to connect to: " + zmq_strerror(zmq_errno()),
                 std::string("Write it like ") + default_endpoint + "."};
  opened_at_ = sent_at_ = hello_due_ = Clock::now();
  heard_at_ = {};
  lost_ = false;
  return {};
}

void Dialer::close_socket(int linger_ms) {
  if (socket_) {
    zmq_socket_monitor(socket_.get(), nullptr, 0);
    set_int(socket_.get(), ZMQ_LINGER, linger_ms);
  }
  monitor_.reset();
  socket_.reset();
}

// Starts over with an empty socket: what the old one still queues must not precede hello.
void Dialer::reconnect(Clock::time_point now) {
  bool is_refused = false;
  {
    std::lock_guard<std::mutex> lock(books_.mutex);
    is_refused = books_.refusal.has_value();
  }
  if (now - opened_at_ < (is_refused ? refused_retry : reopen_after)) return;
  if (welcomed_) disconnected("the bridge at " + books_.endpoint + " is gone, waiting for it to come back");
  else if (!is_refused) disconnected("no bridge answers at " + books_.endpoint);
  close_socket(0);
  if (Result<void> opened = open_socket(); !opened) {
    disconnected(opened.error().what, opened.error());
    opened_at_ = heard_at_ = Clock::now();
  }
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
  for (;;) {
    Part event, address;
    if (!monitor_ || !event.receive(monitor_.get())) return;
    if (event.more()) address.receive(monitor_.get());
    std::uint16_t number = 0;
    if (event.size() >= sizeof number) std::memcpy(&number, event.data(), sizeof number);
    if (number != ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
      lost_ = true;
      continue;
    }
    const std::string problem = "the bridge at " + books_.endpoint + " does not accept this engine's CURVE key";
    disconnected(problem, Error{ErrorKind::refused, problem, "Add the engine's public key to those the bridge trusts."});
  }
}

// What is received

void Dialer::receive_all() {
  for (;;) {
    Part header, picture;
    if (!socket_ || !header.receive(socket_.get())) return;
    bool more = header.more();
    std::size_t parts = 0;
    for (; more; ++parts) {
      Part rest;
      Part& part = parts == 0 ? picture : rest;
      if (!part.receive(socket_.get())) break;
      more = part.more();
    }
    heard_at_ = Clock::now();
    Result<wire::BridgeMessage> message = wire::decode_from_bridge(header.data(), header.size());
    if (message) {
      take_any(message.value(), parts == 1 ? picture.data() : nullptr, parts == 1 ? picture.size() : 0);
    } else if (message.error().kind == ErrorKind::refused) {
      refused(message.error());
    } else {
      std::lock_guard<std::mutex> lock(books_.mutex);
      books_.problem = message.error().what;
      books_.fix = message.error().fix;
    }
  }
}

void Dialer::take_any(const wire::BridgeMessage& message, const void* picture, std::size_t picture_bytes) {
  if (const auto* welcome = std::get_if<wire::Welcome>(&message)) take(*welcome);
  else if (const auto* ready = std::get_if<wire::RingReady>(&message)) take(*ready);
  else if (const auto* ack = std::get_if<wire::Ack>(&message)) take(*ack);
  else if (const auto* nack = std::get_if<wire::Nack>(&message)) take(*nack);
  else if (const auto* error = std::get_if<wire::ErrorMessage>(&message)) take(*error);
  else if (const auto* result = std::get_if<wire::ResultHeader>(&message)) take(*result, picture, picture_bytes);
  else if (std::holds_alternative<wire::Bye>(message)) lost_ = true;
}

void Dialer::take(const wire::Welcome& welcome) {
  accepted_.clear();
  for (const std::string& name : welcome.channels)
    if (const ChannelSpec* spec = find_channel(name)) accepted_.push_back(spec->channel);
  ring_allowed_ = welcome.shared_memory && !hello_.host.empty() && welcome.host == hello_.host;
  // The bridge may still read from slots of the old ring: it keeps that one, and gets a new one.
  close_ring();
  welcomed_ = true;
  std::lock_guard<std::mutex> lock(books_.mutex);
  for (CameraBooks& camera : books_.cameras) {
    std::int64_t settled = -1;
    for (const wire::Settled& row : welcome.cameras)
      if (row.name == camera.outbox.name) settled = row.index;
    camera.outbox.start_anew(settled);
  }
  books_.credits = welcome.credits;
  books_.welcomed = true;
  books_.bridge = welcome.bridge;
  books_.accepted = accepted_;
  books_.refusal.reset();
  books_.problem.clear();
  books_.fix.clear();
  books_.changed.notify_all();
}

void Dialer::take(const wire::RingReady& ready) {
  if (!ring_ || ready.name != ring_->offer().name) return;
  if (!ready.opened) {
    ring_allowed_ = false;
    return close_ring();
  }
  ring_ready_ = true;
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.ring_in_use = true;
}

void Dialer::take(const wire::Ack& ack) {
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.credits = ack.credits;
  if (CameraBooks* camera = books_.camera(ack.camera)) camera->outbox.settle(ack.index);
  books_.changed.notify_all();
}

void Dialer::take(const wire::Nack& nack) {
  std::lock_guard<std::mutex> lock(books_.mutex);
  if (CameraBooks* camera = books_.camera(nack.camera)) camera->outbox.refuse(nack.index, Clock::now());
}

void Dialer::take(const wire::ResultHeader& header, const void* pixels, std::size_t bytes) {
  if (header.session != hello_.session) return;
  const bool whole = pixels != nullptr && bytes == std::size_t{3} * header.width * header.height &&
                     host::checksum(pixels, bytes) == header.checksum;
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
  const auto* first = static_cast<const std::uint8_t*>(pixels);
  picture.rgb.assign(first, first + bytes);
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

// What is sent

void Dialer::send(const wire::Bytes& header, const std::shared_ptr<const PackedFrame>& frame,
                  const std::vector<PackedBuffer>& parts) {
  sent_at_ = Clock::now();
  bool sent = socket_ && send_bytes(socket_.get(), header, !parts.empty());
  for (std::size_t i = 0; sent && i < parts.size(); ++i)
    sent = send_pixels(socket_.get(), frame, parts[i], i + 1 < parts.size());
  if (!sent) lost_ = true;  // ZeroMQ gives a connection up for good when its keys are refused
}

void Dialer::say_what_is_due(Clock::time_point now) {
  if (now >= hello_due_) return say_hello();
  if (!welcomed_) return;
  std::optional<std::vector<IdName>> names;
  {
    std::lock_guard<std::mutex> lock(books_.mutex);
    if (books_.names_changed) names = books_.names;
    books_.names_changed = false;
  }
  if (names) send(wire::encode_names(*names));
  else if (now - sent_at_ >= heartbeat) send(wire::encode_heartbeat());
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
  send(wire::encode(hello_));
  hello_due_ = (Clock::time_point::max)();
}

bool Dialer::fits_ring(const PackedFrame& frame) const {
  return ring_ && ring_ready_ && frame.bytes <= ring_->offer().slot_bytes;
}

// Puts one frame of this camera on the wire, if one may go; false if none may.
bool Dialer::send_next(Outbox& outbox) {
  Outgoing outgoing;
  std::uint64_t dropped = 0;
  std::optional<std::uint32_t> slot;
  {
    std::lock_guard<std::mutex> lock(books_.mutex);
    if (!outbox.is_ready(books_.credits, Clock::now())) return false;
    if (fits_ring(*outbox.next().frame)) {
      slot = ring_->free_slot();
      waits_for_slot_ = waits_for_slot_ || !slot;
      if (!slot) return false;
    }
    outgoing = outbox.take();
    dropped = outbox.dropped;
  }
  send_frame(outbox, outgoing, dropped, slot);
  return true;
}

void Dialer::send_frame(const Outbox& outbox, const Outgoing& outgoing, std::uint64_t dropped,
                        std::optional<std::uint32_t> slot) {
  const PackedFrame& frame = *outgoing.frame;
  wire::FrameHeader header;
  header.session = hello_.session;
  header.camera = outbox.name;
  header.index = frame.index;
  header.previous = outgoing.previous;
  header.dropped = dropped;
  header.engine_time_ns = frame.engine_time_ns;
  header.capture_time_ns = frame.capture_time_ns;
  header.pose = frame.pose;
  std::vector<PackedBuffer> parts;
  for (const PackedBuffer& buffer : frame.buffers) {
    if (std::find(accepted_.begin(), accepted_.end(), buffer.channel) == accepted_.end()) continue;
    wire::BufferRow row{buffer.channel, buffer.dtype, buffer.height, buffer.width, buffer.components, {}, {}};
    if (slot) row.offset = buffer.offset;
    else row.checksum = host::checksum(frame.pixels() + buffer.offset, buffer.bytes);
    if (!slot) parts.push_back(buffer);
    header.buffers.push_back(row);
  }
  if (slot) header.slot = wire::Slot{ring_->offer().name, *slot, ring_->write(*slot, frame)};
  send(wire::encode(header), outgoing.frame, parts);
  if (!slot && (!ring_ || frame.bytes > ring_->offer().slot_bytes)) make_ring(frame.bytes);
}

// Creates a ring whose slots hold a frame of this size, and offers it.
void Dialer::make_ring(std::size_t slot_bytes) {
  if (!ring_allowed_) return;
  close_ring();
  const std::size_t slots = std::min(slots_per_camera * books_.cameras.size(), max_ring_bytes / slot_bytes);
  ring_allowed_ = slots >= 2;
  if (!ring_allowed_) return;
  auto created = RingWriter::create(static_cast<std::uint32_t>(slots), slot_bytes);
  ring_allowed_ = created.ok();
  if (!ring_allowed_) return;
  ring_ = std::move(created.value());
  send(wire::encode(ring_->offer()));
}

void Dialer::close_ring() {
  ring_.reset();
  ring_ready_ = false;
  std::lock_guard<std::mutex> lock(books_.mutex);
  books_.ring_in_use = false;
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
    std::lock_guard<std::mutex> lock(books_.mutex);
    books_.closed_clean = books_.unsettled() == 0;
    for (CameraBooks& camera : books_.cameras) {
      if (camera.outbox.mode == Mode::preview) camera.outbox.drop_waiting();
      rows.push_back({camera.outbox.name, camera.outbox.last_index, camera.outbox.dropped});
    }
  }
  if (welcomed_) send(wire::encode_bye(rows));
}

}  // namespace renderlift
