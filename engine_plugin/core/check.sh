#!/usr/bin/env bash
# Builds the core and runs its tests, as .ci/run does: as it ships, under sanitizers, fuzzed, and for Windows.
#
#   engine_plugin/core/check.sh            everything (the first time, minutes: it builds libzmq too)
#   engine_plugin/core/check.sh plain      only these: plain asan tsan fuzz windows
set -euo pipefail
cd "$(dirname "$0")"
FUZZ_RUNS=${FUZZ_RUNS:-100000}

quietly() {
  local log
  log=$(mktemp)
  "$@" >"$log" 2>&1 || { cat "$log" >&2; echo "failed: $*" >&2; exit 1; }
  rm -f "$log"
}

build() {
  quietly cmake --preset "$1"
  quietly cmake --build --preset "$1"
}

for kind in "${@:-plain asan tsan fuzz windows}"; do
  for preset in $kind; do
    echo "core: $preset"
    build "$preset"
    case $preset in
      plain | asan | tsan) quietly ctest --preset "$preset" ;;
      fuzz)
        mkdir -p build/fuzz/corpus
        quietly build/fuzz/tests/fuzz_wire -runs="$FUZZ_RUNS" -max_len=4096 -close_fd_mask=1 \
          build/fuzz/corpus ../../tests/golden
        ;;
    esac
  done
done
