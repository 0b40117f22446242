// Whatever a bridge sends, the decoder answers with a message or an error. libFuzzer, built with clang.
#include "msgpack.h"
#include "wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = renderlift::wire::decode_from_bridge(data, size);
  if (!message && (message.error().what.empty() || message.error().fix.empty())) __builtin_trap();
  renderlift::msgpack::Reader reader(data, size);
  while (!reader.failed() && !reader.at_end()) reader.skip();
  return 0;
}
