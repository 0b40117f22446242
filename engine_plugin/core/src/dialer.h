// The connection, alone on its thread: one socket after another to the same endpoint.
//
// What it shares with the Publisher are the Books. docs/protocol.md is the authority on the bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "books.h"
#include "connection.h"
#include "doorbell.h"
#include "frame_sender.h"
#include "wire.h"

namespace renderlift {

class Dialer {
 public:
  Dialer(void* context, Books& books, Doorbell& doorbell, wire::Hello hello, std::optional<CurveKeys> curve);

  Result<void> open_socket();
  void run();  // until Books::close_by and what then is left to do

 private:
  void turn();
  long poll_time_ms();
  void reconnect(Clock::time_point now);
  void disconnected(std::string problem, std::optional<Error> refusal = std::nullopt);
  void refused(Error refusal);
  void watch_monitor();

  void receive_all();
  void take_any(const wire::BridgeMessage& message, std::optional<Part>& picture);
  void take(const wire::Welcome& welcome);
  void take(const wire::Ack& ack);
  void take(const wire::Nack& nack);
  void take(const wire::ErrorMessage& error);
  void take(const wire::ResultHeader& header, std::optional<Part>& pixels);

  void say_what_is_due(Clock::time_point now);
  void say_hello();
  bool is_done();
  void say_goodbye();

  Books& books_;
  Doorbell& doorbell_;
  wire::Hello hello_;
  Connection connection_;
  FrameSender frames_;
  bool welcomed_ = false;  // this thread's copy of Books::welcomed
  std::optional<Error> why_lost_;  // where more is known than that nobody answers
  Clock::time_point hello_due_{};
};

}  // namespace renderlift
