#!/usr/bin/env bash
# newest.sh [ARGUMENT]...: runs `compare` with these arguments, next to a newer Wasmtime than the
# one that the repository's own Rust can build.
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
# Only what differs is written, so that cargo builds that alone.
put() { # SOURCE FILE
  cmp -s "$1" "$copy/$2" || { mkdir -p "$(dirname "$copy/$2")" && cat "$1" >"$copy/$2"; }
}
sed "s/=48\.0\.8/=$version/" benches/Cargo.toml >"$target/newest.toml"
put "$target/newest.toml" benches/Cargo.toml
[ -e "$copy/Cargo.lock" ] || put Cargo.lock Cargo.lock
git ls-files -z -- ':!benches/Cargo.toml' ':!Cargo.lock' |
  while IFS= read -r -d '' file; do put "$file" "$file"; done
cd "$copy"
export RUSTC=$toolchain/bin/rustc CARGO_TARGET_DIR=$copy/target
cargo run --release -p mintage-benches --bin "${BIN:-compare}" -- "$@"
