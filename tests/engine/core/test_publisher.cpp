// The engine's end against a bridge that behaves, misbehaves, dies and comes back.
#include "renderlift/publisher.h"

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "check.h"
#include "host.h"
#include "stub_bridge.h"

using namespace renderlift;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds patient{5000};

PublisherOptions options_for(const std::string& endpoint, Mode mode) {
  PublisherOptions options;
  options.endpoint = endpoint;
  options.engine = "test";
  options.mode = mode;
  options.channels = {Channel::rgb, Channel::depth};
  options.shared_memory = false;
  return options;
}

// No test waits for frames that its bridge never acknowledged.
struct CloseAtOnce {
  void operator()(Publisher* publisher) const {
    publisher->close(milliseconds(0));
    delete publisher;
  }
};
using OpenPublisher = std::unique_ptr<Publisher, CloseAtOnce>;

OpenPublisher open(const PublisherOptions& options) {
  auto opened = Publisher::open(options);
  CHECK(opened.ok());
  return OpenPublisher(opened.value().release());
}

// A frame whose first byte is its index.
struct Pixels {
  std::vector<std::uint8_t> rgb;
  std::vector<float> depth;
  FrameView frame;

  explicit Pixels(std::int64_t index, std::uint32_t width = 8, std::uint32_t height = 4)
      : rgb(std::size_t{3} * width * height, static_cast<std::uint8_t>(index)), depth(std::size_t{width} * height, 1.0f) {
    frame.index = index;
    frame.channels = {view_of(Channel::rgb, width, height, rgb.data()),
                      view_of(Channel::depth, width, height, depth.data())};
  }
};

Result<Published> publish(Publisher& publisher, std::int64_t index, milliseconds timeout = patient) {
  return publisher.publish(Pixels(index).frame, timeout);
}

void send(Publisher& publisher, std::int64_t index) { CHECK(publish(publisher, index).ok()); }

bool balances(const Stats& stats) {
  return stats.published == stats.acknowledged + stats.dropped + stats.unsettled;
}

// A publisher that a bridge has welcomed.
OpenPublisher welcomed(StubBridge& bridge, Mode mode, std::uint32_t credits) {
  auto publisher = open(options_for(bridge.endpoint(), mode));
  CHECK(bridge.receive("hello").has_value());
  bridge.welcome(credits);
  CHECK(publisher->wait_connected(patient));
  return publisher;
}

// Pixels that are handed over: `owners` tells how many frames are still kept by somebody.
struct HandedOver {
  std::shared_ptr<std::atomic<int>> owners = std::make_shared<std::atomic<int>>(0);
  std::function<void()> when_let_go = [] {};

  FrameView frame(std::int64_t index) const {
    ++*owners;
    const auto deleter = [count = owners, tell = when_let_go](const Pixels* pixels) {
      std::memset(const_cast<std::uint8_t*>(pixels->rgb.data()), 0xee, pixels->rgb.size());  // the engine's again
      delete pixels;
      tell();
      --*count;
    };
    const std::shared_ptr<const Pixels> pixels(new Pixels(index), deleter);
    FrameView frame = pixels->frame;
    frame.owner = pixels;
    return frame;
  }
  bool all_let_go() const {
    return eventually([&] { return *owners == 0; });
  }
};

std::int64_t next_frame(StubBridge& bridge) {
  const auto frame = bridge.receive("frame");
  return frame ? frame->index : -1;
}

}  // namespace

TEST(a_frame_arrives_with_its_bytes) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 2);
  CHECK(publish(*publisher, 7).ok());
  const auto frame = bridge.receive("frame");
  CHECK(frame && frame->index == 7 && frame->previous == -1 && !frame->in_slot);
  CHECK(frame->parts.size() == 2 && frame->parts[0] == Bytes(96, 7));
}

TEST(preview_without_a_bridge_never_waits_and_keeps_the_newest) {
  auto publisher = open(options_for("tcp://127.0.0.1:1", Mode::preview));
  CHECK(publish(*publisher, 0).value() == Published::queued);
  CHECK(publish(*publisher, 1).value() == Published::replaced);
  const Stats stats = publisher->stats();
  CHECK(!stats.connected && !stats.problem.empty() && !stats.fix.empty());
  CHECK(stats.dropped == 1 && stats.unsettled == 1 && balances(stats));
}

TEST(preview_sends_as_many_as_there_is_credit_for_and_then_the_newest) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 1);
  send(*publisher, 0);
  CHECK(next_frame(bridge) == 0);
  CHECK(publisher->wants_frame("main"));
  for (int index = 1; index <= 5; ++index) send(*publisher, index);
  CHECK(!publisher->wants_frame("main") && !publisher->wants_frame("no such camera"));
  bridge.ack(0, 1);
  const auto frame = bridge.receive("frame");
  CHECK(frame && frame->index == 5 && frame->previous == 4 && frame->dropped == 4);
  bridge.ack(5, 1);
  CHECK(eventually([&] { return publisher->stats().acknowledged == 2; }));
  CHECK(balances(publisher->stats()));
}

TEST(capture_waits_for_credit_and_says_why_it_waited) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::capture, 2);
  CHECK(publish(*publisher, 0).ok() && publish(*publisher, 1).ok());
  CHECK(!publisher->wants_frame("main"));
  const auto late = publish(*publisher, 2, milliseconds(30));
  CHECK(!late && late.error().kind == ErrorKind::timeout);
  CHECK(late.error().what.find("has not acknowledged the last 2 frames") != std::string::npos);
  CHECK(publisher->stats().published == 2);  // a frame that failed was not taken
  bridge.receive("frame");
  bridge.ack(0, 2);
  CHECK(publish(*publisher, 2).ok());
}

TEST(capture_without_a_bridge_waits_until_it_is_cancelled) {
  auto publisher = open(options_for("tcp://127.0.0.1:1", Mode::capture));
  std::atomic<bool> ended{false};
  std::thread waiting([&] {
    const auto published = publish(*publisher, 0, Publisher::wait_for_ever);
    CHECK(!published && published.error().kind == ErrorKind::cancelled);
    ended = true;
  });
  CHECK(eventually([&] {
    publisher->cancel();  // again and again, for the other thread may not wait yet
    return ended.load();
  }));
  waiting.join();
}

TEST(capture_sends_again_what_the_bridge_refused) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::capture, 8);
  for (int index = 0; index < 3; ++index) send(*publisher, index);
  for (int index = 0; index < 3; ++index) CHECK(next_frame(bridge) == index);
  bridge.nack(1, 0);
  bridge.ack(0, 8);
  const std::int64_t again = next_frame(bridge);  // from 0 if the nack was read first
  CHECK(again == 0 || again == 1);
  for (std::int64_t index = again + 1; index < 3; ++index) CHECK(next_frame(bridge) == index);
  bridge.ack(2, 8);
  CHECK(publisher->close(patient));
  CHECK(bridge.receive("bye").has_value());
}

TEST(capture_loses_nothing_when_the_bridge_is_killed_and_comes_back) {
  auto bridge = std::make_unique<StubBridge>();
  const std::string endpoint = bridge->endpoint();
  auto publisher = welcomed(*bridge, Mode::capture, 8);
  for (int index = 0; index < 4; ++index) send(*publisher, index);
  for (int index = 0; index < 4; ++index) CHECK(next_frame(*bridge) == index);
  bridge->ack(1, 8);
  CHECK(eventually([&] { return publisher->stats().acknowledged == 2; }));
  bridge.reset();
  CHECK(eventually([&] { return !publisher->stats().connected; }));
  bridge = std::make_unique<StubBridge>(endpoint);
  const auto hello = bridge->receive("hello");
  CHECK(hello && hello->acknowledged == 1);
  bridge->welcome(8, 1);
  CHECK(next_frame(*bridge) == 2 && next_frame(*bridge) == 3);
  bridge->ack(3, 8);
  CHECK(publisher->close(patient) && publisher->stats().acknowledged == 4 && publisher->stats().dropped == 0);
}

TEST(preview_counts_what_was_under_way_when_the_bridge_died) {
  auto bridge = std::make_unique<StubBridge>();
  const std::string endpoint = bridge->endpoint();
  auto publisher = welcomed(*bridge, Mode::preview, 2);
  send(*publisher, 0);
  CHECK(next_frame(*bridge) == 0);
  bridge.reset();
  bridge = std::make_unique<StubBridge>(endpoint);
  CHECK(bridge->receive("hello").has_value());
  bridge->welcome(2);
  CHECK(publisher->wait_connected(patient));
  CHECK(eventually([&] { return publisher->stats().dropped == 1; }));
  send(*publisher, 1);
  CHECK(next_frame(*bridge) == 1);
  CHECK(balances(publisher->stats()));
}

TEST(a_killed_engine_goes_on_where_its_session_left_off) {
  StubBridge bridge;
  PublisherOptions options = options_for(bridge.endpoint(), Mode::capture);
  options.session = "run 5";
  auto publisher = open(options);
  const auto hello = bridge.receive("hello");
  CHECK(hello && hello->session == "run 5");
  bridge.welcome(8, 41);
  const auto first = publisher->resume_index("main", patient);
  CHECK(first && first.value() == 42);
  CHECK(publish(*publisher, 41).ok());  // once more what is durable already: it is not sent
  CHECK(publish(*publisher, 42).ok());
  CHECK(next_frame(bridge) == 42);
}

TEST(channels_the_bridge_does_not_know_are_left_out) {
  StubBridge bridge;
  auto publisher = open(options_for(bridge.endpoint(), Mode::preview));
  bridge.receive("hello");
  bridge.welcome(2, -1, "", {"rgb", "a channel of the future"});
  CHECK(publisher->wait_connected(patient));
  CHECK(publisher->stats().accepted == std::vector<Channel>{Channel::rgb});
  send(*publisher, 0);
  const auto frame = bridge.receive("frame");
  CHECK(frame && frame->channels == std::vector<std::string>{"rgb"} && frame->parts.size() == 1);
}

TEST(pixels_go_through_shared_memory_and_a_larger_frame_gets_a_new_ring) {
  StubBridge bridge;
  PublisherOptions options = options_for(bridge.endpoint(), Mode::capture);
  options.shared_memory = true;
  auto publisher = open(options);
  bridge.receive("hello");
  bridge.welcome(8, -1, host::host_id());
  send(*publisher, 0);
  CHECK(!bridge.receive("frame")->in_slot);  // nothing waits for the ring
  const auto ring = bridge.receive("ring");
  CHECK(ring && ring->slots == 4 && ring->slot_bytes == 4096);
  bridge.ring_ready(ring->name, true);
  CHECK(eventually([&] { return publisher->stats().shared_memory; }));
  send(*publisher, 1);
  CHECK(bridge.receive("frame")->in_slot);
  CHECK(publisher->publish(Pixels(2, 100, 50).frame).ok());
  CHECK(!bridge.receive("frame")->in_slot);
  const auto larger = bridge.receive("ring");
  CHECK(larger && larger->name != ring->name && larger->slot_bytes == 36864);
  bridge.ring_ready(larger->name, false);
  CHECK(publisher->publish(Pixels(3, 100, 50).frame).ok());
  CHECK(!bridge.receive("frame")->in_slot);  // the bridge could not open it
}

TEST(pixels_handed_over_are_let_go_when_a_newer_frame_replaces_them) {
  HandedOver engine;
  {
    auto publisher = open(options_for("tcp://127.0.0.1:1", Mode::preview));
    engine.when_let_go = [&] { publisher->stats(); };  // no lock is held: this would wait for ever
    CHECK(publisher->publish(engine.frame(0)).ok() && *engine.owners == 1);
    CHECK(publisher->publish(engine.frame(1)).ok() && *engine.owners == 1);
    CHECK(!publisher->publish(engine.frame(1)).ok());
    CHECK(*engine.owners == 1);  // a frame that failed is not kept
  }
  CHECK(*engine.owners == 0);
}

TEST(pixels_handed_over_in_preview_are_let_go_as_soon_as_they_have_left) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 2);
  HandedOver engine;
  engine.when_let_go = [&] { publisher->stats(); };
  CHECK(publisher->publish(engine.frame(7)).ok());
  const auto frame = bridge.receive("frame");
  CHECK(frame && frame->parts.size() == 2 && frame->parts[0] == Bytes(96, 7));
  CHECK(engine.all_let_go() && publisher->stats().unsettled == 1);
}

TEST(pixels_handed_over_in_capture_are_kept_until_they_are_acknowledged) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::capture, 8);
  HandedOver engine;
  engine.when_let_go = [&] { publisher->stats(); };
  for (int index = 0; index < 3; ++index) CHECK(publisher->publish(engine.frame(index)).ok());
  for (int index = 0; index < 3; ++index) CHECK(next_frame(bridge) == index);
  bridge.ack(0, 8);
  CHECK(eventually([&] { return *engine.owners == 2; }));
  bridge.nack(1, 0);
  const auto again = bridge.receive("frame");
  CHECK(again && again->index == 1 && again->parts[0] == Bytes(96, 1));
  CHECK(next_frame(bridge) == 2);
  bridge.ack(2, 8);
  CHECK(engine.all_let_go());
}

TEST(pixels_handed_over_go_through_a_ring_and_are_let_go_though_the_bridge_keeps_the_slot) {
  StubBridge bridge;
  PublisherOptions options = options_for(bridge.endpoint(), Mode::preview);
  options.shared_memory = true;
  auto publisher = open(options);
  bridge.receive("hello");
  bridge.welcome(8, -1, host::host_id());
  HandedOver engine;
  CHECK(publisher->publish(engine.frame(0)).ok());
  bridge.ring_ready(bridge.receive("ring")->name, true);
  CHECK(eventually([&] { return publisher->stats().shared_memory; }));
  CHECK(publisher->publish(engine.frame(1)).ok());
  CHECK(bridge.receive("frame")->in_slot);
  CHECK(engine.all_let_go() && publisher->stats().unsettled == 2);
}

TEST(pixels_handed_over_with_padding_arrive_without) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 2);
  const auto bgra = std::make_shared<const Bytes>(Bytes{1, 2, 3, 0, 4, 5, 6, 0, 9, 9, 9, 9, 7, 8, 9, 0, 10, 11, 12, 0, 9, 9, 9, 9});
  FrameView frame;
  frame.channels = {view_of(Channel::rgb, 2, 2, bgra->data(), 12, 4)};
  frame.channels[0].bgr = true;
  frame.owner = bgra;
  CHECK(publisher->publish(frame).ok());
  const auto arrived = bridge.receive("frame");
  CHECK(arrived && arrived->parts.size() == 1 && arrived->parts[0] == (Bytes{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10}));
}

TEST(the_newest_picture_of_a_camera_comes_back_once) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 2);
  send(*publisher, 3);
  const auto frame = bridge.receive("frame");
  bridge.result(frame->session, 3, 2, 1, {1, 2, 3, 4, 5, 6});
  CHECK(eventually([&] { return publisher->stats().results == 1; }));
  const auto pictures = publisher->poll_results();
  CHECK(pictures.size() == 1 && pictures[0].index == 3 && pictures[0].width == 2 && pictures[0].height == 1);
  CHECK(pictures[0].rgb == (Bytes{1, 2, 3, 4, 5, 6}) && pictures[0].timings_ms.at("render") == 12.5);
  CHECK(pictures[0].latency_ms > 0 && publisher->poll_results().empty());
}

TEST(damaged_pictures_and_nonsense_are_told_and_survived) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 2);
  send(*publisher, 0);
  const std::string session = bridge.receive("frame")->session;
  bridge.result(session, 0, 5, 5, {1, 2, 3});  // not 75 bytes
  CHECK(eventually([&] { return publisher->stats().problem.find("damaged") != std::string::npos; }));
  bridge.raw({0xc1, 0xff});
  CHECK(eventually([&] { return publisher->stats().problem.find("cannot be read") != std::string::npos; }));
  bridge.result(session, 0, 1, 1, {1, 2, 3});
  CHECK(eventually([&] { return publisher->stats().results == 1; }));
  CHECK(publisher->stats().connected && publisher->stats().problem.empty());
}

TEST(a_refusal_is_told_and_ends_a_captures_wait) {
  StubBridge bridge;
  auto publisher = open(options_for(bridge.endpoint(), Mode::capture));
  bridge.receive("hello");
  bridge.error("session_taken", "another process uses this session");
  CHECK(eventually([&] { return publisher->stats().problem == "another process uses this session"; }));
  const auto published = publish(*publisher, 0);
  CHECK(!published && published.error().kind == ErrorKind::refused && published.error().fix == "Do something.");
  CHECK(bridge.receive("hello").has_value());  // it asks again
  bridge.welcome(1);
  CHECK(publisher->wait_connected(patient));
  CHECK(publish(*publisher, 0).ok());
}

TEST(a_bridge_of_another_version_is_named) {
  StubBridge bridge;
  auto publisher = open(options_for(bridge.endpoint(), Mode::preview));
  bridge.receive("hello");
  bridge.welcome(1, -1, "", {"rgb"}, 2);
  CHECK(eventually([&] { return publisher->stats().problem.find("protocol version 2") != std::string::npos; }));
}

TEST(a_bridge_that_forgot_the_session_gets_a_hello_at_once) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::capture, 4);
  send(*publisher, 0);
  CHECK(next_frame(bridge) == 0);
  bridge.error("hello_needed", "no session on this connection");
  CHECK(bridge.receive("hello", 1000).has_value());
  bridge.welcome(4);
  CHECK(next_frame(bridge) == 0);
}

TEST(the_id_table_follows_when_it_changes) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 2);
  CHECK(publisher->set_names({{1, "cup", "cup", ""}}).ok());
  CHECK(bridge.receive("names").has_value());
  CHECK(!publisher->set_names({{1, std::string(2000, 'x'), "", ""}}).ok());
}

TEST(indices_grow_and_a_closed_publisher_takes_nothing) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 2);
  CHECK(publish(*publisher, 4).ok());
  const auto again = publish(*publisher, 4);
  CHECK(!again && again.error().what.find("frame index 4 after 4") != std::string::npos);
  bridge.receive("frame");
  bridge.ack(4, 2);
  CHECK(publisher->close(patient));
  CHECK(!publish(*publisher, 5).ok());
}

TEST(an_address_that_is_none_is_an_error_at_once) {
  const auto opened = Publisher::open(options_for("tcp://127.0.0.1:port", Mode::preview));
  CHECK(!opened && opened.error().kind == ErrorKind::transport && !opened.error().fix.empty());
}

TEST(a_bridge_that_says_bye_is_dialled_again) {
  StubBridge bridge;
  auto publisher = welcomed(bridge, Mode::preview, 2);
  bridge.bye();
  CHECK(bridge.receive("hello").has_value());
}
