#!/usr/bin/env bash
# newest.sh [ARGUMENT]...: runs `compare` with these arguments, next to a newer Wasmtime than the one
# that the repository's own Rust can build.
#
# The files of the repository are copied to `newest` in cargo's target directory, where the copy
# names the other version, and built there. The compiler is Debian's newest, unpacked by
# tests/wit-bindgen/toolchain.sh.
#
# BIN              another program of this package than `compare`
# WASMTIME         the version
# GUEST_TOOLCHAIN  a folder with that compiler in `bin`, if it is there already
set -euo pipefail
version=${WASMTIME:-50.0.1}
cd "$(dirname "$0")/.."
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
toolchain=${GUEST_TOOLCHAIN:-$target/guests/toolchain}
[ -x "$toolchain/bin/rustc" ] || tests/wit-bindgen/toolchain.sh "$toolchain"

copy=$target/newest
mkdir -p "$copy"
# Times are kept, so that cargo builds what is new alone.
git ls-files -z | xargs -0 cp --parents -p -u -t "$copy"
sed -i "s/=48\.0\.8/=$version/" "$copy/benches/Cargo.toml"
cd "$copy"
export RUSTC=$toolchain/bin/rustc CARGO_TARGET_DIR=$copy/target
cargo run --release -p mintage-benches --bin "${BIN:-compare}" -- "$@"
