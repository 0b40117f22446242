// A named piece of memory that another process on this machine can map. One implementation per system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "renderlift/result.h"

namespace renderlift {

class SharedFile {
 public:
  // Creates it, zeroed and with all its memory reserved. Fails with `transport`.
  static Result<std::unique_ptr<SharedFile>> create(const std::string& name, std::size_t bytes);
  // Removes the name; who has mapped it keeps what it has.
  ~SharedFile();
  SharedFile(const SharedFile&) = delete;
  SharedFile& operator=(const SharedFile&) = delete;

  std::uint8_t* data() const { return data_; }

 private:
  SharedFile() = default;

  std::string name_;
  std::uint8_t* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::intptr_t handle_ = -1;  // a file descriptor, or a Windows HANDLE
};

}  // namespace renderlift
