#!/usr/bin/env bash
# corpus.sh [NAME]... : builds real programs for WASI, runs each with `mintage run`, and compares
# standard output, exit code and the files left behind with what is expected. `corpus/README.md`
# describes the corpus.
#
# NAME selects a program (`lua`), one build of it (`lua.p2`) or one of its cases (`lua/script`,
# `lua.p2/script`). `--list` lists all of them.
#
# MINTAGE          the command to test, by default `cargo run -p mintage-cli`'s program
# REFERENCE        a second command, such as "wasmtime run", whose results must be the same
# GUEST_TOOLCHAIN  a folder with rustc, clang and wasm-ld in `bin`, by default made by
#                  tests/wit-bindgen/toolchain.sh
# PIP              a folder with the wheels of Go, Zig and componentize-py, in place of PyPI
# BLESS=1          writes the expected texts, from REFERENCE if there is one
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

missing=()
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  missing+=("Python 3.11 or newer, as \`python3\`")
python3 -m pip --version >/dev/null 2>&1 || missing+=("pip, as \`python3 -m pip\`")
command -v cargo >/dev/null || missing+=("cargo, with a linker")
command -v npm >/dev/null || missing+=("Node 20 or newer with npm, for componentize-js")
if [ -z "${GUEST_TOOLCHAIN:-}" ]; then
  command -v apt-get >/dev/null ||
    missing+=("apt-get of Debian, or compilers for WebAssembly in GUEST_TOOLCHAIN/bin")
elif [ ! -x "$GUEST_TOOLCHAIN/bin/clang" ] || [ ! -x "$GUEST_TOOLCHAIN/bin/rustc" ]; then
  missing+=("bin/rustc and bin/clang in GUEST_TOOLCHAIN, which is $GUEST_TOOLCHAIN")
fi
if [ ${#missing[@]} -gt 0 ]; then
  printf '%s: missing:\n' "$0" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 2
fi
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/corpus/corpus.py" "$@"
