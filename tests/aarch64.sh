#!/usr/bin/env bash
# aarch64.sh DIR [SUITE...]: builds Mintage for aarch64 and runs its suites under an emulator, on
# x86-64. The compilers, the emulator and everything that is built go into DIR.
#
#   units      tests of the runtime, the linker and the code generator
#   core       the core specification's scripts
#   component  the component model's scripts
#   api        tests of the embedding API
#   cross      artifacts that x86-64 and aarch64 compile for aarch64 are the same, and run there
#   ci         units, with the first processor alone: the part for each change
#
# Without suites: all of them, `ci` aside. The environment variable PROCESSORS names the emulated
# processors. The first run builds everything, which takes long.
#
# An emulator does not show everything: docs/rationale/aarch64.md says what.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
dir=$(mkdir -p "$1" && cd "$1" && pwd)
shift
suites=${*:-units core component api cross}
read -ra processors <<<"${PROCESSORS:-max cortex-a72 cortex-a53}"
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."

"$here/aarch64/toolchain.sh" "$dir/toolchain"
triple=aarch64-unknown-linux-gnu
failed=()

# A command of cargo for aarch64. Dependencies are optimized less, which halves the time that they
# take.
cross() {
  (
    . "$dir/toolchain/env.sh"
    export CARGO_TARGET_DIR="$dir/build" CARGO_PROFILE_DEV_DEBUG=0
    "$dir/toolchain/bin/with-emulator" \
      ${CARGO:-cargo} --config 'profile.dev.package."*".opt-level=1' "$1" --target $triple "${@:2}"
  )
}

# Runs tests on each processor.
run() { # SUITE CARGO-ARGUMENT...
  local suite=$1 processor
  shift
  for processor in "${processors[@]}"; do
    printf '\n== %s on %s ==\n' "$suite" "$processor"
    QEMU_CPU=$processor cross test "$@" || failed+=("$suite on $processor")
  done
}

units() {
  run units -p mintage-runtime -p mintage-compile -p mintage-codegen --lib
}

# The same component is compiled here and there.
cross_compile() {
  printf '\n== cross ==\n'
  local component here_made there_made
  component="$dir/add.wat"
  here_made="$dir/here.mint"
  there_made="$dir/there.mint"
  cat >"$component" <<'EOF'
(component
  (core module $m
    (memory 1)
    (func (export "add") (param i32 i32) (result i32)
      (i32.store (i32.const 8) (local.get 0))
      (i32.add (i32.load (i32.const 8)) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add"))))
EOF
  ${CARGO:-cargo} run -q -p mintage-cli -- compile --target $triple -o "$here_made" "$component"
  cross run -q -p mintage-cli -- compile --cpu baseline -o "$there_made" "$component"
  cmp "$here_made" "$there_made" || failed+=("cross: the artifacts differ")
  local call=(run --allow-precompiled --invoke 'add(40, 2)' "$here_made")
  [ "$(cross run -q -p mintage-cli -- "${call[@]}")" = 42 ] ||
    failed+=("cross: the artifact does not run")
  if ${CARGO:-cargo} run -q -p mintage-cli -- "${call[@]}"; then
    failed+=("cross: the artifact is not refused here")
  fi
}

for suite in $suites; do
  case $suite in
    units) units ;;
    core) run core -p mintage-wast --test it core ;;
    component) run component -p mintage-wast --test it component ;;
    api) run api -p mintage --test it ;;
    cross) cross_compile ;;
    ci)
      processors=("${processors[0]}")
      units
      ;;
    *) echo "there is no suite $suite" >&2; exit 2 ;;
  esac
done
if [ ${#failed[@]} -gt 0 ]; then
  printf '\nfailed:\n'
  printf '  %s\n' "${failed[@]}"
  exit 1
fi
printf '\nall suites passed: %s\n' "$suites"
