#include "golden.h"

#include <cstdio>
#include <cstdlib>

std::vector<std::uint8_t> golden(const std::string& file) {
  const std::string path = RENDERLIFT_GOLDEN + file;
  std::FILE* stream = std::fopen(path.c_str(), "rb");
  if (stream == nullptr) {
    std::fprintf(stderr, "%s cannot be read\n", path.c_str());
    std::exit(2);
  }
  std::vector<std::uint8_t> bytes(1 << 16);
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), stream));
  std::fclose(stream);
  return bytes;
}
