// The rule of docs/protocol.md section 1: loopback, or CURVE; there is no third way.
#pragma once

#include <string>
#include <string_view>

#include "renderlift/publisher.h"

namespace renderlift {

bool is_loopback(std::string_view endpoint);

bool is_curve_key(const std::string& key);     // 40 characters of Z85
bool is_curve_pair(const CurveKeys& keys);     // whether the public key is that of the secret one

// What the bridge would refuse is better said to the caller. Fails with `invalid` or `transport`.
Result<void> check_options(const PublisherOptions& options);
Result<void> check_names(const std::vector<IdName>& names);

}  // namespace renderlift
