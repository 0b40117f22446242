#include "tcp.h"

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace renderlift::tcp {

namespace {

#ifdef _WIN32
using Handle = SOCKET;
using Size = int;
constexpr int send_flags = 0;
constexpr short read_events = POLLIN, write_events = POLLOUT;

void start_sockets() {
  static const int started = [] {
    WSADATA data;
    return WSAStartup(MAKEWORD(2, 2), &data);
  }();
  (void)started;
}
bool would_block() { return WSAGetLastError() == WSAEWOULDBLOCK; }
std::string last_error() { return "Windows error " + std::to_string(WSAGetLastError()); }
int poll_one(Handle handle, short events, int timeout_ms) {
  WSAPOLLFD item{handle, events, 0};
  return WSAPoll(&item, 1, timeout_ms);
}
void close_handle(Handle handle) { closesocket(handle); }
void set_nonblocking(Handle handle) {
  u_long on = 1;
  ioctlsocket(handle, static_cast<long>(FIONBIO), &on);
}
#else
using Handle = int;
using Size = std::size_t;
constexpr int send_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
constexpr short read_events = POLLIN, write_events = POLLOUT;

void start_sockets() {}
bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }
std::string last_error() { return std::strerror(errno); }
int poll_one(Handle handle, short events, int timeout_ms) {
  pollfd item{handle, events, 0};
  return poll(&item, 1, timeout_ms);
}
void close_handle(Handle handle) { ::close(handle); }
void set_nonblocking(Handle) {}  // MSG_DONTWAIT says it call by call
#endif

Handle raw(const Socket& socket) { return static_cast<Handle>(socket.handle()); }

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void set_option(Handle handle, int level, int option) {
  const int on = 1;
  setsockopt(handle, level, option, reinterpret_cast<const char*>(&on), sizeof on);
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

void Socket::close() {
  if (handle_ != -1) close_handle(raw(*this));
  handle_ = -1;
}

Result<Socket> listen_on_loopback(std::uint16_t port) {
  start_sockets();
  Socket listener(static_cast<std::intptr_t>(::socket(AF_INET, SOCK_STREAM, 0)));
  const sockaddr_in address = loopback(port);
#ifndef _WIN32
  // A port that was just in use may be taken again; on Windows the option would let two servers share it.
  if (listener) set_option(raw(listener), SOL_SOCKET, SO_REUSEADDR);
#endif
  if (!listener || ::bind(raw(listener), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(raw(listener), 4) != 0)
    return Error{ErrorKind::transport, "port " + std::to_string(port) + " cannot be listened on: " + last_error(),
                 "Close the program that uses it, or choose another port."};
  return listener;
}

std::uint16_t port_of(const Socket& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  getsockname(raw(socket), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

bool is_readable(const Socket& socket, int timeout_ms) { return poll_one(raw(socket), read_events, timeout_ms) > 0; }

Socket accept(const Socket& listener) {
  Socket client(static_cast<std::intptr_t>(::accept(raw(listener), nullptr, nullptr)));
  if (!client) return client;
  set_option(raw(client), IPPROTO_TCP, TCP_NODELAY);
  set_nonblocking(raw(client));
  return client;
}

bool read_all(const Socket& socket, void* data, std::size_t bytes, int timeout_ms) {
  auto* at = static_cast<char*>(data);
  while (bytes > 0) {
    if (!is_readable(socket, timeout_ms)) return false;
    const auto got = ::recv(raw(socket), at, static_cast<Size>(bytes), 0);
    if (got < 0 && would_block()) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(const Socket& socket, const void* data, std::size_t bytes, int timeout_ms) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    if (poll_one(raw(socket), write_events, timeout_ms) <= 0) return false;
    const auto sent = ::send(raw(socket), at, static_cast<Size>(bytes), send_flags);
    if (sent < 0 && would_block()) continue;
    if (sent <= 0) return false;
    at += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace renderlift::tcp
