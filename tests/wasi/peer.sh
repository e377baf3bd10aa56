#!/usr/bin/env bash
# peer.sh CHECKOUT [NAME]... : builds Wasmtime's own test programs for WASI, those of preview 1,
# of 0.2 and of 0.3, runs or serves each as its tests do, and compares with `peer/expected.txt`.
#
# CHECKOUT is a checkout of Wasmtime's repository, best of the release that REVISION names, or a
# Git directory that has REVISION. Nothing of it becomes part of this project: what is needed is
# copied to `peer-programs` in cargo's target directory.
#
# MINTAGE          the command to test, by default `cargo run -p mintage-cli`'s program and `run`;
#                  `serve` is in place of this last word for programs that handle requests
# REFERENCE        a second command, such as "wasmtime run", to say what it passes; it is asked to
#                  run programs, not to serve them
# GUEST_TOOLCHAIN  a folder with rustc and wasm-ld in `bin`, by default made by
#                  tests/wit-bindgen/toolchain.sh
set -euo pipefail
REVISION=${REVISION:-v48.0.0}
if [ $# = 0 ] || [ ! -d "$1" ]; then
  cat >&2 <<USAGE
usage: $0 CHECKOUT [NAME]...
CHECKOUT is a checkout of Wasmtime's repository or a Git directory of it. To get one:
  git clone --depth 1 --branch $REVISION https://github.com/bytecodealliance/wasmtime CHECKOUT
USAGE
  exit 2
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  { echo "$0: needs Python 3.11 or newer as \`python3\`" >&2; exit 2; }
checkout=$(realpath "$1")
cd "$(dirname "$0")/../.." || exit
PYTHONDONTWRITEBYTECODE=1 exec python3 tests/wasi/peer/peer.py "$checkout" "$REVISION" "${@:2}"
