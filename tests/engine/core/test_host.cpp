#include "host.h"

#include "check.h"

using namespace renderlift;

TEST(sha256_is_that_of_fips_180_4) {
  CHECK(host::sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(host::sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(host::sha256_hex(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(random_names_differ_and_have_the_length_asked_for) {
  const std::string name = host::random_hex(16);
  CHECK(name.size() == 16 && name.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(name != host::random_hex(16));
}
