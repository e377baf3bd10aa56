#!/usr/bin/env bash
# run.sh CHECKOUT [FILE]... : builds Wasmtime's own tests of its component API with
# `mintage` in the place of the crate `wasmtime`, runs them, and compares with `expected.txt`.
#
# CHECKOUT is a checkout of Wasmtime's repository, best of the release that REVISION names, or a
# Git directory that has REVISION. Nothing of it becomes part of this project: what is needed is
# copied to `peer-api` in cargo's target directory. `peer_api.py` describes how.
set -euo pipefail
REVISION=${REVISION:-v48.0.0}
if [ $# = 0 ] || [ ! -d "$1" ]; then
  cat >&2 <<USAGE
usage: $0 CHECKOUT [FILE]...
CHECKOUT is a checkout of Wasmtime's repository or a Git directory of it. To get one:
  git clone --depth 1 --branch $REVISION https://github.com/bytecodealliance/wasmtime CHECKOUT
USAGE
  exit 2
fi
command -v python3 >/dev/null || { echo "$0: needs Python 3.9 or newer as \`python3\`" >&2; exit 2; }
cd "$(dirname "$0")/../.." || exit
exec python3 tests/peer-api/peer_api.py "$(cd "$OLDPWD" && realpath "$1")" "$REVISION" "${@:2}"
