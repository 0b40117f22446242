// Sections of the page file. Windows removes them with their last handle, so nothing is left behind by a kill.
#ifdef _WIN32

#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include "shared_file.h"

namespace renderlift {

Result<std::unique_ptr<SharedFile>> SharedFile::create(const std::string& name, std::size_t bytes) {
  const std::string section = "Local\\" + name;
  const auto size = static_cast<unsigned long long>(bytes);
  // SEC_COMMIT reserves the memory now, so that a lack of it is an error here and not a fault later.
  HANDLE handle = CreateFileMappingA(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE | SEC_COMMIT,
                                     static_cast<DWORD>(size >> 32), static_cast<DWORD>(size), section.c_str());
  const DWORD error = GetLastError();
  const auto no_memory = [&](DWORD code) {
    return Error{ErrorKind::transport,
                 "no shared memory of " + std::to_string(bytes >> 20) + " MiB: Windows error " + std::to_string(code),
                 "Free memory or enlarge the page file; until then sockets are used."};
  };
  if (handle == nullptr) return no_memory(error);
  std::unique_ptr<SharedFile> file(new SharedFile);
  file->name_ = name;
  file->handle_ = reinterpret_cast<std::intptr_t>(handle);
  if (error == ERROR_ALREADY_EXISTS) return no_memory(error);
  file->data_ = static_cast<std::uint8_t*>(MapViewOfFile(handle, FILE_MAP_ALL_ACCESS, 0, 0, bytes));
  if (file->data_ == nullptr) return no_memory(GetLastError());
  file->bytes_ = bytes;
  return file;
}

SharedFile::~SharedFile() {
  if (data_ != nullptr) UnmapViewOfFile(data_);
  if (handle_ != -1) CloseHandle(reinterpret_cast<HANDLE>(handle_));
}

}  // namespace renderlift

#endif
