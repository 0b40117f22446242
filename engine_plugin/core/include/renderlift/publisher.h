// The engine's end of the wire: frames out, photoreal pictures back.
//
//   PublisherOptions options;
//   options.engine = "my engine";
//   options.channels = {Channel::rgb, Channel::depth};
//   auto opened = Publisher::open(options);
//   if (!opened) return show(opened.error());
//   std::unique_ptr<Publisher>& publisher = opened.value();
//
//   // every frame, on any thread:
//   if (publisher->wants_frame("main")) {
//     ... read back pixels, and hand them over (FrameView::owner) or lend them ...
//     if (auto published = publisher->publish(frame); !published) show(published.error());
//   }
//   for (Picture& picture : publisher->poll_results()) show(picture);
//
// One thread of its own owns the socket; it dials, and dials again for ever, so the bridge may start later, be killed
// and come back. docs/protocol.md is the authority on what it says. A Publisher may be used from several threads;
// frames of one camera come from one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "renderlift/frame.h"
#include "renderlift/result.h"

namespace renderlift {

enum class Mode {
  preview,  // the newest frame wins; publish() never waits; what did not travel is counted
  capture,  // every frame arrives on the bridge's disk, exactly once; publish() waits for it
};

inline constexpr char default_endpoint[] = "tcp://127.0.0.1:5755";

// Keys for a bridge on another machine, each 40 characters of Z85.
struct CurveKeys {
  std::string public_key;
  std::string secret_key;
  std::string bridge_key;  // the bridge's public key
};

// Keys out of the files that Python's `zmq.auth.create_certificates` makes: this engine's own, whose name ends in
// .key_secret, and the bridge's .key. Fails with `invalid`: a file cannot be read or holds no such key.
Result<CurveKeys> load_curve_keys(const std::string& own_secret_file, const std::string& bridge_public_file);

struct PublisherOptions {
  std::string endpoint = default_endpoint;  // loopback, ipc:// or, with `curve`, any
  std::string engine;                       // 1 to 64 characters, e.g. "godot"
  std::string engine_version;
  Mode mode = Mode::preview;
  std::vector<Channel> channels{Channel::rgb};  // all that frames may carry; rgb among them
  std::vector<std::string> cameras{"main"};     // all that frames may come from; 1 to 64
  std::vector<IdName> names;                    // the id table; set_names() replaces it later
  std::string session;                          // one run; empty = a new one. Give an old one to go on after a kill
  bool shared_memory = true;                    // where the system and the bridge can
  std::optional<CurveKeys> curve;               // needed for a bridge on another machine
};

// How the connection does, for a status line. published = acknowledged + dropped + unsettled, at any time.
struct Stats {
  bool connected = false;      // a bridge has answered and takes frames
  std::string bridge;          // its software version
  std::string problem;         // why nothing moves, or what the bridge last objected to; empty = all is well
  std::string fix;             // what to do about `problem`, where known
  std::string session;
  bool shared_memory = false;  // pixels go through it now
  std::vector<Channel> accepted;  // channels the bridge wants; others are left out of what is sent
  std::uint64_t published = 0;    // frames given to publish()
  std::uint64_t dropped = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t unsettled = 0;
  std::uint64_t results = 0;           // pictures that came back
  double published_per_s = 0;          // over the last two seconds
  double results_per_s = 0;
  double latency_ms = 0;               // of the newest picture, publish() to arrival; 0 = none yet
  std::map<std::string, double> timings_ms;  // where the bridge says the newest picture's time went
};

// A rendered picture that came back: sRGB, 3 bytes a pixel, rows top to bottom without padding.
struct Picture {
  std::string camera;
  std::int64_t index = 0;  // of the frame it was made from
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::vector<std::uint8_t> rgb;
  double latency_ms = 0;
  std::chrono::steady_clock::time_point received;  // for a "stale" badge
  std::map<std::string, double> timings_ms;
};

enum class Published {
  queued,    // on its way
  replaced,  // on its way; an older frame that still waited was dropped for it (preview only)
};

class Publisher {
 public:
  // Checks the options and starts to dial. Does not wait for the bridge.
  // Fails with `invalid` (options that the bridge would refuse) or `transport` (an address that is none, or another
  // machine without keys).
  static Result<std::unique_ptr<Publisher>> open(PublisherOptions options);

  ~Publisher();  // close() with 0.2 s in preview, 5 s in capture
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Sends a frame. Its pixels are copied before this returns, or, if it has an owner, kept: see FrameView::owner.
  // Preview: never waits for anything but that copy.
  // Capture: waits while the bridge has given no credit, at most `timeout`; stats().problem says why it waits, and
  // cancel() ends the wait. A timeout of 0 never waits: try again with the same frame.
  // Fails with `invalid` (see check_frame; an index that does not grow; closed), in capture also with `timeout`,
  // `cancelled` or `refused`. A frame that failed was not taken.
  Result<Published> publish(const FrameView& frame, std::chrono::milliseconds timeout = wait_for_ever);
  static constexpr std::chrono::milliseconds wait_for_ever = (std::chrono::milliseconds::max)();

  // Whether a frame published now could leave soon. False = save the readback: in preview it would only be dropped,
  // in capture publish() would wait. Costs well under a microsecond.
  bool wants_frame(std::string_view camera) const;

  // The newest picture of each camera that has not been taken yet; never waits.
  std::vector<Picture> poll_results();

  Stats stats() const;

  // Replaces the id table. Fails with `invalid` if a row is too long for the wire.
  Result<void> set_names(std::vector<IdName> names);

  // Waits until the bridge has answered. False if it did not in time.
  bool wait_connected(std::chrono::milliseconds timeout);

  // The first frame index that the bridge still needs of this session; 0 for a new one. Call it before capturing on
  // with an old session. Fails with `transport` if no bridge answers in time.
  Result<std::int64_t> resume_index(std::string_view camera, std::chrono::milliseconds timeout);

  // Ends all waiting publish() calls, now and until the next one begins, with `cancelled`. The connection stays.
  void cancel();

  // Says goodbye. Capture: first waits until all is acknowledged; preview: until all is handed over. True if that
  // happened within `timeout`; the thread is gone in any case.
  bool close(std::chrono::milliseconds timeout);

 private:
  struct Inside;
  explicit Publisher(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace renderlift
