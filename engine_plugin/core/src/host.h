// What the core asks the operating system: clocks, random numbers, whether two processes share this machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace renderlift::host {

std::int64_t unix_time_ns();

std::uint64_t random_u64();
std::string random_hex(std::size_t digits);

// Equal in two processes that may share memory; empty where this system has no rings (docs/protocol.md section 5).
std::string host_id();

// SHA-256 (FIPS 180-4) as 64 hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

// XXH3, 64 bits, seed 0.
std::uint64_t checksum(const void* data, std::size_t bytes);

}  // namespace renderlift::host
