#!/usr/bin/env bash
# Runs the preview 1 programs of WebAssembly/wasi-testsuite, by a synchronous and an asynchronous
# host, and compares with testsuite-failures.txt.
#
#   tests/wasi/testsuite.sh CHECKOUT [PART-OF-A-NAME]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ] || [ ! -d "$1/tests" ]; then
    cat >&2 <<'USAGE'
usage: tests/wasi/testsuite.sh CHECKOUT [PART-OF-A-NAME]

CHECKOUT is a working tree of https://github.com/WebAssembly/wasi-testsuite, of the branch
prod/testsuite-base, which has the built programs:

  git clone --depth 1 -b prod/testsuite-base https://github.com/WebAssembly/wasi-testsuite
USAGE
    exit 2
fi
checkout=$(cd "$1" && pwd)
cd "$here/../.."
exec cargo run --quiet --locked -p mintage-wasi-tests --bin wasi-testsuite -- \
    "$checkout" "$here/testsuite-failures.txt" "${@:2}"
