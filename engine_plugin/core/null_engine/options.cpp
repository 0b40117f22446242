#include "options.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "renderlift/publisher.h"

namespace null_engine {

const char usage[] =
    "null_engine: an engine without graphics that sends frames to a Renderlift bridge.\n"
    "\n"
    "  null_engine [--endpoint tcp://127.0.0.1:5755] [--capture] [--frames 24] [--size 320x180] [--fps 24]\n"
    "              [--session NAME] [--resize-after N] [--no-shared-memory] [--picture FILE.ppm] [--wait 5]\n"
    "              [--unrealcv PORT] [--key FILE --peer FILE] [--lend]\n"
    "\n"
    "  --capture           every frame arrives, whatever happens to the bridge; without it the newest wins\n"
    "  --session NAME      go on with a captured session where its bridge left off\n"
    "  --resize-after N    frames from N on are 16 pixels wider and 8 higher\n"
    "  --fps 0             as fast as it goes\n"
    "  --picture FILE.ppm  keep the newest picture that comes back\n"
    "  --key, --peer FILE  encrypted, to any machine: own .key_secret file, the bridge's .key (docs/cli.md)\n"
    "  --lend              lend frames to the core, which copies them, instead of handing them over\n"
    "  --unrealcv PORT     answer UnrealCV's clients too (docs/core.md); 0 takes a free port and prints it\n"
    "  --wait S            seconds to wait for the bridge to answer, and at the end to take the last frames\n"
    "\n"
    "Prints one JSON object when it ends. Exit status: 0 all frames settled, 1 not, 2 wrong options.\n";

namespace {

renderlift::Error wrong(const std::string& word) {
  return {renderlift::ErrorKind::invalid, "'" + word + "' is no option with that value", "null_engine --help"};
}

bool parse_number(const char* text, double& number) {
  char* end = nullptr;
  number = std::strtod(text, &end);
  return end != text && *end == '\0' && number >= 0;
}

bool parse_number(const char* text, std::int64_t& number) {
  double value = 0;
  const bool parsed = parse_number(text, value) && value < 1e15;
  if (parsed) number = static_cast<std::int64_t>(value);
  return parsed;
}

bool parse_size(const char* text, Options& options) {
  return std::sscanf(text, "%ux%u", &options.width, &options.height) == 2;
}

bool parse_port(const char* text, int& port) {
  std::int64_t number = 0;
  const bool parsed = parse_number(text, number) && number <= 65535;
  if (parsed) port = static_cast<int>(number);
  return parsed;
}

bool parse_value(const std::string& word, const char* value, Options& options) {
  if (word == "--endpoint") options.endpoint = value;
  else if (word == "--session") options.session = value;
  else if (word == "--picture") options.picture_path = value;
  else if (word == "--key") options.key_path = value;
  else if (word == "--peer") options.peer_path = value;
  else if (word == "--unrealcv") return parse_port(value, options.unrealcv_port);
  else if (word == "--size") return parse_size(value, options);
  else if (word == "--frames") return parse_number(value, options.frames);
  else if (word == "--resize-after") return parse_number(value, options.resize_after);
  else if (word == "--fps") return parse_number(value, options.frames_per_s);
  else if (word == "--wait") return parse_number(value, options.wait_s);
  else return false;
  return true;
}

}  // namespace

renderlift::Result<Options> parse(int count, const char* const* words) {
  Options options;
  options.endpoint = renderlift::default_endpoint;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--capture") options.capture = true;
    else if (word == "--lend") options.lend = true;
    else if (word == "--no-shared-memory") options.shared_memory = false;
    else if (i + 1 < count && parse_value(word, words[i + 1], options)) ++i;
    else return wrong(word);
  }
  return options;
}

}  // namespace null_engine
