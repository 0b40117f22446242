// What can fail returns a Result. The core neither throws nor needs RTTI, so it links into Unreal and Godot alike.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace renderlift {

enum class ErrorKind {
  invalid,    // the caller gave something that cannot work; `fix` says what to give instead
  transport,  // no bridge, no socket, no shared memory
  refused,    // a bridge answered and does not want this engine (version, session, channels)
  timeout,    // the wait that the caller allowed is over
  cancelled,  // Publisher::cancel() or close() ended a wait
};

// Written for the engine's user: `what` came and was wanted, and how to `fix` it. Show both.
struct Error {
  ErrorKind kind = ErrorKind::invalid;
  std::string what;
  std::string fix;
};

// A value or an Error. Test it before use:
//   auto publisher = Publisher::open(options);
//   if (!publisher) { show(publisher.error().what); return; }
//   publisher.value()->publish(frame);
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }

  // Only where ok().
  T& value() { return *value_; }
  const T& value() const { return *value_; }
  // Only where not ok().
  const Error& error() const { return error_; }

 private:
  std::optional<T> value_;
  Error error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace renderlift
