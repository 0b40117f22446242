#include "endpoint.h"

#include <algorithm>
#include <set>

#include "wire.h"

namespace renderlift {

namespace {

Error invalid(std::string what, std::string fix) { return {ErrorKind::invalid, std::move(what), std::move(fix)}; }

// 127.0.0.0/8, written with four numbers.
bool is_loopback_v4(std::string_view host) {
  if (host.substr(0, 4) != "127." || std::count(host.begin(), host.end(), '.') != 3) return false;
  return host.find_first_not_of("0123456789.") == std::string_view::npos;
}

Result<void> check_keys(const CurveKeys& keys) {
  for (const std::string* key : {&keys.public_key, &keys.secret_key, &keys.bridge_key})
    if (!is_curve_key(*key))
      return invalid("a CURVE key is not 40 characters of Z85",
                     "Copy it from the files that zmq.auth.create_certificates makes, or read them by load_curve_keys().");
  if (!is_curve_pair(keys))
    return invalid("the engine's public key does not belong to its secret key", "Take both from one .key_secret file.");
  return {};
}

Result<void> check_endpoint(const PublisherOptions& options) {
  if (options.endpoint.find("://") == std::string::npos)
    return Error{ErrorKind::transport, "'" + options.endpoint + "' is not an address",
                 std::string("Write it like ") + default_endpoint + "."};
  if (options.curve)
    if (Result<void> checked = check_keys(*options.curve); !checked) return checked;
  if (!options.curve && !is_loopback(options.endpoint))
    return Error{ErrorKind::transport,
                 options.endpoint + " can be reached from other machines, and frames would travel there unprotected",
                 "Use 127.0.0.1, or give CURVE keys (zmq.auth.create_certificates in Python makes them)."};
  return {};
}

Result<void> check_cameras(const std::vector<std::string>& cameras) {
  if (cameras.empty() || cameras.size() > wire::max_cameras)
    return invalid(std::to_string(cameras.size()) + " cameras", "Name 1 to 64 in PublisherOptions::cameras.");
  for (const std::string& name : cameras)
    if (!wire::is_name(name)) return invalid("'" + name + "' is no camera name", "Use 1 to 64 characters of UTF-8.");
  if (std::set<std::string>(cameras.begin(), cameras.end()).size() != cameras.size())
    return invalid("a camera's name stands twice", "Give each camera a name of its own.");
  return {};
}

Result<void> check_channel_list(const std::vector<Channel>& channels) {
  if (std::find(channels.begin(), channels.end(), Channel::rgb) == channels.end())
    return invalid("rgb is not among the channels", "Add Channel::rgb to PublisherOptions::channels.");
  if (std::set<Channel>(channels.begin(), channels.end()).size() != channels.size())
    return invalid("a channel stands twice", "Name each channel once in PublisherOptions::channels.");
  return {};
}

}  // namespace

bool is_loopback(std::string_view endpoint) {
  const std::size_t at = endpoint.find("://");
  const std::string_view scheme = endpoint.substr(0, at);
  if (scheme == "ipc" || scheme == "inproc") return true;
  if (scheme != "tcp" || at == std::string_view::npos) return false;
  std::string_view host = endpoint.substr(at + 3);
  host = host.substr(0, host.rfind(':'));
  return host == "localhost" || host == "[::1]" || is_loopback_v4(host);
}

Result<void> check_names(const std::vector<IdName>& names) {
  if (names.size() > wire::max_id_rows)
    return invalid("the id table has " + std::to_string(names.size()) + " rows", "Keep it under 65537.");
  std::size_t bytes = 0;
  for (const IdName& row : names) {
    if (!wire::is_text(row.name) || !wire::is_text(row.class_name) || !wire::is_text(row.path))
      return invalid("a text in row " + std::to_string(row.id) + " of the id table is too long, or not UTF-8",
                     "Keep texts under 1025 characters.");
    bytes += row.name.size() + row.class_name.size() + row.path.size() + 48;
  }
  if (bytes > wire::max_table_header_bytes - wire::max_header_bytes)
    return invalid("the id table has " + std::to_string(bytes >> 20) + " MiB", "Keep it under 15 MiB: shorten paths.");
  return {};
}

Result<void> check_options(const PublisherOptions& options) {
  if (Result<void> checked = check_endpoint(options); !checked) return checked;
  if (!wire::is_name(options.engine) || !wire::is_text(options.engine_version))
    return invalid("'" + options.engine + "' is no engine name", "Use 1 to 64 characters of UTF-8.");
  if (!options.session.empty() && !wire::is_name(options.session))
    return invalid("a session's name is too long, or not UTF-8", "Use at most 64 characters.");
  if (Result<void> checked = check_cameras(options.cameras); !checked) return checked;
  if (Result<void> checked = check_channel_list(options.channels); !checked) return checked;
  return check_names(options.names);
}

}  // namespace renderlift
