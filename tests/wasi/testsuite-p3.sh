#!/usr/bin/env bash
# testsuite-p3.sh CHECKOUT [PART-OF-A-NAME]: runs the programs for WASI 0.3 of
# WebAssembly/wasi-testsuite by the command, and compares with
# testsuite-p3-failures.txt.
#
# CHECKOUT is a working tree of the branch prod/testsuite-base, which has the built programs.
#
# MINTAGE   the command to test, by default `cargo run -p mintage-cli`'s program
set -euo pipefail
if [ $# -lt 1 ] || [ ! -d "$1/tests/rust/testsuite/wasm32-wasip3" ]; then
  cat >&2 <<USAGE
usage: $0 CHECKOUT [PART-OF-A-NAME]
To get a CHECKOUT:
  git clone --depth 1 -b prod/testsuite-base https://github.com/WebAssembly/wasi-testsuite
USAGE
  exit 2
fi
checkout=$(realpath "$1")
cd "$(dirname "$0")/../.." || exit
if [ -z "${MINTAGE:-}" ]; then
  cargo build --quiet --locked -p mintage-cli
  MINTAGE=${CARGO_TARGET_DIR:-target}/debug/mintage
fi
export MINTAGE
PYTHONDONTWRITEBYTECODE=1 exec python3 tests/wasi/testsuite_p3.py "$checkout" "${@:2}"
