#include "connection.h"

#include <atomic>
#include <cstring>

#include "endpoint.h"

namespace renderlift {

namespace {

// What fits the CPU's cache crosses loopback 1.7 times as fast as with the kernel's own, larger choice.
constexpr int loopback_buffer_bytes = 256 << 10;
constexpr int reconnect_ms = 100;
constexpr int monitored = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;

void set_int(void* socket, int option, int value) { zmq_setsockopt(socket, option, &value, sizeof value); }

bool set_text(void* socket, int option, const std::string& text) {
  return zmq_setsockopt(socket, option, text.c_str(), text.size() + 1) == 0;
}

void forget_frame(void*, void* holder) { delete static_cast<FramePtr*>(holder); }

}  // namespace

std::optional<Part> Part::of(const FramePtr& frame, const HeldChannel& channel) {
  std::optional<Part> part(std::in_place);
  if (!is_packed(channel.view)) {
    if (zmq_msg_init_size(&part->message_, channel.bytes) != 0) return std::nullopt;
    copy_pixels(channel.view, part->data());
    return part;
  }
  auto* holder = new FramePtr(frame);
  // ZeroMQ only reads, but its signature does not say so.
  auto* data = const_cast<std::uint8_t*>(first_byte(channel.view));
  if (zmq_msg_init_data(&part->message_, data, channel.bytes, forget_frame, holder) == 0) return part;
  delete holder;
  return std::nullopt;
}

Connection::Connection(void* context, std::string endpoint, std::optional<CurveKeys> curve)
    : context_(context), endpoint_(std::move(endpoint)), curve_(std::move(curve)) {}

Result<void> Connection::open() {
  static std::atomic<unsigned> count{0};
  close(0);
  opened_at_ = sent_at_ = Clock::now();
  heard_at_ = {};
  lost_ = false;
  socket_.reset(zmq_socket(context_, ZMQ_DEALER));
  monitor_.reset(zmq_socket(context_, ZMQ_PAIR));
  if (!socket_ || !monitor_)
    return Error{ErrorKind::transport, std::string("no socket: ") + zmq_strerror(zmq_errno()),
                 "Close other programs, or allow this one more open files (ulimit -n)."};
  const auto max_message_bytes = static_cast<std::int64_t>(wire::max_part_bytes);
  zmq_setsockopt(socket_.get(), ZMQ_MAXMSGSIZE, &max_message_bytes, sizeof max_message_bytes);
  set_int(socket_.get(), ZMQ_LINGER, 0);
  set_int(socket_.get(), ZMQ_IPV6, endpoint_.find('[') != std::string::npos);
  // Our own window bounds what is queued; ZeroMQ must neither block nor drop.
  set_int(socket_.get(), ZMQ_SNDHWM, 0);
  set_int(socket_.get(), ZMQ_RECONNECT_IVL, reconnect_ms);
  if (is_loopback(endpoint_)) {
    set_int(socket_.get(), ZMQ_SNDBUF, loopback_buffer_bytes);
    set_int(socket_.get(), ZMQ_RCVBUF, loopback_buffer_bytes);
  }
  // A socket that lacks one of its keys would dial without encryption.
  if (!set_keys())
    return Error{ErrorKind::invalid, std::string("ZeroMQ does not take the CURVE keys: ") + zmq_strerror(zmq_errno()),
                 "Use those of the files that zmq.auth.create_certificates makes."};
  set_int(monitor_.get(), ZMQ_LINGER, 0);
  const std::string events = "inproc://monitor-" + std::to_string(count++);
  zmq_socket_monitor(socket_.get(), events.c_str(), monitored);
  zmq_connect(monitor_.get(), events.c_str());
  if (zmq_connect(socket_.get(), endpoint_.c_str()) != 0)
    return Error{ErrorKind::transport, "'" + endpoint_ + "' is no address to connect to: " + zmq_strerror(zmq_errno()),
                 std::string("Write it like ") + default_endpoint + "."};
  return {};
}

bool Connection::set_keys() {
  return !curve_ || (set_text(socket_.get(), ZMQ_CURVE_PUBLICKEY, curve_->public_key) &&
                     set_text(socket_.get(), ZMQ_CURVE_SECRETKEY, curve_->secret_key) &&
                     set_text(socket_.get(), ZMQ_CURVE_SERVERKEY, curve_->bridge_key));
}

void Connection::close(int linger_ms) {
  if (socket_) {
    zmq_socket_monitor(socket_.get(), nullptr, 0);
    set_int(socket_.get(), ZMQ_LINGER, linger_ms);
  }
  monitor_.reset();
  socket_.reset();
}

bool Connection::receive(Part& header, std::optional<Part>& only_part) {
  if (!socket_ || !header.receive(socket_.get())) return false;
  heard_at_ = Clock::now();
  bool more = header.more();
  for (std::size_t parts = 0; more; ++parts) {
    Part part;
    if (!part.receive(socket_.get())) break;
    more = part.more();
    only_part.reset();
    if (parts == 0) only_part.emplace(std::move(part));
  }
  return true;
}

void Connection::send(const wire::Bytes& header, std::vector<Part> parts) {
  sent_at_ = Clock::now();
  const int more = ZMQ_DONTWAIT | (parts.empty() ? 0 : ZMQ_SNDMORE);
  bool sent = socket_ && zmq_send(socket_.get(), header.data(), header.size(), more) >= 0;
  for (std::size_t i = 0; sent && i < parts.size(); ++i) sent = parts[i].send(socket_.get(), i + 1 < parts.size());
  if (!sent) lost_ = true;  // ZeroMQ gives a connection up for good when its keys are refused
}

std::optional<Error> Connection::read_monitor() {
  std::optional<Error> why;
  for (;;) {
    Part event, address;
    if (!monitor_ || !event.receive(monitor_.get())) return why;
    if (event.more()) address.receive(monitor_.get());
    std::uint16_t number = 0;
    std::uint32_t value = 0;
    if (event.size() < sizeof number + sizeof value) continue;
    std::memcpy(&number, event.data(), sizeof number);
    std::memcpy(&value, event.data() + sizeof number, sizeof value);
    if (std::optional<Error> told = why_not_encrypted(number, static_cast<int>(value))) why = std::move(told);
    if (number != ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) lost_ = true;
  }
}

std::optional<Error> Connection::why_not_encrypted(int event, int value) const {
  const std::string bridge = "the bridge at " + endpoint_;
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
    return Error{ErrorKind::refused, bridge + " does not accept this engine's CURVE key",
                 "Add the engine's public key to those the bridge trusts (renderlift serve --peer)."};
  const bool other_mechanism =
      event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL && value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH;
  if (other_mechanism && curve_)
    return Error{ErrorKind::refused, bridge + " does not encrypt, and this engine was given keys",
                 "Start the bridge with --key and --peer, or give the engine no keys."};
  if (other_mechanism)
    return Error{ErrorKind::refused, bridge + " takes encrypted connections only",
                 "Give the engine its own .key_secret file and the bridge's .key file."};
  // A bridge cannot read what was encrypted for another one, and says nothing.
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && curve_)
    return Error{ErrorKind::transport, bridge + " hung up: it is not the one whose key this engine was given",
                 "Give the engine the .key file that belongs to that bridge's .key_secret."};
  return std::nullopt;
}

}  // namespace renderlift
