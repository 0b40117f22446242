// Loopback or CURVE; and what the bridge would refuse is refused here, with a reason.
#include "endpoint.h"

#include "check.h"

using namespace renderlift;

namespace {

PublisherOptions good() {
  PublisherOptions options;
  options.engine = "test";
  return options;
}

template <class Change>
bool is_refused(Change change, const char* why) {
  PublisherOptions options = good();
  change(options);
  const Result<void> checked = check_options(options);
  return !checked.ok() && checked.error().what.find(why) != std::string::npos && !checked.error().fix.empty();
}

}  // namespace

TEST(loopback_needs_no_keys) {
  for (const char* endpoint : {"tcp://127.0.0.1:5755", "tcp://127.9.8.7:1", "tcp://[::1]:5755", "tcp://localhost:5755",
                               "ipc:///run/renderlift", "inproc://x"})
    CHECK(is_loopback(endpoint));
  for (const char* endpoint : {"tcp://192.168.0.2:5755", "tcp://0.0.0.0:5755", "tcp://127.evil.example:5755",
                               "tcp://[::]:5755", "tcp://127.0.0.1.example.org:1", "127.0.0.1:5755", ""})
    CHECK(!is_loopback(endpoint));
}

TEST(another_machine_needs_keys) {
  const auto far = [](PublisherOptions& options) { options.endpoint = "tcp://192.168.0.2:5755"; };
  CHECK(is_refused(far, "unprotected"));
  PublisherOptions options = good();
  far(options);
  options.curve = CurveKeys{std::string(40, 'a'), std::string(40, 'b'), std::string(40, 'c')};
  CHECK(check_options(options).ok());
  options.curve->bridge_key = "short";
  CHECK(!check_options(options).ok());
}

TEST(options_that_the_bridge_would_refuse_are_refused) {
  CHECK(check_options(good()).ok());
  CHECK(is_refused([](auto& o) { o.endpoint = "localhost"; }, "is not an address"));
  CHECK(is_refused([](auto& o) { o.engine = ""; }, "no engine name"));
  CHECK(is_refused([](auto& o) { o.engine = "\xff"; }, "no engine name"));
  CHECK(is_refused([](auto& o) { o.session = std::string(65, 's'); }, "session"));
  CHECK(is_refused([](auto& o) { o.cameras = {}; }, "0 cameras"));
  CHECK(is_refused([](auto& o) { o.cameras = {"a", "a"}; }, "twice"));
  CHECK(is_refused([](auto& o) { o.channels = {Channel::depth}; }, "rgb"));
  CHECK(is_refused([](auto& o) { o.names = {{1, std::string(1025, 'n'), "", ""}}; }, "too long"));
  CHECK(is_refused([](auto& o) { o.names.resize(65537); }, "65537 rows"));
}
