#!/usr/bin/env bash
# Gets the Godot 4 editor and a software Vulkan driver from Debian forky, without root and without touching the
# machine's own packages: apt resolves and verifies in a folder of its own, the packages are unpacked, and a launcher
# starts Godot with the libraries that came with it. Prints the launcher's path. 180 MB to download, 700 MB on disk.
#
#   godot=$(engine_plugin/godot/get_godot.sh)
#   $godot --version
#
# Needs apt-get and dpkg-deb (any Debian or Ubuntu, amd64). To use a Godot of your own: export RENDERLIFT_GODOT=/path.
# RENDERLIFT_CACHE (default ~/.cache/renderlift) says where it is kept, DEBIAN_MIRROR where it comes from.
set -euo pipefail

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
cache=${RENDERLIFT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/renderlift}
root=$cache/godot-forky
launcher=$root/godot
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
packages=(godot mesa-vulkan-drivers libgl1-mesa-dri libgl1 libegl1 libegl-mesa0 libgles2 libglx-mesa0 libvulkan1)

if [[ -x $launcher ]]; then
  echo "$launcher"
  exit 0
fi
[[ -r $keyring ]] || { echo "missing $keyring: install the package debian-archive-keyring" >&2; exit 1; }

mkdir -p "$cache"
work=$(mktemp -d "$cache/godot-forky.part.XXXXXX")
trap 'rm -rf "$work"' EXIT
apt=$work/apt
mkdir -p "$apt"/{state/lists/partial,archives/partial} "$work/root"
: >"$apt/status"
cat >"$apt/debian.sources" <<END
Types: deb
URIs: $mirror
Suites: forky
Components: main
Signed-By: $keyring
END
# Release files of a testing suite go stale between point updates; the signature is still checked.
cat >"$apt/apt.conf" <<END
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache::archives "$apt/archives";
Dir::Cache::pkgcache "$apt/pkgcache.bin";
Dir::Cache::srcpkgcache "$apt/srcpkgcache.bin";
Dir::Etc::sourcelist "$apt/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
APT::Sandbox::User "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
Binary::apt-get::APT::Keep-Downloaded-Packages "true";
Debug::NoLocking "true";
END
export APT_CONFIG=$apt/apt.conf
apt-get update -qq >&2
apt-get install -y -qq --download-only "${packages[@]}" >&2

# Each package is unpacked beside the others; no maintainer script runs.
for package in "$apt"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/root" \
    --exclude='./usr/share/man/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/locale/*'
done

cat >"$work/root/godot" <<'END'
#!/usr/bin/env bash
# Starts the Godot beside this file with the libraries beside it.
root=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
lib=$root/usr/lib/x86_64-linux-gnu
export VK_DRIVER_FILES=$root/usr/share/vulkan/icd.d/lvp_icd.json
export LIBGL_DRIVERS_PATH=$lib/dri
export __EGL_VENDOR_LIBRARY_DIRS=$root/usr/share/glvnd/egl_vendor.d
export XKB_CONFIG_ROOT=$root/usr/share/X11/xkb
exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib:$lib/pulseaudio" "$root/usr/bin/godot" "$@"
END
chmod +x "$work/root/godot"
"$work/root/godot" --version >&2
rm -rf "$root"
mv "$work/root" "$root"
echo "$launcher"
