// Loopback or CURVE; and what the bridge would refuse is refused here, with a reason.
#include "endpoint.h"

#include <cstdio>
#include <cstdlib>

#include <zmq.h>

#include "check.h"
#include "host.h"

using namespace renderlift;

namespace {

PublisherOptions good() {
  PublisherOptions options;
  options.engine = "test";
  return options;
}

// Of no bridge anywhere.
const std::string public_key = "]nr@5M5=%PyJ+vSgQ#8eM%ux@.=zYP[D:UMI{yVH";
const std::string secret_key = "0GA9RT?<-7n>fnJ@q^9<02CsAk@MC!i[sW@ma=?9";
const std::string bridge_key = "VZV{>cM^z!*1EY(pHGw%wIB#ARxze$sWnGqPtxq&";

void write(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  CHECK(file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size());
  std::fclose(file);
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
  options.curve = CurveKeys{public_key, secret_key, bridge_key};
  CHECK(check_options(options).ok());
}

TEST(keys_that_are_none_are_refused) {
  const auto with = [](const CurveKeys& keys) { return [keys](PublisherOptions& options) { options.curve = keys; }; };
  CHECK(is_refused(with({public_key, secret_key, "short"}), "not 40 characters"));
  CHECK(is_refused(with({public_key, std::string(40, '~'), bridge_key}), "of Z85"));
  if (zmq_has("curve")) CHECK(is_refused(with({bridge_key, secret_key, bridge_key}), "does not belong to its secret key"));
}

TEST(keys_are_read_from_the_files_that_python_writes) {
  const std::string folder = std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/";
  const std::string own = folder + host::random_hex(16), bridge = folder + host::random_hex(16);
  write(own, "#   **Secret** Certificate\nmetadata\n    name = \"public-key\"\ncurve\n    public-key = \"" + public_key +
                 "\"\n    secret-key = \"" + secret_key + "\"\n");
  write(bridge, "# public-key = \"" + public_key + "\"\r\ncurve\r\n    public-key = \"" + bridge_key + "\"\r\n");
  const auto keys = load_curve_keys(own, bridge);
  CHECK(keys && keys.value().public_key == public_key && keys.value().secret_key == secret_key);
  CHECK(keys && keys.value().bridge_key == bridge_key);
  CHECK(load_curve_keys(bridge, own).error().what.find("holds no secret key") != std::string::npos);
  write(bridge, "curve\n    public-key = \"short\"\n");
  CHECK(load_curve_keys(own, bridge).error().what.find("holds no public key") != std::string::npos);
  std::remove(bridge.c_str());
  CHECK(load_curve_keys(own, bridge).error().what.find("cannot be read") != std::string::npos);
  std::remove(own.c_str());
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
