#!/usr/bin/env bash
# build.sh [TOOLCHAIN]: builds the guests of the tests, and writes each component beside its source.
#
# TOOLCHAIN is a folder with `rustc` and `wasm-ld` in its `bin`, such as the one that
# `tests/wit-bindgen/toolchain.sh` makes. Without one, rustup's target wasm32-wasip2 is needed. The
# linker of that target, `wasm-component-ld`, is a part of rustup's toolchains.
set -euo pipefail
toolchain=${1:+$(realpath "$1")}
cd "$(dirname "$0")"
rustc=${toolchain:+$toolchain/bin/}rustc

options=(--edition 2024 --target wasm32-wasip2 -C opt-level=s -C lto -C panic=abort -C strip=symbols)
# Messages of panics name source files, and the guests are to be the same wherever they are built.
options+=("--remap-path-prefix=$("$rustc" --print sysroot)=/rust" "--remap-path-prefix=$PWD=/guests")
if [ -n "$toolchain" ]; then
  linker=$(mktemp)
  trap 'rm -f "$linker"' EXIT
  lib=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
  # rustc names the flavor of the linker first.
  printf '#!/bin/sh\n[ "$1" != -flavor ] || shift 2\nexec %s/wasm-component-ld --wasm-ld-path %s "$@"\n' \
    "$lib" "$toolchain/bin/wasm-ld" >"$linker"
  chmod +x "$linker"
  options+=(-C "linker=$linker")
fi
for source in *.rs; do
  "$rustc" "${options[@]}" "$source" -o "${source%.rs}.wasm"
  ls -l "${source%.rs}.wasm"
done
