#!/usr/bin/env bash
# http.sh [CASE]... : runs `mintage serve` with real guests and a real client. `http/serve.py` has
# the cases; without names, all of them run.
#
#   languages   curl and guests in Rust, JavaScript (componentize-js) and Python (componentize-py)
#   bodies      bodies of 1 GiB in both directions, with flat memory
#   restart     kill -9 under load, and another server at the same port
#
# MINTAGE          the command to test, by default a release build of `mintage-cli`
# GUEST_TOOLCHAIN  a folder with rustc, clang and wasm-ld in `bin`, by default made by
#                  tests/wit-bindgen/toolchain.sh
set -euo pipefail
missing=()
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  missing+=("Python 3.11 or newer, as \`python3\`")
command -v cargo >/dev/null || missing+=("cargo, with a linker")
command -v curl >/dev/null || missing+=("curl, with HTTP/2: \`apt-get install curl\`")
if [ ${#missing[@]} -gt 0 ]; then
  printf '%s: missing:\n' "$0" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/http/serve.py" "$@"
