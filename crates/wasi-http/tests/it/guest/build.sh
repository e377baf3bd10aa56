#!/usr/bin/env bash
# build.sh [TOOLCHAIN]: builds the guest of the tests, and writes the component `guest.wasm`.
#
# TOOLCHAIN is a folder with `rustc` and `wasm-ld` in its `bin`, such as the one that
# `tests/wit-bindgen/toolchain.sh` makes. Without one, rustup's target wasm32-wasip2 is needed.
set -euo pipefail
toolchain=${1:+$(realpath "$1")}
cd "$(dirname "$0")"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
if [ -n "$toolchain" ]; then
  # `wasm-component-ld`, the linker of this target, is in the toolchain of the host.
  host=$(rustc -vV | sed -n 's/^host: //p')
  linker=$(rustc --print sysroot)/lib/rustlib/$host/bin/wasm-component-ld
  # rustc names the flavor of the linker first.
  cat >"$build/linker" <<END
#!/bin/sh
[ "\$1" != -flavor ] || shift 2
exec $linker --wasm-ld-path $toolchain/bin/wasm-ld "\$@"
END
  chmod +x "$build/linker"
  export RUSTC=$toolchain/bin/rustc CARGO_TARGET_WASM32_WASIP2_LINKER=$build/linker
fi
# Messages of panics name source files, and the guest is to be the same wherever it is built.
export RUSTFLAGS="--remap-path-prefix=$PWD=/guest"
RUSTFLAGS+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
RUSTFLAGS+=" --remap-path-prefix=$("${RUSTC:-rustc}" --print sysroot)=/rust"
cargo build --locked --release --target wasm32-wasip2 --target-dir "$build/target"
cp "$build/target/wasm32-wasip2/release/guest.wasm" .
ls -l guest.wasm
