"""Builds the peer's test programs: modules for preview 1, and components of them by its adapters.
Those for 0.3 import both versions.

They are copied to `peer-programs` in cargo's target directory, as a workspace of their own that has
the versions of the peer's.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "corpus"), str(HERE.parent.parent / "peer-api")]

import toolchains
from toolchains import TARGET, run, say

SCRATCH = TARGET / "peer-programs"
PACKAGE = "crates/test-programs"
# Folders with interfaces that the package names by their paths.
INTERFACES = ["wasi", "wasi-config", "wasi-http", "wasi-keyvalue", "wasi-nn", "wasi-tls"]
TRIPLE = "wasm32-wasip1"


# Programs for an interface of 0.3 that is not supported.
OTHERS = ("p3_tls_",)


def is_wanted(name):
    """Returns whether a file of the package is a part of it, or a program for WASI."""
    folder, _, file = name.rpartition("/")
    if not folder.startswith("src/bin"):
        # Its build script is about other programs.
        return name == "Cargo.toml" or folder.startswith("src")
    if folder != "src/bin" or file.startswith(OTHERS):
        return False
    return file.startswith(("p1_", "p2_", "p3_")) and file.endswith(".rs")


def toml(value):
    """A value in the notation of TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {toml(each)}' for key, each in value.items()) + " }"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def workspace(root, package):
    """The manifest of a workspace that has the package alone."""
    inherited = [name for name, value in package["dependencies"].items()
                 if isinstance(value, dict) and value.get("workspace")]
    lines = ["[workspace]", 'resolver = "2"', f'members = ["{PACKAGE}"]', "[workspace.package]"]
    lines += [f"{key} = {toml(value)}" for key, value in root["package"].items()]
    lines += ["[workspace.dependencies]"]
    lines += [f"{name} = {toml(root['dependencies'][name])}" for name in inherited]
    # The peer's lints are about its own work.
    lines += ["[workspace.lints.rust]", 'unexpected_cfgs = "allow"']
    lines += ["[profile.dev]", 'debug = "line-tables-only"', ""]
    return "\n".join(lines)


def prepare(checkout):
    """Writes the workspace. Files that have not changed stay, so that cargo builds nothing new."""
    files = {f"{PACKAGE}/{name}": None for name in checkout.files(PACKAGE) if is_wanted(name)}
    for name in INTERFACES:
        folder = f"crates/{name}"
        files |= {f"{folder}/{file}": None for file in checkout.files(folder)
                  if file.endswith(".wit")}
    files = {name: checkout.read(name) for name in files}
    root = tomllib.loads(checkout.read("Cargo.toml").decode())["workspace"]
    package = tomllib.loads(files[f"{PACKAGE}/Cargo.toml"].decode())
    files["Cargo.toml"] = workspace(root, package).encode()
    files["Cargo.lock"] = checkout.read("Cargo.lock")
    stamp = SCRATCH / "sources"
    key = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == key:
        return
    for folder in (PACKAGE, *(f"crates/{name}" for name in INTERFACES)):
        shutil.rmtree(SCRATCH / folder, ignore_errors=True)
    for name, text in files.items():
        path = SCRATCH / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    stamp.write_text(key)


def programs(checkout):
    """Builds all programs, and returns the folder with `NAME.wasm` for each, and their names."""
    prepare(checkout)
    say("building the peer's programs")
    # Not `--locked`: the lock file has what other members of the peer's workspace need.
    command = ["cargo", "build", "--quiet", "--target", TRIPLE, "--target-dir", SCRATCH / "target"]
    linker = str(toolchains.compilers() / "wasm-ld")
    environment = os.environ | {
        "RUSTC": str(toolchains.compilers() / "rustc"),
        "CARGO_TARGET_WASM32_WASIP1_LINKER": linker,
    }
    run(command, cwd=SCRATCH, env=environment)
    names = sorted(path.stem for path in (SCRATCH / PACKAGE / "src/bin").glob("*.rs"))
    return SCRATCH / "target" / TRIPLE / "debug", names


def component(folder, name):
    """Returns the path of a program as component, which is made if need be."""
    module = folder / f"{name}.wasm"
    to = SCRATCH / "components" / module.name
    if to.exists() and to.stat().st_mtime > module.stat().st_mtime:
        return to
    to.parent.mkdir(exist_ok=True)
    kinds = {"p2_api_proxy": "proxy", "p3_": "reactor"}
    kind = next((kind for start, kind in kinds.items() if name.startswith(start)), "command")
    adapter = toolchains.adapter().with_name(f"wasi_snapshot_preview1.{kind}.wasm")
    new = [toolchains.wasm_tools(), "component", "new", module, "-o", to]
    run([*new, "--adapt", f"wasi_snapshot_preview1={adapter}"])
    return to


def chain(first, second, to):
    """Makes a component of two: the second is what the first imports as `local:local/chain-http`,
    by an export of another name, which is why it is no plug."""
    name = "local:local/chain-http"
    config = {
        "dependencies": {name: str(second)},
        "instantiations": {"root": {"dependency": name, "arguments": {
            name: {"instance": name, "export": "wasi:http/handler@0.3.0"}}}},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        # What is JSON is YAML.
        json.dump(config, file)
        file.flush()
        run([toolchains.wasm_tools(), "compose", "-c", file.name, first, "-o", to])
