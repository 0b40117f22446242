#!/usr/bin/env bash
# Builds the GDExtension into addons/renderlift/bin. Needs CMake, Ninja and a C++17 compiler.
# Godot itself supplies its interface header: $RENDERLIFT_GODOT, or the one that get_godot.sh gets.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
godot=${RENDERLIFT_GODOT:-$("$here/get_godot.sh")}
build=$here/build
mkdir -p "$build/include"
touch "$build/.gdignore"  # Godot must not import what lies here
if [[ ! -s $build/include/gdextension_interface.h ]]; then
  (cd "$build/include" && "$godot" --headless --dump-gdextension-interface >/dev/null)
fi
cmake -S "$here" -B "$build" -G Ninja -DGDEXTENSION_INCLUDE="$build/include" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" "$@"
# What a first import would write, so that the demo runs without one.
mkdir -p "$here/.godot"
echo "res://addons/renderlift/renderlift.gdextension" >"$here/.godot/extension_list.cfg"
