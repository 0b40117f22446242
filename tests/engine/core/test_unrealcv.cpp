// UnrealCV's protocol: the allow-list, the axes, the encodings, and the server between two threads. What the real client
// makes of it is tested in test_unrealcv_server.py.
#include "renderlift/unrealcv_server.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <set>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "unrealcv_commands.h"
#include "unrealcv_pictures.h"

using namespace renderlift;
using unrealcv::Place;

namespace {

unrealcv::Scene empty_scene() {
  unrealcv::Scene scene;
  scene.name = "test";
  scene.cameras = {"main"};
  scene.view = [](std::size_t) { return std::optional<unrealcv::View>(); };
  scene.frame = [](std::size_t) { return std::shared_ptr<const HeldFrame>(); };
  scene.move = [](std::size_t, const Place&) {};
  scene.set_fov = [](std::size_t, double) {};
  scene.objects = [] { return std::vector<IdName>{}; };
  return scene;
}

bool is_error(const std::string& answer) { return answer.compare(0, 5, "error") == 0; }

// A client of the real bytes.
struct Client {
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  explicit Client(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CHECK(receive().compare(0, 9, "connected") == 0);
  }
  ~Client() { close(fd); }

  std::string receive() {
    std::uint32_t header[2] = {};
    CHECK(recv(fd, header, sizeof header, MSG_WAITALL) == sizeof header && header[0] == 0x9e2b83c1);
    std::string payload(header[1], '\0');
    CHECK(recv(fd, payload.data(), payload.size(), MSG_WAITALL) == static_cast<ssize_t>(payload.size()));
    return payload;
  }
  std::string ask(const std::string& command) {
    const std::string payload = "7:" + command;
    const std::uint32_t header[2] = {0x9e2b83c1, static_cast<std::uint32_t>(payload.size())};
    CHECK(send(fd, header, sizeof header, 0) == sizeof header);
    CHECK(send(fd, payload.data(), payload.size(), 0) == static_cast<ssize_t>(payload.size()));
    const std::string answer = receive();
    CHECK(answer.compare(0, 2, "7:") == 0);
    return answer.substr(2);
  }
};

}  // namespace

TEST(patterns_match_whole_commands_only) {
  const char pattern[] = "vset /camera/[uint]/location [float] [float] [float]";
  const auto words = unrealcv::match(pattern, "vset /camera/12/location 1 -2.5 3e1");
  CHECK(words && *words == (std::vector<std::string>{"12", "1", "-2.5", "3e1"}));
  for (const char* other : {"vset /camera/12/location 1 2", "vset /camera/12/location 1 2 3 4", "vset /camera//location 1 2 3",
                            "vset /camera/x/location 1 2 3", "vset /camera/1/location 1 2 inf", "vset", "",
                            "vset /camera/9999999999/location 1 2 3", " vset /camera/1/location 1 2 3"})
    CHECK(!unrealcv::match(pattern, other));
}

TEST(commands_that_are_not_listed_are_errors) {
  const auto scene = empty_scene();
  for (const char* command : {"vrun quit", "vexec x", "vset /action/quit", "vget /camera/0/lit /etc/passwd", "", "\n"})
    CHECK(is_error(unrealcv::answer(command, scene)));
  CHECK(is_error(unrealcv::answer("vget /camera/0/location", scene)));  // no frame yet
  CHECK(unrealcv::answer("vget /scene/name", scene) == "test");
  CHECK(!unrealcv::batch_size("vbatch 100000") && unrealcv::batch_size("vbatch 3") == 3u);
}

TEST(numbers_of_a_move_are_read_whatever_their_form) {
  auto scene = empty_scene();
  Place moved;
  scene.view = [](std::size_t) { return std::optional<unrealcv::View>(unrealcv::View{}); };
  scene.move = [&](std::size_t, const Place& place) { moved = place; };
  CHECK(unrealcv::answer("vset /camera/0/location +1.5 -.25 25E-1", scene) == "ok");
  CHECK(moved.location_cm == (std::array<double, 3>{1.5, -0.25, 2.5}));
  for (const char* number : {"1.2.3", "--1", "1e", "1e999", "e5", ".", "1-2", "-"})
    CHECK(is_error(unrealcv::answer(std::string("vset /camera/0/location 1 2 ") + number, scene)));
}

TEST(axes_lead_there_and_back) {
  for (double yaw = -170; yaw < 180; yaw += 35) {
    for (double pitch : {-80.0, 0.0, 33.0}) {
      const Place place{{100, -200, 300}, {pitch, yaw, 12}};
      CHECK(unrealcv::is_there(unrealcv::place_of(unrealcv::world_from_camera(place)), place));
    }
  }
  CHECK(unrealcv::is_there({{}, {0, 180, 0}}, {{}, {0, -180, 0}}));
  CHECK(!unrealcv::is_there({{}, {0, 0, 0}}, {{}, {0, 0.1, 0}}));
  // Unreal's camera at rest looks along x with y to the right; in our world, y points to its left.
  const auto at_rest = unrealcv::world_from_camera(Place{});
  CHECK(at_rest[2] == 1 && at_rest[4] == -1 && at_rest[9] == -1);
}

TEST(ids_have_colours_of_their_own) {
  std::set<std::array<std::uint8_t, 3>> colors;
  for (std::uint32_t id = 0; id < 10000; ++id) colors.insert(unrealcv::mask_color(id));
  CHECK(colors.size() == 10000 && unrealcv::mask_color(0) == (std::array<std::uint8_t, 3>{0, 0, 0}));
}

TEST(a_client_moves_a_camera_and_gets_the_frame_from_there) {
  auto server = UnrealcvServer::start({0, {"main"}, "test"});
  CHECK(server.ok());
  std::atomic<bool> done{false};
  std::thread asking([&] {
    Client client(server.value()->port());
    CHECK(client.ask("vget /camera/0/location") == "0.000 0.000 0.000");
    CHECK(client.ask("vset /camera/0/location 100 200 300") == "ok");
    const std::string depth = client.ask("vget /camera/0/depth npy");
    CHECK(depth.size() == 128 + 4 * 2 * 4 && (depth.size() - 32) % 64 == 0);
    CHECK(client.ask("vget /camera/0/location") == "100.000 200.000 300.000");
    CHECK(is_error(client.ask("vget /camera/0/normal png")));
    done = true;
  });
  std::vector<std::uint8_t> rgb(24);
  std::vector<float> depth(8, 1.0f);
  FrameView frame;
  frame.pose.world_from_camera = unrealcv::world_from_camera(Place{});
  frame.channels = {view_of(Channel::rgb, 4, 2, rgb.data()), view_of(Channel::depth, 4, 2, depth.data())};
  CameraPose late = frame.pose;  // as frames that are still on their way from the GPU
  for (; !done; ++frame.index) {
    frame.pose = late;
    for (const CameraMove& move : server.value()->take_moves()) late.world_from_camera = move.world_from_camera;
    CHECK(server.value()->offer(frame).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  asking.join();
}

TEST(a_server_that_ends_leaves_no_client_waiting) {
  auto server = UnrealcvServer::start({0, {"main"}, "test"});
  std::thread asking([port = server.value()->port()] {
    Client client(port);
    CHECK(is_error(client.ask("vget /camera/0/lit png")));  // nobody ever offers a frame
  });
  while (!server.value()->wants_frame("main")) std::this_thread::yield();
  server.value().reset();
  asking.join();
}

TEST(a_port_that_is_taken_is_an_error) {
  auto first = UnrealcvServer::start({0, {"main"}, "test"});
  const auto second = UnrealcvServer::start({first.value()->port(), {"main"}, "test"});
  CHECK(!second && second.error().what.find("cannot be listened on") != std::string::npos);
}
