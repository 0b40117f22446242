// Files under /dev/shm: what shm_open does on Linux, without its library. Elsewhere there are no rings, and pixels
// travel through sockets (docs/protocol.md section 5).
#ifndef _WIN32

#include <cerrno>
#include <cstring>

#include "shared_file.h"

#ifdef __linux__

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace renderlift {

namespace {

const std::string folder = "/dev/shm/";
constexpr char prefix[] = "renderlift-";

Error no_memory(std::size_t bytes, int error) {
  return {ErrorKind::transport,
          "no shared memory of " + std::to_string(bytes >> 20) + " MiB: " + std::strerror(error),
          "Make /dev/shm larger (docker: --shm-size); until then sockets are used."};
}

// Removes files whose writer was killed: nobody holds their lock any more.
void sweep_files_of_the_dead() {
  DIR* directory = opendir(folder.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    if (std::strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0) continue;
    const std::string path = folder + entry->d_name;
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(path.c_str());
    close(fd);
  }
  closedir(directory);
}

// A new, locked file of full size, or -1 with errno.
int create_locked(const std::string& path, std::size_t bytes) {
  for (;;) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    struct stat status {};
    int error = 0;
    if (flock(fd, LOCK_EX) != 0 || fstat(fd, &status) != 0) error = errno;
    else if (status.st_nlink > 0) error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
    else error = -1;  // another's sweep came between open and lock
    if (error == 0) return fd;
    if (error > 0) unlink(path.c_str());
    close(fd);
    if (error > 0) {
      errno = error;
      return -1;
    }
  }
}

}  // namespace

Result<std::unique_ptr<SharedFile>> SharedFile::create(const std::string& name, std::size_t bytes) {
  sweep_files_of_the_dead();
  std::unique_ptr<SharedFile> file(new SharedFile);
  const int fd = create_locked(folder + name, bytes);
  if (fd < 0) return no_memory(bytes, errno);
  file->name_ = name;
  file->handle_ = fd;
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return no_memory(bytes, errno);
  file->data_ = static_cast<std::uint8_t*>(data);
  file->bytes_ = bytes;
  return file;
}

SharedFile::~SharedFile() {
  if (data_ != nullptr) munmap(data_, bytes_);
  if (handle_ < 0) return;
  unlink((folder + name_).c_str());
  close(static_cast<int>(handle_));
}

}  // namespace renderlift

#else

namespace renderlift {

Result<std::unique_ptr<SharedFile>> SharedFile::create(const std::string&, std::size_t) {
  return Error{ErrorKind::transport, "this system has no shared-memory rings", "Nothing: sockets are used."};
}

SharedFile::~SharedFile() = default;

}  // namespace renderlift

#endif
#endif
