#!/usr/bin/env bash
# build.sh [TOOLCHAIN]: builds the guest of the tests of `wasi:http` 0.3, and writes `service.wasm`.
#
# TOOLCHAIN is a folder with `rustc` and `wasm-ld` in its `bin`, such as the one that
# `tests/wit-bindgen/toolchain.sh` makes. Without one, rustup's target wasm32-wasip2 is needed. The
# linker of that target, `wasm-component-ld`, is a part of rustup's toolchains.
set -euo pipefail
toolchain=${1:+$(realpath "$1")}
cd "$(dirname "$0")"
flags=()
if [ -n "$toolchain" ]; then
  export RUSTC=$toolchain/bin/rustc
  linker=$(mktemp)
  trap 'rm -f "$linker"' EXIT
  lib=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
  # rustc names the flavor of the linker first.
  printf '#!/bin/sh\n[ "$1" != -flavor ] || shift 2\nexec %s/wasm-component-ld --wasm-ld-path %s "$@"\n' \
    "$lib" "$toolchain/bin/wasm-ld" >"$linker"
  chmod +x "$linker"
  export CARGO_TARGET_WASM32_WASIP2_LINKER=$linker
fi
# Messages of panics name source files, and the guest is to be the same wherever it is built.
flags+=("--remap-path-prefix=$("${RUSTC:-rustc}" --print sysroot)=/rust" "--remap-path-prefix=$PWD=/guest")
flags+=("--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/crates")
export CARGO_ENCODED_RUSTFLAGS
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
target=$(mktemp -d)
cargo build --quiet --locked --release --target wasm32-wasip2 --target-dir "$target"
cp "$target/wasm32-wasip2/release/service.wasm" .
rm -rf "$target"
ls -l service.wasm
