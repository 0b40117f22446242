// The bytes that every language must agree on: tests/golden/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

std::vector<std::uint8_t> golden(const std::string& file);
