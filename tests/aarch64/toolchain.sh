#!/usr/bin/env bash
# toolchain.sh DIR: fills DIR with what builds and runs Rust programs for aarch64-unknown-linux-gnu
# on x86-64: rustc with the standard libraries of both processors, clang, lld, the C library for
# arm64, and qemu's emulation of processes.
#
# They are packages of Debian's testing distribution, taken from the mirror that this system's own
# package manager uses and unpacked into DIR: nothing is installed, and nothing outside DIR changes.
# About 290 MB to download, 760 MB on disk, half a minute. Does nothing when DIR is complete.
# Emulators before version 10 exhaust memory: they keep tables for all reserved address space.
#
# Afterwards:  . DIR/env.sh; cargo test --target aarch64-unknown-linux-gnu
set -euo pipefail
[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
dir=$(mkdir -p "$1" && cd "$1" && pwd)
[ ! -e "$dir/complete" ] || exit 0

fail() { echo "$0: $*" >&2; exit 1; }
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "there is no apt-get"
[ "$(dpkg --print-architecture)" = amd64 ] || fail "the packages are chosen for amd64"
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
  grep -E '^(URIs:|deb )' | grep -oE '[a-z+]+://[^ ]+/debian/?( |$)' | head -n 1) || true
[ -n "$mirror" ] || fail "no Debian mirror is in the configuration of apt"

# A package manager of its own: its lists and its cache are in DIR, and it believes that nothing is
# installed.
rm -rf "$dir"/{apt,packages,bin,host,target}
mkdir -p "$dir"/apt/{lists,cache/archives}/partial "$dir"/{packages,bin,host,target}
: >"$dir/apt/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror testing main" >"$dir/apt/sources.list"
options=(-qq -o "Dir::Etc::sourcelist=$dir/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State::lists=$dir/apt/lists"
  -o "Dir::State::status=$dir/apt/status" -o "Dir::Cache=$dir/apt/cache"
  -o APT::Sandbox::User=root -o Acquire::Languages=none
  -o APT::Architecture=amd64 -o APT::Architectures=amd64,arm64)
apt-get "${options[@]}" update || fail "the mirror has no list of packages"

# The first dependency of a package whose name matches.
dependency() { # PACKAGE PATTERN
  apt-cache "${options[@]}" depends "$1" |
    awk -v pattern="$2" '$1 == "Depends:" && $2 ~ pattern { sub(/:.*/, "", $2); print $2; exit }'
}
std=$(dependency libstd-rust-dev '^libstd-rust-1')
llvm=$(dependency "$std" '^libllvm')
llvm=${llvm#libllvm}
gcc=$(dependency gcc '^gcc-[0-9]+$')
cd "$dir/packages"
apt-get "${options[@]}" download rustc libstd-rust-dev "$std" \
  {libllvm,lld-,clang-,libclang-cpp}"$llvm" "libclang-common-$llvm-dev" \
  libc6 libstdc++6 libgcc-s1 libz3-4 libedit2 libffi8 libxml2-16 zlib1g libzstd1 libtinfo6 libbsd0 \
  libmd0 qemu-user linux-libc-dev \
  {libstd-rust-dev,libc6,libc6-dev,libgcc-s1,"lib$gcc-dev"}:arm64 ||
  fail "a package cannot be downloaded"
version() { dpkg-deb -f libstd-rust-dev_*_"$1".deb Version; }
[ "$(version amd64)" = "$(version arm64)" ] ||
  fail "the two architectures have different versions of Rust; try again later"
for package in *.deb; do
  case $package in
    qemu-*) ;;
    libstd-* | *_amd64.deb) dpkg -x "$package" "$dir/host" ;;
    *) dpkg -x "$package" "$dir/target" ;;
  esac
done
dpkg --fsys-tarfile qemu-user_*.deb |
  tar x -C "$dir/bin" --strip-components=3 ./usr/bin/qemu-aarch64
[ -e "$dir/target/lib" ] || ln -s usr/lib "$dir/target/lib"

# Each program runs with the loader and the libraries that came with it.
usr="$dir/host/usr"
loader="$usr/lib64/ld-linux-x86-64.so.2 --library-path $usr/lib/x86_64-linux-gnu"
program() { # NAME PATH [ARGUMENT...]
  local name=$1 path=$2
  shift 2
  printf '#!/bin/sh\nexec %s --argv0 %s %s %s "$@"\n' "$loader" "$dir/bin/$name" "$path" "$*" \
    >"$dir/bin/$name"
}
program rustc "$usr/bin/rustc"
program rustdoc "$usr/bin/rustdoc"
program ld.lld "$usr/lib/llvm-$llvm/bin/lld"
# The compiler starts itself for parts of its work, with nothing before the name of the part.
program clang "$usr/lib/llvm-$llvm/bin/clang"
cat >"$dir/bin/cc" <<EOF
#!/bin/sh
exec $dir/bin/clang -no-canonical-prefixes --target=aarch64-linux-gnu --sysroot=$dir/target \\
  -resource-dir $usr/lib/llvm-$llvm/lib/clang/$llvm -fuse-ld=$dir/bin/ld.lld \\
  -Wno-unused-command-line-argument "\$@"
EOF
# Programs that tests start are for aarch64, too. The kernel starts the emulator for them where it is
# registered: in a user namespace of its own (Linux 6.7), so that nothing outside of it changes.
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
cat >"$dir/bin/with-emulator" <<EOF
#!/usr/bin/env bash
# with-emulator COMMAND...: runs a command for which programs for aarch64 are emulated.
exec unshare --user --map-root-user --mount bash -c '
  mount -t binfmt_misc none /proc/sys/fs/binfmt_misc &&
  printf "%s" ":aarch64:M::${magic//\\/\\\\}:${mask//\\/\\\\}:$dir/bin/qemu-aarch64:F" \\
    >/proc/sys/fs/binfmt_misc/register && exec "\$@"' - "\$@"
EOF
chmod +x "$dir"/bin/*
name=AARCH64_UNKNOWN_LINUX_GNU
cat >"$dir/env.sh" <<EOF
export RUSTC=$dir/bin/rustc RUSTDOC=$dir/bin/rustdoc QEMU_LD_PREFIX=$dir/target
export CC_aarch64_unknown_linux_gnu=$dir/bin/cc CARGO_TARGET_${name}_LINKER=$dir/bin/cc
export CARGO_TARGET_${name}_RUNNER=$dir/bin/qemu-aarch64
EOF
rm -rf "$dir"/{apt,packages}
"$dir/bin/rustc" --version
"$dir/bin/qemu-aarch64" --version | head -n 1
touch "$dir/complete"
