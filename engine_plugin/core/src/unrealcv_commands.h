// The allow-list of UnrealCV's commands, and what each answers. Nothing else is understood.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "held_frame.h"
#include "unrealcv_axes.h"

namespace renderlift::unrealcv {

// Where a camera is, or is about to be.
struct View {
  Place place;
  double horizontal_fov_degrees = 90;
  std::uint32_t width = 0, height = 0;
};

// What the commands ask of the server; cameras by their number. An empty answer = no such camera, or no frame from it.
struct Scene {
  std::string name;
  std::uint16_t port = 0;
  std::vector<std::string> cameras;
  std::function<std::optional<View>(std::size_t camera)> view;
  std::function<std::shared_ptr<const HeldFrame>(std::size_t camera)> frame;
  std::function<void(std::size_t camera, const Place& place)> move;
  std::function<void(std::size_t camera, double degrees)> set_fov;
  std::function<std::vector<IdName>()> objects;
};

// The answer to one command, as UnrealCV words it: a value, "ok", or "error ...".
std::string answer(std::string_view command, const Scene& scene);

// How many commands `vbatch N` announces; they are to see one instant.
std::optional<std::size_t> batch_size(std::string_view command);

// Whether `command` has the form of `pattern`, e.g. `vget /camera/[uint]/location`; what stands for [...] in order.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view command);

}  // namespace renderlift::unrealcv
