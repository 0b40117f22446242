#include "publisher.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

namespace renderlift::godot {
namespace {

constexpr const char* class_name = "RenderliftPublisher";
constexpr const char* parent_name = "RefCounted";

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(at), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string told(const Error& error) { return error.what + "\n" + error.fix; }

std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return json + "\"";
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", value);
  return text.data();
}

std::string exact(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.17g", value);
  return text.data();
}

std::string timings(const std::map<std::string, double>& timings_ms) {
  std::string json = "{";
  for (const auto& [name, ms] : timings_ms) json += (json.size() > 1 ? "," : "") + quoted(name) + ":" + number(ms);
  return json + "}";
}

}  // namespace

std::string GodotPublisher::open(std::string endpoint, std::string engine_version, bool capture, std::string channels,
                                 std::string cameras, std::string session, std::string own_key_file,
                                 std::string bridge_key_file) {
  PublisherOptions options;
  options.endpoint = std::move(endpoint);
  options.engine = "godot";
  options.engine_version = std::move(engine_version);
  options.mode = capture ? Mode::capture : Mode::preview;
  options.channels.clear();
  for (const std::string& name : split(channels, '\n')) {
    if (const ChannelSpec* spec = find_channel(name)) options.channels.push_back(spec->channel);
  }
  options.cameras = cameras_ = split(cameras, '\n');
  options.session = std::move(session);
  if (!own_key_file.empty() || !bridge_key_file.empty()) {
    auto keys = load_curve_keys(own_key_file, bridge_key_file);
    if (!keys) return told(keys.error());
    options.curve = std::move(keys.value());
  }
  auto opened = Publisher::open(std::move(options));
  if (!opened) return told(opened.error());
  publisher_ = std::move(opened.value());
  return "";
}

std::int64_t GodotPublisher::publish(std::string camera, std::int64_t index, std::int64_t engine_time_ns,
                                     std::int64_t capture_time_ns, std::int64_t width, std::int64_t height,
                                     Span<const std::int32_t> offsets, SharedBytes pixels,
                                     Span<const double> world_from_camera, Span<const double> image_from_camera,
                                     std::int64_t timeout_ms) {
  if (!publisher_ || world_from_camera.size != 16 || image_from_camera.size != 9 || width < 1 || height < 1 ||
      width > 16384 || height > 16384) {
    problem_ = "publish() before open(), or matrices or a size that are none";
    return -1;
  }
  FrameView frame;
  frame.camera = camera;
  frame.index = index;
  frame.engine_time_ns = engine_time_ns;
  frame.capture_time_ns = capture_time_ns;
  std::copy_n(world_from_camera.data, 16, frame.pose.world_from_camera.begin());
  std::copy_n(image_from_camera.data, 9, frame.pose.image_from_camera.begin());
  for (std::size_t i = 0; i < std::min<std::size_t>(offsets.size, channel_count); ++i) {
    if (offsets.data[i] < 0) continue;
    const ChannelSpec& spec = channel_spec(static_cast<Channel>(i));
    const auto offset = static_cast<std::size_t>(offsets.data[i]);
    const std::size_t bytes = static_cast<std::size_t>(width * height) * spec.components * dtype_bytes(spec.dtype);
    if (offset > pixels.bytes.size || bytes > pixels.bytes.size - offset) {
      problem_ = "the pixels end before " + std::string(spec.name) + " does";
      return -1;
    }
    frame.channels.push_back(view_of(spec.channel, static_cast<std::uint32_t>(width),
                                     static_cast<std::uint32_t>(height), pixels.bytes.data + offset));
  }
  frame.owner = std::move(pixels.owner);
  if (unrealcv_ && unrealcv_->wants_frame(camera)) {
    if (auto offered = unrealcv_->offer(frame); !offered) problem_ = told(offered.error());
  }
  auto published = publisher_->publish(frame, std::chrono::milliseconds(timeout_ms));
  if (published) return published.value() == Published::replaced ? 1 : 0;
  problem_ = told(published.error());
  return published.error().kind == ErrorKind::timeout ? 2 : -1;
}

std::string GodotPublisher::problem() { return problem_; }

bool GodotPublisher::wants_frame(std::string camera) {
  if (unrealcv_ && unrealcv_->wants_frame(camera)) return true;
  return publisher_ && publisher_->wants_frame(camera);
}

std::string GodotPublisher::set_names(std::string rows) {
  std::vector<IdName> names;
  for (const std::string& line : split(rows, '\n')) {
    std::vector<std::string> cells = split(line, '\t');
    if (cells.size() < 3) continue;
    cells.resize(4);
    std::uint32_t id = 0;
    std::from_chars(cells[0].data(), cells[0].data() + cells[0].size(), id);
    names.push_back({id, cells[1], cells[2], cells[3]});
  }
  if (unrealcv_) unrealcv_->set_names(names);
  if (!publisher_) return "";
  auto set = publisher_->set_names(std::move(names));
  return set ? "" : told(set.error());
}

std::string GodotPublisher::poll_picture() {
  if (pictures_.empty() && publisher_) pictures_ = publisher_->poll_results();
  if (pictures_.empty()) return "";
  Picture picture = std::move(pictures_.back());
  pictures_.pop_back();
  polled_ = std::move(picture.rgb);
  const std::chrono::duration<double, std::milli> age = std::chrono::steady_clock::now() - picture.received;
  return "{\"camera\":" + quoted(picture.camera) + ",\"index\":" + std::to_string(picture.index) +
         ",\"width\":" + std::to_string(picture.width) + ",\"height\":" + std::to_string(picture.height) +
         ",\"latency_ms\":" + number(picture.latency_ms) + ",\"age_ms\":" + number(age.count()) + "}";
}

std::vector<std::uint8_t> GodotPublisher::picture() { return std::move(polled_); }

std::string GodotPublisher::stats() {
  if (!publisher_) return "{}";
  const Stats stats = publisher_->stats();
  std::string accepted;
  for (Channel channel : stats.accepted) accepted += (accepted.empty() ? "" : ",") + quoted(channel_spec(channel).name);
  return std::string("{\"connected\":") + (stats.connected ? "true" : "false") + ",\"bridge\":" + quoted(stats.bridge) +
         ",\"problem\":" + quoted(stats.problem) + ",\"fix\":" + quoted(stats.fix) +
         ",\"session\":" + quoted(stats.session) + ",\"shared_memory\":" + (stats.shared_memory ? "true" : "false") +
         ",\"accepted\":[" + accepted + "],\"published\":" + std::to_string(stats.published) +
         ",\"dropped\":" + std::to_string(stats.dropped) + ",\"acknowledged\":" + std::to_string(stats.acknowledged) +
         ",\"unsettled\":" + std::to_string(stats.unsettled) + ",\"results\":" + std::to_string(stats.results) +
         ",\"published_per_s\":" + number(stats.published_per_s) + ",\"results_per_s\":" + number(stats.results_per_s) +
         ",\"latency_ms\":" + number(stats.latency_ms) + ",\"timings_ms\":" + timings(stats.timings_ms) + "}";
}

std::int64_t GodotPublisher::resume_index(std::string camera, std::int64_t timeout_ms) {
  if (!publisher_) return -1;
  auto index = publisher_->resume_index(camera, std::chrono::milliseconds(timeout_ms));
  if (index) return index.value();
  problem_ = told(index.error());
  return -1;
}

std::string GodotPublisher::answer_unrealcv(std::int64_t port, std::string scene) {
  if (port < 1 || port > 65535) {
    return "UnrealCV's port came as " + std::to_string(port) + ".\nGive one from 1 to 65535; UnrealCV's own is 9000.";
  }
  auto started = UnrealcvServer::start({static_cast<std::uint16_t>(port), cameras_, std::move(scene)});
  if (!started) return told(started.error());
  unrealcv_ = std::move(started.value());
  return "";
}

bool GodotPublisher::has_unrealcv_client() { return unrealcv_ && unrealcv_->has_client(); }

std::string GodotPublisher::take_moves() {
  std::string lines;
  if (!unrealcv_) return lines;
  for (const CameraMove& move : unrealcv_->take_moves()) {
    lines += move.camera + "\t" + exact(move.horizontal_fov_radians.value_or(0) * 57.29577951308232);
    for (const double value : move.world_from_camera) lines += "\t" + exact(value);
    lines += "\n";
  }
  return lines;
}

bool GodotPublisher::cancel() {
  if (publisher_) publisher_->cancel();
  return publisher_ != nullptr;
}

bool GodotPublisher::close(std::int64_t timeout_ms) {
  unrealcv_.reset();
  if (!publisher_) return true;
  const bool clean = publisher_->close(std::chrono::milliseconds(timeout_ms));
  publisher_.reset();
  return clean;
}

void register_publisher() {
  register_class(
      class_name, parent_name,
      [](void*) {
        GDExtensionObjectPtr object = construct(parent_name);
        set_instance(object, class_name, new GodotPublisher);
        return object;
      },
      [](void*, GDExtensionClassInstancePtr instance) { delete static_cast<GodotPublisher*>(instance); });
  Method<&GodotPublisher::open>::add(class_name, "open");
  Method<&GodotPublisher::publish>::add(class_name, "publish");
  Method<&GodotPublisher::problem>::add(class_name, "problem");
  Method<&GodotPublisher::wants_frame>::add(class_name, "wants_frame");
  Method<&GodotPublisher::set_names>::add(class_name, "set_names");
  Method<&GodotPublisher::poll_picture>::add(class_name, "poll_picture");
  Method<&GodotPublisher::picture>::add(class_name, "picture");
  Method<&GodotPublisher::stats>::add(class_name, "stats");
  Method<&GodotPublisher::resume_index>::add(class_name, "resume_index");
  Method<&GodotPublisher::answer_unrealcv>::add(class_name, "answer_unrealcv");
  Method<&GodotPublisher::has_unrealcv_client>::add(class_name, "has_unrealcv_client");
  Method<&GodotPublisher::take_moves>::add(class_name, "take_moves");
  Method<&GodotPublisher::cancel>::add(class_name, "cancel");
  Method<&GodotPublisher::close>::add(class_name, "close");
}

void unregister_publisher() { unregister_class(class_name); }

}  // namespace renderlift::godot
