#include "unrealcv_commands.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "unrealcv_pictures.h"

namespace renderlift::unrealcv {

namespace {

constexpr std::size_t max_batch = 4096;

using Words = std::vector<std::string>;
using Answer = std::string (*)(const Words& words, const Scene& scene);

struct Command {
  const char* pattern;
  Answer answer;
};

const char no_frame[] = "error the engine has given no frame of this camera within 5 s, or it has no such camera";

// As long as any number that a client sends; longer ones are no camera of ours.
std::size_t camera_of(const Words& words) { return std::strtoul(words[0].c_str(), nullptr, 10); }

// Three decimals, always with a point: printf and strtod follow the locale that the engine has set.
std::string text_of(double number) {
  const long long thousandths = std::llround(1000 * std::abs(number));
  const std::string fraction = std::to_string(1000 + thousandths % 1000).substr(1);
  return (number < 0 && thousandths > 0 ? "-" : "") + std::to_string(thousandths / 1000) + "." + fraction;
}

std::string text_of(const std::array<double, 3>& numbers) {
  return text_of(numbers[0]) + " " + text_of(numbers[1]) + " " + text_of(numbers[2]);
}

std::optional<double> number_of(const std::string& word) {
  std::size_t at = word[0] == '-' || word[0] == '+' ? 1 : 0;
  double value = 0, scale = 1;
  bool digits = false, fraction = false;
  for (; at < word.size() && word[at] != 'e' && word[at] != 'E'; ++at) {
    if (word[at] == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (word[at] < '0' || word[at] > '9') return std::nullopt;
    value = 10 * value + (word[at] - '0');
    scale *= fraction ? 10 : 1;
    digits = true;
  }
  if (!digits) return std::nullopt;
  if (at < word.size()) {
    char* end = nullptr;
    value *= std::pow(10, std::strtol(word.c_str() + at + 1, &end, 10));
    if (*end != '\0' || at + 1 == word.size()) return std::nullopt;
  }
  value = (word[0] == '-' ? -value : value) / scale;
  return std::isfinite(value) && std::abs(value) < 1e9 ? std::optional<double>(value) : std::nullopt;
}

template <class Read>
std::string of_view(const Words& words, const Scene& scene, Read read) {
  const std::optional<View> view = scene.view(camera_of(words));
  return view ? read(*view) : no_frame;
}

std::string get_location(const Words& words, const Scene& scene) {
  return of_view(words, scene, [](const View& view) { return text_of(view.place.location_cm); });
}

std::string get_rotation(const Words& words, const Scene& scene) {
  return of_view(words, scene, [](const View& view) { return text_of(view.place.rotation_degrees); });
}

std::string get_pose(const Words& words, const Scene& scene) {
  return of_view(words, scene, [](const View& view) {
    return text_of(view.place.location_cm) + " " + text_of(view.place.rotation_degrees);
  });
}

std::string get_fov(const Words& words, const Scene& scene) {
  return of_view(words, scene, [](const View& view) { return text_of(view.horizontal_fov_degrees); });
}

std::string get_size(const Words& words, const Scene& scene) {
  return of_view(words, scene, [](const View& view) {
    return std::to_string(view.width) + " " + std::to_string(view.height);
  });
}

// Three numbers from words[from] on.
bool numbers(const Words& words, std::size_t from, std::array<double, 3>& out) {
  for (std::size_t i = 0; i < 3; ++i) {
    const std::optional<double> number = number_of(words[from + i]);
    if (!number) return false;
    out[i] = *number;
  }
  return true;
}

template <class Change>
std::string move(const Words& words, const Scene& scene, Change change) {
  std::optional<View> view = scene.view(camera_of(words));
  if (!view) return no_frame;
  if (!change(view->place)) return "error a number is none";
  scene.move(camera_of(words), view->place);
  return "ok";
}

std::string set_location(const Words& words, const Scene& scene) {
  return move(words, scene, [&](Place& place) { return numbers(words, 1, place.location_cm); });
}

std::string set_rotation(const Words& words, const Scene& scene) {
  return move(words, scene, [&](Place& place) { return numbers(words, 1, place.rotation_degrees); });
}

std::string set_pose(const Words& words, const Scene& scene) {
  return move(words, scene, [&](Place& place) {
    return numbers(words, 1, place.location_cm) && numbers(words, 4, place.rotation_degrees);
  });
}

std::string set_fov(const Words& words, const Scene& scene) {
  const double degrees = number_of(words[1]).value_or(0);
  if (!(degrees > 1 && degrees < 179)) return "error a field of view goes from 1 to 179 degrees";
  if (!scene.view(camera_of(words))) return no_frame;
  scene.set_fov(camera_of(words), degrees);
  return "ok";
}

template <std::optional<std::string> (*encode)(const HeldFrame&)>
std::string get_picture(const Words& words, const Scene& scene) {
  const std::shared_ptr<const HeldFrame> frame = scene.frame(camera_of(words));
  if (!frame) return no_frame;
  return encode(*frame).value_or("error this engine does not send that channel");
}

std::string get_cameras(const Words&, const Scene& scene) {
  std::string text;
  for (const std::string& name : scene.cameras) text += (text.empty() ? "" : " ") + name;
  return text;
}

std::string get_objects(const Words&, const Scene& scene) {
  std::string text;
  for (const IdName& row : scene.objects())
    if (!row.path.empty()) text += (text.empty() ? "" : " ") + row.name;
  return text;
}

std::string get_color(const Words& words, const Scene& scene) {
  for (const IdName& row : scene.objects()) {
    if (row.path.empty() || row.name != words[0]) continue;
    const auto [red, green, blue] = mask_color(row.id);
    return "(R=" + std::to_string(red) + ",G=" + std::to_string(green) + ",B=" + std::to_string(blue) + ",A=255)";
  }
  return "error no object is called " + words[0];
}

std::string get_status(const Words&, const Scene& scene) {
  return "Is Listening\nClient Connected\n" + std::to_string(scene.port) + "\nRenderlift\n";
}

std::string get_version(const Words&, const Scene&) { return "v1.1.0"; }  // the first that lists its commands
std::string get_scene_name(const Words&, const Scene& scene) { return scene.name; }
std::string get_commands(const Words&, const Scene&);

constexpr Command commands[] = {
    {"vget /unrealcv/status", get_status},
    {"vget /unrealcv/version", get_version},
    {"vget /unrealcv/commands", get_commands},
    {"vget /unrealcv/help", get_commands},
    {"vget /scene/name", get_scene_name},
    {"vget /cameras", get_cameras},
    {"vget /camera/[uint]/location", get_location},
    {"vget /camera/[uint]/rotation", get_rotation},
    {"vget /camera/[uint]/pose", get_pose},
    {"vget /camera/[uint]/fov", get_fov},
    {"vget /camera/[uint]/size", get_size},
    {"vset /camera/[uint]/location [float] [float] [float]", set_location},
    {"vset /camera/[uint]/rotation [float] [float] [float]", set_rotation},
    {"vset /camera/[uint]/pose [float] [float] [float] [float] [float] [float]", set_pose},
    {"vset /camera/[uint]/fov [float]", set_fov},
    {"vget /camera/[uint]/lit png", get_picture<lit_png>},
    {"vget /camera/[uint]/depth npy", get_picture<depth_npy>},
    {"vget /camera/[uint]/normal png", get_picture<normal_png>},
    {"vget /camera/[uint]/object_mask png", get_picture<mask_png>},
    {"vget /objects", get_objects},
    {"vget /object/[str]/color", get_color},
    {"vbatch [uint]", nullptr},  // the server's own: it decides which instant commands see
};

std::string get_commands(const Words&, const Scene&) {
  std::string text;
  for (const Command& command : commands) text += std::string(command.pattern) + "\n";
  return text;
}

bool is_word(std::string_view word, std::string_view kind) {
  if (word.empty()) return false;
  if (kind == "uint") return word.size() <= 9 && word.find_first_not_of("0123456789") == std::string_view::npos;
  if (kind == "float") return word.size() <= 64 && word.find_first_not_of("+-.0123456789eE") == std::string_view::npos;
  return true;
}

}  // namespace

std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view command) {
  Words words;
  std::size_t at = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '[') {
      if (at == command.size() || command[at++] != pattern[i]) return std::nullopt;
      continue;
    }
    const std::size_t close = pattern.find(']', i);
    const std::size_t end = std::min(command.find_first_of(" /", at), command.size());
    const std::string_view word = command.substr(at, end - at);
    if (!is_word(word, pattern.substr(i + 1, close - i - 1))) return std::nullopt;
    words.emplace_back(word);
    at = end;
    i = close;
  }
  if (at != command.size()) return std::nullopt;
  return words;
}

std::optional<std::size_t> batch_size(std::string_view command) {
  const auto words = match("vbatch [uint]", command);
  if (!words) return std::nullopt;
  const std::size_t count = std::strtoul((*words)[0].c_str(), nullptr, 10);
  return count <= max_batch ? std::optional<std::size_t>(count) : std::nullopt;
}

std::string answer(std::string_view command, const Scene& scene) {
  for (const Command& known : commands)
    if (known.answer != nullptr)
      if (const auto words = match(known.pattern, command)) return known.answer(*words, scene);
  return "error this server does not know that command; vget /unrealcv/commands lists those it does";
}

}  // namespace renderlift::unrealcv
