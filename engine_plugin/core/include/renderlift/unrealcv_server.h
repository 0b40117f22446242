// Answers UnrealCV's protocol, so that scripts written for UnrealCV (https://unrealcv.org) drive any engine that has an
// adapter: read and move cameras, get pictures, depth, normals and masks.
//
// Off unless an adapter starts it. It listens on this machine only, takes one client at a time as UnrealCV does, knows
// the commands that `vget /unrealcv/commands` lists and no others: nothing that runs console commands, writes files or
// changes objects. docs/core.md lists them.
//
//   auto server = UnrealcvServer::start({});
//   // in every tick of the engine:
//   for (const CameraMove& move : server.value()->take_moves()) place_camera(move);
//   if (server.value()->wants_frame("main")) server.value()->offer(frame);   // the same FrameView as publish() takes
//
// The engine is never called from another thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "renderlift/frame.h"
#include "renderlift/result.h"

namespace renderlift {

struct UnrealcvOptions {
  std::uint16_t port = 9000;                 // 0 = any free one, see UnrealcvServer::port()
  std::vector<std::string> cameras{"main"};  // UnrealCV's camera N is the N-th of them
  std::string scene = "scene";               // what `vget /scene/name` answers
};

// Where a client wants a camera to be, in our axes (docs/conventions.md).
struct CameraMove {
  std::string camera;
  std::array<double, 16> world_from_camera{};
  std::optional<double> horizontal_fov_radians;  // if the client asked for another
};

class UnrealcvServer {
 public:
  // Fails with `transport` if the port is taken.
  static Result<std::unique_ptr<UnrealcvServer>> start(UnrealcvOptions options);
  ~UnrealcvServer();
  UnrealcvServer(const UnrealcvServer&) = delete;
  UnrealcvServer& operator=(const UnrealcvServer&) = delete;

  std::uint16_t port() const;
  bool has_client() const;

  // Moves that clients asked for since the last call; the newest of each camera.
  std::vector<CameraMove> take_moves();

  // Whether a client waits for a frame of this camera. Costs a lock.
  bool wants_frame(std::string_view camera) const;

  // Gives the newest frame of a camera; copied if a client waits for it. A client that has moved the camera waits for
  // a frame from there, so frames that are late from the GPU do no harm. Fails as publish() does, with `invalid`.
  Result<void> offer(const FrameView& frame);

  // What `vget /objects` lists: rows whose path is not empty, by their name.
  void set_names(std::vector<IdName> names);

 private:
  struct Inside;
  explicit UnrealcvServer(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace renderlift
