#include "renderlift/unrealcv_server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tcp.h"
#include "unrealcv_commands.h"

namespace renderlift {

namespace {

using unrealcv::Place;
using unrealcv::View;

constexpr std::uint32_t magic = 0x9e2b83c1;
constexpr std::size_t max_request_bytes = 64 << 10;
constexpr int look_ms = 100;    // how long the end of the server may take to be noticed
constexpr int stall_ms = 5000;  // until a client that stops in mid-message counts as gone
constexpr std::chrono::seconds frame_within{5};
// An engine may put a camera elsewhere than it was asked to (walls). After so many frames it is where it is.
constexpr int frames_until_there = 8;

// Both lengths little-endian, as UnrealCV's are on every machine it runs on.
struct Header {
  std::uint32_t magic, bytes;
};

const std::vector<Channel>& all_channels() {
  static const std::vector<Channel> all = [] {
    std::vector<Channel> channels;
    for (int i = 0; i < channel_count; ++i) channels.push_back(static_cast<Channel>(i));
    return channels;
  }();
  return all;
}

struct Camera {
  std::string name;
  std::optional<View> view;      // of the newest frame
  std::optional<Place> target;   // where it is to be, until a frame comes from there
  std::optional<CameraMove> move;
  int frames_since_move = 0;
  bool wanted = false;
  std::shared_ptr<const HeldFrame> frame;  // the one that was wanted
};

}  // namespace

struct UnrealcvServer::Inside {
  UnrealcvOptions options;
  tcp::Socket listener;
  std::atomic<bool> stopping{false}, has_client{false};
  mutable std::mutex mutex;
  std::condition_variable offered;
  std::vector<Camera> cameras;
  std::vector<IdName> names;
  std::shared_ptr<PixelPool> pool = std::make_shared<PixelPool>();
  std::thread thread;
  // The server's thread only: frames that the commands of a batch share.
  std::size_t batch_left = 0;
  std::vector<std::shared_ptr<const HeldFrame>> batch;

  void serve();
  void talk_to(const tcp::Socket& client);
  bool answer_one(const tcp::Socket& client, const std::string& request, const unrealcv::Scene& scene);
  unrealcv::Scene scene();
  std::shared_ptr<const HeldFrame> wait_for_frame(std::size_t camera);
  std::optional<View> view(std::size_t camera);
  void ask_to_move(std::size_t camera, const std::optional<Place>& place, std::optional<double> fov_degrees);
  Camera* camera(std::string_view name);
};

namespace {

const ChannelView& view_of(const ChannelView& channel) { return channel; }
const ChannelView& view_of(const HeldChannel& channel) { return channel.view; }

// `channels` are ChannelViews or HeldChannels, rgb among them.
template <class Channels>
View view_of_frame(const CameraPose& pose, const Channels& channels) {
  const auto is_rgb = [](const auto& channel) { return view_of(channel).channel == Channel::rgb; };
  const ChannelView& rgb = view_of(*std::find_if(channels.begin(), channels.end(), is_rgb));
  return {unrealcv::place_of(pose.world_from_camera),
          unrealcv::horizontal_fov_degrees(pose.image_from_camera, rgb.width), rgb.width, rgb.height};
}

bool send(const tcp::Socket& client, const std::string& payload) {
  const Header header{magic, static_cast<std::uint32_t>(payload.size())};
  return tcp::write_all(client, &header, sizeof header, stall_ms) &&
         tcp::write_all(client, payload.data(), payload.size(), stall_ms);
}

std::optional<std::string> receive(const tcp::Socket& client) {
  Header header{};
  if (!tcp::read_all(client, &header, sizeof header, stall_ms)) return std::nullopt;
  if (header.magic != magic || header.bytes > max_request_bytes) return std::nullopt;
  std::string request(header.bytes, '\0');
  if (!tcp::read_all(client, request.data(), request.size(), stall_ms)) return std::nullopt;
  return request;
}

}  // namespace

Camera* UnrealcvServer::Inside::camera(std::string_view name) {
  for (Camera& camera : cameras)
    if (camera.name == name) return &camera;
  return nullptr;
}

void UnrealcvServer::Inside::serve() {
  while (!stopping) {
    if (!tcp::is_readable(listener, look_ms)) continue;
    const tcp::Socket client = tcp::accept(listener);
    if (!client) continue;
    has_client = true;
    if (send(client, "connected to " + options.scene)) talk_to(client);
    has_client = false;
  }
}

void UnrealcvServer::Inside::talk_to(const tcp::Socket& client) {
  const unrealcv::Scene asked = scene();
  batch_left = 0;
  while (!stopping) {
    if (tcp::is_readable(listener, 0)) send(tcp::accept(listener), "error another client is connected");
    if (!tcp::is_readable(client, look_ms)) continue;
    const std::optional<std::string> request = receive(client);
    if (!request || !answer_one(client, *request, asked)) return;
  }
}

// A request is `ID:COMMAND`, its answer `ID:ANSWER`.
bool UnrealcvServer::Inside::answer_one(const tcp::Socket& client, const std::string& request,
                                        const unrealcv::Scene& asked) {
  const std::size_t colon = request.find(':');
  if (colon == std::string::npos || request.find_first_not_of("0123456789") != colon) return false;
  const std::string command = request.substr(colon + 1);
  std::string text = "ok";
  if (const auto count = unrealcv::batch_size(command)) {
    batch_left = *count;
    batch.assign(cameras.size(), nullptr);
  } else {
    text = unrealcv::answer(command, asked);
    if (batch_left > 0) --batch_left;
  }
  return send(client, request.substr(0, colon + 1) + text);
}

unrealcv::Scene UnrealcvServer::Inside::scene() {
  unrealcv::Scene asked;
  asked.name = options.scene;
  asked.port = tcp::port_of(listener);
  asked.cameras = options.cameras;
  asked.view = [this](std::size_t camera) { return view(camera); };
  asked.frame = [this](std::size_t camera) { return wait_for_frame(camera); };
  asked.move = [this](std::size_t camera, const Place& place) { ask_to_move(camera, place, std::nullopt); };
  asked.set_fov = [this](std::size_t camera, double degrees) { ask_to_move(camera, std::nullopt, degrees); };
  asked.objects = [this] {
    std::lock_guard<std::mutex> lock(mutex);
    return names;
  };
  return asked;
}

// A frame that was offered after the question, from where the camera was moved to.
std::shared_ptr<const HeldFrame> UnrealcvServer::Inside::wait_for_frame(std::size_t number) {
  if (number >= cameras.size()) return nullptr;
  if (batch_left > 0 && batch[number]) return batch[number];
  std::unique_lock<std::mutex> lock(mutex);
  Camera& camera = cameras[number];
  camera.frame.reset();
  camera.wanted = true;
  offered.wait_for(lock, frame_within, [&] { return camera.frame || stopping; });
  camera.wanted = false;
  std::shared_ptr<const HeldFrame> frame = std::move(camera.frame);
  camera.frame.reset();
  if (batch_left > 0) batch[number] = frame;
  return frame;
}

std::optional<View> UnrealcvServer::Inside::view(std::size_t number) {
  if (number >= cameras.size()) return std::nullopt;
  bool known = false;
  {
    std::lock_guard<std::mutex> lock(mutex);
    known = cameras[number].view.has_value();
  }
  if (batch_left > 0 || !known) {
    const auto frame = wait_for_frame(number);
    if (!frame) return std::nullopt;
    if (batch_left > 0) return view_of_frame(frame->pose, frame->channels);
  }
  std::lock_guard<std::mutex> lock(mutex);
  View view = *cameras[number].view;
  if (cameras[number].target) view.place = *cameras[number].target;
  return view;
}

void UnrealcvServer::Inside::ask_to_move(std::size_t number, const std::optional<Place>& place,
                                         std::optional<double> fov_degrees) {
  std::lock_guard<std::mutex> lock(mutex);
  Camera& camera = cameras[number];
  if (!camera.move) camera.move = CameraMove{camera.name, {}, std::nullopt};
  if (place) camera.target = place;
  if (!camera.target) camera.target = camera.view->place;
  camera.move->world_from_camera = unrealcv::world_from_camera(*camera.target);
  if (fov_degrees) camera.move->horizontal_fov_radians = *fov_degrees * 0.017453292519943295;
  camera.frames_since_move = 0;
  if (number < batch.size()) batch[number] = nullptr;
}

UnrealcvServer::UnrealcvServer(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}

Result<std::unique_ptr<UnrealcvServer>> UnrealcvServer::start(UnrealcvOptions options) {
  Result<tcp::Socket> listener = tcp::listen_on_loopback(options.port);
  if (!listener) return listener.error();
  auto inside = std::make_unique<Inside>();
  for (const std::string& name : options.cameras) inside->cameras.push_back({name, {}, {}, {}, 0, false, nullptr});
  inside->options = std::move(options);
  inside->listener = std::move(listener.value());
  inside->thread = std::thread([serving = inside.get()] { serving->serve(); });
  return std::unique_ptr<UnrealcvServer>(new UnrealcvServer(std::move(inside)));
}

UnrealcvServer::~UnrealcvServer() {
  {
    std::lock_guard<std::mutex> lock(inside_->mutex);
    inside_->stopping = true;
  }
  inside_->offered.notify_all();
  inside_->thread.join();
}

std::uint16_t UnrealcvServer::port() const { return tcp::port_of(inside_->listener); }

bool UnrealcvServer::has_client() const { return inside_->has_client; }

std::vector<CameraMove> UnrealcvServer::take_moves() {
  std::vector<CameraMove> moves;
  std::lock_guard<std::mutex> lock(inside_->mutex);
  for (Camera& camera : inside_->cameras) {
    if (!camera.move) continue;
    moves.push_back(std::move(*camera.move));
    camera.move.reset();
  }
  return moves;
}

bool UnrealcvServer::wants_frame(std::string_view name) const {
  if (!inside_->has_client) return false;
  std::lock_guard<std::mutex> lock(inside_->mutex);
  const Camera* camera = inside_->camera(name);
  return camera != nullptr && (camera->wanted || camera->target);
}

Result<void> UnrealcvServer::offer(const FrameView& frame) {
  if (Result<void> checked = check_frame(frame, all_channels()); !checked) return checked;
  std::lock_guard<std::mutex> lock(inside_->mutex);
  Camera* camera = inside_->camera(frame.camera);
  if (camera == nullptr)
    return Error{ErrorKind::invalid, "camera '" + frame.camera + "' is unknown",
                 "Name it in UnrealcvOptions::cameras."};
  camera->view = view_of_frame(frame.pose, frame.channels);
  const bool may_have_moved = !camera->move;  // the engine has taken it
  if (camera->target && may_have_moved &&
      (unrealcv::is_there(camera->view->place, *camera->target) || ++camera->frames_since_move >= frames_until_there)) {
    camera->target.reset();
  }
  if (!camera->wanted || camera->target) return {};
  camera->frame = copy_of(frame, inside_->pool);
  camera->wanted = false;
  inside_->offered.notify_all();
  return {};
}

void UnrealcvServer::set_names(std::vector<IdName> names) {
  std::lock_guard<std::mutex> lock(inside_->mutex);
  inside_->names = std::move(names);
}

}  // namespace renderlift
