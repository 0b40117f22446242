// The core's Publisher as a Godot class, `RenderliftPublisher`: what GDScript (addons/renderlift/lift.gd) calls.
// Values are already in Renderlift's axes and bytes; nothing converts here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "godot.h"
#include "renderlift/publisher.h"
#include "renderlift/unrealcv_server.h"

namespace renderlift::godot {

class GodotPublisher {
 public:
  // `channels` and `cameras`: names, one a line. `session`: empty = a new one. `own_key_file` and `bridge_key_file`:
  // for a bridge on another machine, else empty.
  // Returns "" or what is wrong and, on the next line, how to mend it.
  std::string open(std::string endpoint, std::string engine_version, bool capture, std::string channels,
                   std::string cameras, std::string session, std::string own_key_file, std::string bridge_key_file);

  // 0 = queued, 1 = queued in place of an older frame, 2 = no room yet (capture: try again), -1 = see problem().
  // `offsets`: byte offset in `pixels` of each channel in the order of renderlift::Channel, -1 = not there. `pixels` are
  // not copied: they are kept by a reference until they have left.
  std::int64_t publish(std::string camera, std::int64_t index, std::int64_t engine_time_ns,
                       std::int64_t capture_time_ns, std::int64_t width, std::int64_t height,
                       Span<const std::int32_t> offsets, SharedBytes pixels,
                       Span<const double> world_from_camera, Span<const double> image_from_camera,
                       std::int64_t timeout_ms);
  std::string problem();

  bool wants_frame(std::string camera);

  // Rows of id, name, class name, path; one a line, separated by tabs. Returns as open() does.
  std::string set_names(std::string rows);

  // The newest picture of any camera as JSON {camera, index, width, height, latency_ms, age_ms}; "" if there is none.
  std::string poll_picture();
  // Pixels of the picture that poll_picture() told of: RGB, 3 bytes a pixel.
  std::vector<std::uint8_t> picture();

  std::string stats();  // JSON; see renderlift::Stats

  // The first index that the bridge still needs of this session, -1 = no bridge within the time.
  std::int64_t resume_index(std::string camera, std::int64_t timeout_ms);

  // Answers UnrealCV's clients on this port of this machine, from the frames that are published; after open().
  // `scene` is what they are told it is called. Returns as open() does.
  std::string answer_unrealcv(std::int64_t port, std::string scene);

  // Whether such a client is there.
  bool has_unrealcv_client();

  // Where such clients want cameras to be since the last call, a camera a line, cells separated by tabs: its name, the
  // horizontal field of view in degrees (0 = as it is), world_from_camera row by row.
  std::string take_moves();

  bool cancel();
  bool close(std::int64_t timeout_ms);

 private:
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<UnrealcvServer> unrealcv_;  // null = off
  std::vector<std::string> cameras_;
  std::string problem_;
  std::vector<Picture> pictures_;
  std::vector<std::uint8_t> polled_;
};

void register_publisher();
void unregister_publisher();

}  // namespace renderlift::godot
