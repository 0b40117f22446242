#include "check.h"

#include <cstring>
#include <vector>

namespace check {

namespace {

struct Entry {
  const char* file;
  const char* name;
  Test test;
};

std::vector<Entry>& tests() {
  static std::vector<Entry> all;
  return all;
}

int failures = 0;

const char* file_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

}  // namespace

bool add(const char* file, const char* name, Test test) {
  tests().push_back({file_name(file), name, test});
  return true;
}

void fail(const char* file, int line, const char* what) {
  ++failures;
  std::fprintf(stderr, "%s:%d: not so: %s\n", file_name(file), line, what);
}

}  // namespace check

// Runs the tests of the files named on the command line, or all.
int main(int count, char** names) {
  int run = 0;
  for (const auto& entry : check::tests()) {
    bool wanted = count == 1;
    for (int i = 1; i < count; ++i)
      wanted = wanted || std::strcmp(names[i], entry.file) == 0 || std::strcmp(names[i], entry.name) == 0;
    if (!wanted) continue;
    const int before = check::failures;
    entry.test();
    std::printf("%s %s\n", check::failures == before ? "ok  " : "FAIL", entry.name);
    ++run;
  }
  std::printf("%d tests, %d failures\n", run, check::failures);
  return check::failures == 0 && run > 0 ? 0 : 1;
}
