#!/usr/bin/env bash
# toolchain.sh DIR: fills DIR/bin with the compilers of the guests: rustc, clang and clang++ for WebAssembly, and wasm-ld.
#
# They are packages of Debian's unstable distribution, taken from the mirror that this system's own package manager uses and
# unpacked into DIR: nothing is installed, and nothing outside DIR changes. They bring the C library that they need, so that the system
# may be an older one. About 300 MB to download, 0.9 GB on disk. Does nothing when DIR is complete.
set -euo pipefail
[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
[ ! -e "$dir/complete" ] || exit 0

fail() { echo "$0: $*; the guests need Debian's packages of Rust and Clang, or DIR/bin/{rustc,clang,clang++,wasm-ld} of your own" >&2; exit 1; }
command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "there is no apt-get"
[ "$(dpkg --print-architecture)" = amd64 ] || fail "the packages are chosen for amd64"
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -E '^(URIs:|deb )' |
  grep -oE '[a-z+]+://[^ ]+/debian/?( |$)' | head -n 1) || true
[ -n "$mirror" ] || fail "no Debian mirror is in the configuration of apt"

llvm=22
packages="rustc libstd-rust-dev-wasm32 clang-$llvm lld-$llvm libclang-common-$llvm-dev libclang-rt-$llvm-dev-wasm32
  libc++-$llvm-dev-wasm32 libc++abi-$llvm-dev-wasm32 wasi-libc"
# What their dependencies are needed for: running them, not linking for the host with them.
libraries='^(lib(c6|stdc\+\+6|gcc-s1|llvm[0-9]+|clang-cpp[0-9]+|z3-4|edit2|ffi8|xml2-16|zstd1|tinfo6|bsd0|md0|lzma5|icu[0-9]+|std-rust-(dev|1\.[0-9]+))|zlib1g)$'

# A package manager of its own: its lists and its cache are in DIR, and it believes that nothing is installed.
apt="$dir/apt"
rm -rf "$apt" "$dir/unpacked" "$dir/bin"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$dir/unpacked" "$dir/bin"
: >"$apt/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror sid main" >"$apt/sources.list"
options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
  -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root
  -o Acquire::Languages=none)
apt-get "${options[@]}" update || fail "the mirror has no list of packages"
# shellcheck disable=SC2086  # the names are words
closure=$(apt-cache "${options[@]}" depends --recurse --no-{recommends,suggests,conflicts,breaks,replaces,enhances} $packages |
  grep -E '^[a-z]' | sort -u | grep -E "$libraries") || fail "the mirror has none of the packages"
# shellcheck disable=SC2086
(cd "$apt" && apt-get "${options[@]}" download $packages $closure) || fail "a package cannot be downloaded"
for package in "$apt"/*.deb; do dpkg -x "$package" "$dir/unpacked"; done
rm -rf "$apt"

# Each program runs with the loader and the libraries that came with it.
usr="$dir/unpacked/usr"
loader="$usr/lib64/ld-linux-x86-64.so.2 --library-path $usr/lib/x86_64-linux-gnu:$usr/lib/llvm-$llvm/lib"
program() { # NAME COMMAND...
  local name=$1
  shift
  printf '#!/bin/sh\n%s\n' "$*" >"$dir/bin/$name"
  chmod +x "$dir/bin/$name"
}
program rustc "exec $loader $usr/bin/rustc \"\$@\""
# rustc names the flavor of the linker first.
program wasm-ld "[ \"\$1\" != -flavor ] || shift 2; exec $loader $usr/lib/llvm-$llvm/bin/lld -flavor wasm \"\$@\""
# For several steps these start themselves once more, which the loader would miss: they compile one file at a time (`-c`), or link objects.
for name in clang clang++; do
  program $name "exec $loader --argv0 $usr/lib/llvm-$llvm/bin/$name $usr/lib/llvm-$llvm/bin/clang -no-canonical-prefixes" \
    "--sysroot=$usr -fuse-ld=$dir/bin/wasm-ld -Wno-unused-command-line-argument \"\$@\""
done
"$dir/bin/rustc" --version
"$dir/bin/clang" --version | head -n 1
touch "$dir/complete"
