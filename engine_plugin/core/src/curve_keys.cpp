// Keys in the files that zmq.auth.create_certificates writes: `public-key = "..."` and `secret-key = "..."`, a line each.
#include <fstream>

#include <zmq.h>

#include "endpoint.h"

namespace renderlift {

namespace {

struct KeyFile {
  std::string public_key, secret_key;
};

Error wrong(std::string what, std::string fix) { return {ErrorKind::invalid, std::move(what), std::move(fix)}; }

// What stands behind `name =`, without quotes; empty where the line is another.
std::string value_of(const std::string& line, std::string_view name) {
  constexpr std::string_view around = " \t\r'\"";
  const std::size_t start = line.find_first_not_of(" \t");
  const std::size_t equals = line.find('=');
  if (start == std::string::npos || equals == std::string::npos || line.compare(start, name.size(), name) != 0) return {};
  const std::size_t first = line.find_first_not_of(around, equals + 1);
  if (first == std::string::npos) return {};
  return line.substr(first, line.find_last_not_of(around) + 1 - first);
}

Result<KeyFile> read_key_file(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return wrong("the key file '" + path + "' cannot be read",
                 "Name a file that zmq.auth.create_certificates in Python made.");
  KeyFile keys;
  for (std::string line; std::getline(file, line);) {
    if (std::string key = value_of(line, "public-key"); !key.empty()) keys.public_key = std::move(key);
    if (std::string key = value_of(line, "secret-key"); !key.empty()) keys.secret_key = std::move(key);
  }
  if (!is_curve_key(keys.public_key))
    return wrong("'" + path + "' holds no public key", "Name a file that zmq.auth.create_certificates in Python made.");
  return keys;
}

}  // namespace

bool is_curve_key(const std::string& key) {
  constexpr std::size_t characters = 40;
  std::uint8_t bytes[32];
  return key.size() == characters && zmq_z85_decode(bytes, key.c_str()) != nullptr;
}

bool is_curve_pair(const CurveKeys& keys) {
  char derived[41];
  // Where this build has no encryption nothing can be derived, and Publisher::open() says so.
  return zmq_curve_public(derived, keys.secret_key.c_str()) != 0 || keys.public_key == derived;
}

Result<CurveKeys> load_curve_keys(const std::string& own_secret_file, const std::string& bridge_public_file) {
  Result<KeyFile> own = read_key_file(own_secret_file);
  if (!own) return own.error();
  if (!is_curve_key(own.value().secret_key))
    return wrong("'" + own_secret_file + "' holds no secret key", "Name the file that ends in .key_secret.");
  Result<KeyFile> bridge = read_key_file(bridge_public_file);
  if (!bridge) return bridge.error();
  return CurveKeys{own.value().public_key, own.value().secret_key, bridge.value().public_key};
}

}  // namespace renderlift
