#!/usr/bin/env python3
"""Builds guests in two versions that differ in one line of source, for `compare`'s rows of
compiling again. They are in `recompile` in cargo's target directory: LANGUAGE-before.wasm and
LANGUAGE-after.wasm.

usage: benches/recompile.py [c] [c-text] [rust] [python]

By default it builds all. `c` is SQLite, `rust` is jaq, and `python` is a script inside CPython: the
programs of `tests/wasi/corpus.sh`, which names what it needs. With its GUEST_TOOLCHAIN and PIP.
"""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "tests/wasi/corpus"))

import builds
import programs
import toolchains
from toolchains import SCRATCH, TARGET, CannotBuild, run, say

BUILT = TARGET / "recompile"


def c(folder, to):
    """Builds SQLite with its shell."""
    options = ["--target=wasm32-wasip2", "-O2", "-g", "-w", f"-I{folder}",
               f"-ffile-prefix-map={folder}=/source", f"-ffile-prefix-map={builds.GUESTS}=/guests"]
    options += [f"-D_WASI_EMULATED_{name.upper().replace('-', '_')}" for name in builds.EMULATED]
    linker = ["-Wl,-z,stack-size=1048576", f"-fuse-ld={toolchains.component_linker()}"]
    libraries = [f"-lwasi-emulated-{name}" for name in builds.EMULATED]
    clang = [toolchains.compilers() / "clang", *options, *programs.SQLITE_FLAGS]
    objects = []
    for file in [builds.GUESTS / "sqlite.c", folder / "sqlite3.c"]:
        objects.append(folder / f"{file.stem}.o")
        run([*clang, "-c", file, "-o", objects[-1]])
    run([*clang, *linker, *objects, "-o", to, *libraries])


def c_sources():
    """Returns the folder of SQLite's sources."""
    return toolchains.c_sources("libsqlite3-sys")


def rust(folder, to):
    """Builds jaq."""
    command = ["cargo", "build", "--quiet", "--release", "--target", "wasm32-wasip2"]
    run([*command, "--target-dir", SCRATCH / "cargo"], cwd=folder, env=builds.rust_environment())
    shutil.copy(SCRATCH / "cargo/wasm32-wasip2/release/jaq.wasm", to)


def python(folder, to):
    """Builds a component of CPython with a script inside."""
    tool = toolchains.wheel("componentize-py")
    command = [sys.executable, tool / "bin/componentize-py", "-d", builds.wit()]
    app = ["-w", "wasi:cli/command", "componentize", "python_app", "-p", folder, "-o", to]
    run([*command, *app], env=os.environ | {"PYTHONPATH": str(tool)})


# For each: how it is built, its sources, and the file, the text and the new text of the change.
PAIRS = {
    # One more condition in a long function of SQLite, which inserts a row.
    "c": (c, c_sources, "sqlite3.c",
          "if( pCur->info.nKey==pX->nKey ){",
          "if( pCur->info.nKey==pX->nKey && pX->nZero<=pX->nData+1000 ){"),
    # A longer text, which moves the constants after it.
    "c-text": (c, c_sources, "sqlite3.c",
               '"file is not a database"', '"this file is not a database of SQLite"'),
    # One more condition in jaq's loop over results.
    "rust": (rust, lambda: builds.GUESTS / "jaq", "main.rs",
             'writeln!(out, "{result}").map_err(cannot_read)?;',
             'if !bytes.is_empty() { writeln!(out, "{result}").map_err(cannot_read)?; }'),
    # A longer text that is printed.
    "python": (python, lambda: builds.GUESTS, "python_app.py",
               "print(len(names), names[0], names[-1])",
               'print("names:", len(names), names[0], names[-1])'),
}


def build(name):
    """Builds both versions, in one folder."""
    compile, sources, file, old, new = PAIRS[name]
    folder = BUILT / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sources(), folder)
    changed = folder / file
    before = changed.read_text()
    if before.count(old) != 1:
        raise CannotBuild(f"{file} has `{old}` {before.count(old)} times, and not once")
    for version, text in [("before", before), ("after", before.replace(old, new))]:
        say(f"building {name}, {version}")
        changed.write_text(text)
        compile(folder, BUILT / f"{name}-{version}.wasm")


def main():
    names = sys.argv[1:] or PAIRS
    if unknown := [name for name in names if name not in PAIRS]:
        sys.exit(f"{sys.argv[0]}: there is no {unknown[0]}; there are {', '.join(PAIRS)}")
    try:
        for name in names:
            build(name)
    except CannotBuild as error:
        sys.exit(f"{sys.argv[0]}: {error}")


main()
