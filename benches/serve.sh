#!/usr/bin/env bash
# serve.sh [OPTION]... : measures `mintage serve` next to `wasmtime serve` and to a server without
# guests, in one run: requests per second, latency, and resident memory. Prints a table.
#
#   --guests LIST    of rust, rust-p3 (WASI 0.3), javascript, javascript-handler, python; by default
#                    all
#   --servers LIST   of hyper, mintage, mintage-warm, wasmtime, mintage-reuse, wasmtime-reuse; by
#                    default all but the last two; what is not there is left out
#   --seconds N      of one load, by default 10; there are three rounds, in turn
#   --quick          loads of one second, and fewer connections: does everything work?
#   --json           JSON instead of a table
#   --chart FILE     also draws the figures, as SVG
#
# MINTAGE          the command to test, by default a release build of `mintage-cli`
# HYPER            the server without guests, by default a release build of `bare-hyper`
# WASMTIME         the command of Wasmtime 48, by default `wasmtime`
# GUEST_TOOLCHAIN  a folder with rustc, clang and wasm-ld in `bin`, by default made by
#                  tests/wit-bindgen/toolchain.sh
set -euo pipefail
missing=()
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  missing+=("Python 3.11 or newer, as \`python3\`")
command -v cargo >/dev/null || missing+=("cargo, with a linker")
command -v wrk >/dev/null || missing+=("wrk, for the load: \`apt-get install wrk\`")
if [ ${#missing[@]} -gt 0 ]; then
  printf '%s: missing:\n' "$0" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/serve/serve.py" "$@"
