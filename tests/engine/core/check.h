// Tests as plain functions: TEST(what_holds) { CHECK(...); }
#pragma once

#include <cstdio>

namespace check {

using Test = void (*)();
bool add(const char* file, const char* name, Test test);
void fail(const char* file, int line, const char* what);

}  // namespace check

#define TEST(name)                                                            \
  static void name();                                                         \
  [[maybe_unused]] static const bool name##_added = check::add(__FILE__, #name, name); \
  static void name()

#define CHECK(condition) \
  do {                   \
    if (!(condition)) check::fail(__FILE__, __LINE__, #condition); \
  } while (false)
