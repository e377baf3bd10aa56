"""Builds the guests of the load test: one program that says hello, in three languages, and in one
of them for both versions of WASI.

What is built is in `serve-guests` in cargo's target directory, and stays until its sources change.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "guests"
sys.path.insert(0, str(HERE.parent.parent / "tests/wasi/corpus"))

import builds
import toolchains
from toolchains import ROOT, SCRATCH, TARGET, run, say

BUILT = TARGET / "serve-guests"


def interfaces(version=None):
    """A folder with the project's WIT and the world of the guests, under a version of WASI."""
    folder = BUILT / "wit"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "wit/deps", folder / "deps")
    shutil.copy(SOURCES / "hello.wit", folder)
    for path in folder.rglob("*.wit") if version else ():
        path.write_text(path.read_text().replace("0.2.12", version))
    return folder


def rust(to, folder="rust", name="hello"):
    """A component by rustc."""
    # Cargo writes a lock file beside the manifest.
    copy = BUILT / folder
    shutil.copytree(SOURCES / folder, copy, dirs_exist_ok=True)
    build = ["cargo", "build", "--quiet", "--release", "--target", "wasm32-wasip2"]
    run([*build, "--target-dir", SCRATCH / "cargo"], cwd=copy, env=builds.rust_environment())
    shutil.copy(SCRATCH / f"cargo/wasm32-wasip2/release/{name}.wasm", to)


def rust_p3(to):
    """The same for WASI 0.3."""
    rust(to, "rust-p3", "hello_p3")


def javascript(to, source="hello.js"):
    """A component by componentize-js: SpiderMonkey, and its event for requests."""
    tool = toolchains.componentize_js()
    # The event is of the version that the tool has inside.
    wit = interfaces("0.2.10")
    run(["node", tool / "build.mjs", SOURCES / source, wit, "hello", to], cwd=tool)


def javascript_handler(to):
    """The same without the event. It can be warmed up."""
    javascript(to, "handler.js")


def python(to):
    """A component by componentize-py: CPython."""
    tool = toolchains.wheel("componentize-py")
    # CPython writes compiled files beside the source.
    folder = BUILT / "python"
    folder.mkdir(exist_ok=True)
    shutil.copy(SOURCES / "hello_python.py", folder)
    command = [sys.executable, tool / "bin/componentize-py", "-d", interfaces(), "-w", "hello"]
    app = ["componentize", "hello_python", "-p", folder, "-o", to]
    run([*command, *app], env=os.environ | {"PYTHONPATH": str(tool)})


GUESTS = {"rust": rust, "rust-p3": rust_p3, "javascript": javascript,
          "javascript-handler": javascript_handler, "python": python}


def guest(language):
    """The path of a guest, which is built if need be."""
    path, key = BUILT / f"{language}.wasm", BUILT / f"{language}.key"
    files = [*sorted(file for file in SOURCES.rglob("*") if file.is_file()), Path(__file__)]
    parts = [file.read_bytes() for file in files] + [repr(toolchains.VERSIONS).encode()]
    now = hashlib.sha256(b"\0".join(parts)).hexdigest()
    if not (path.exists() and key.exists() and key.read_text() == now):
        say(f"building the guest in {language}")
        BUILT.mkdir(parents=True, exist_ok=True)
        GUESTS[language](path)
        key.write_text(now)
    return path
