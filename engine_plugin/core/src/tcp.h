// As much of TCP as a small server on this machine needs, the same on POSIX and Windows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "renderlift/result.h"

namespace renderlift::tcp {

// Owns a socket; -1 holds none.
class Socket {
 public:
  Socket() = default;
  explicit Socket(std::intptr_t handle) : handle_(handle) {}
  Socket(Socket&& other) noexcept : handle_(other.handle_) { other.handle_ = -1; }
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { close(); }

  explicit operator bool() const { return handle_ != -1; }
  std::intptr_t handle() const { return handle_; }
  void close();

 private:
  std::intptr_t handle_ = -1;
};

// Listens on 127.0.0.1 and nowhere else; port 0 takes a free one. Fails with `transport`.
Result<Socket> listen_on_loopback(std::uint16_t port);
std::uint16_t port_of(const Socket& socket);

// Whether something can be read or accepted within `timeout_ms`.
bool is_readable(const Socket& socket, int timeout_ms);
Socket accept(const Socket& listener);

// All bytes or false: the peer is gone, or sends or takes nothing for `timeout_ms`.
bool read_all(const Socket& socket, void* data, std::size_t bytes, int timeout_ms);
bool write_all(const Socket& socket, const void* data, std::size_t bytes, int timeout_ms);

}  // namespace renderlift::tcp
