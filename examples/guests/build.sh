#!/usr/bin/env bash
# build.sh [TOOLCHAIN]: builds the guests of the examples and of the benchmarks, and writes each
# component beside its source.
#
# TOOLCHAIN is a folder with `rustc` and `wasm-ld` in its `bin`, such as the one that
# `tests/wit-bindgen/toolchain.sh` makes. Without one, rustup's target wasm32-unknown-unknown is
# needed.
set -euo pipefail
toolchain=${1:+$(realpath "$1")}
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-../../target}/example-guests
wasm=wasm32-unknown-unknown

# Messages of panics name source files, and the guests are to be the same wherever they are built.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$(realpath ..)=/examples --remap-path-prefix=$(realpath ../../benches)=/benches"

compile=(cargo build --locked --release --examples --target "$wasm" --target-dir "$target")
if [ -n "$toolchain" ]; then
  RUSTC="$toolchain/bin/rustc" CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$toolchain/bin/wasm-ld" \
    "${compile[@]}"
else
  "${compile[@]}"
fi
for source in ../*/guests/*.rs ../../benches/guests/*.rs; do
  name=$(basename "$source" .rs)
  cargo run --locked --quiet -p componentize --target-dir "$target" -- \
    "$target/$wasm/release/examples/$name.wasm" "${source%.rs}.wasm"
  ls -l "${source%.rs}.wasm"
done
