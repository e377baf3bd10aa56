"""Runs the peer's tests of its component API against `mintage` under the peer's name.

1. `prepare` copies the tests out of a checkout, each file as a test binary of its own, in a package
   whose dependency `wasmtime` is `mintage`.
2. `compile_all` compiles them. What does not compile is taken out, test by test, until the rest
   does.
3. `run_all` runs the binaries.
4. `report` prints counts per file, and compares with `expected.txt`: what does not compile or pass
   must be listed with a reason, and what is listed must not pass.

A *case* is a test function or, in `codegen.rs`, a module with a `bindgen!`, which passes if it
compiles.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import source
from checkout import Checkout

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
SCRATCH = TARGET / "peer-api"
TESTS = "tests/all/component_model"
MACRO_TESTS = "crates/component-macro/tests"
# One run of a test binary, and of a single test after its binary crashed or did not end.
SECONDS, SECONDS_OF_ONE = 600, 60
ROUNDS = 20
# Some texts are in an older syntax.
VARIABLES = {"RUST_BACKTRACE": "0", "WAST_STRICT_COMPONENT_INDICES": "0"}


class Source:
    """A file of the peer's in the scratch package, and the cases in it."""

    def __init__(self, path, label, prefix, text, compiled_only=False):
        self.path, self.label, self.prefix, self.text = path, label, prefix, text
        self.items = source.items(text)
        every = [item for top in self.items for item in top.walk()]
        cases = [item for item in every if item.is_test]
        if compiled_only:
            cases += [item for item in every if self.is_case_module(item)]
        self.cases = {item.path(): item for item in cases}
        self.taken_out = {}  # case -> message
        self.write()

    @staticmethod
    def is_case_module(item):
        """If the item is a module of `codegen.rs` that calls `bindgen!`."""
        return any(child.is_macro_call for child in item.children)

    def write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists() or self.path.read_bytes() != self.text:
            self.path.write_bytes(self.text)

    def take_out(self, start, end, message):
        """Takes out the least that has the error at these offsets."""
        item = source.item_at(self.items, start)
        if item is None or not self.text[item.body : item.end].strip():
            return False
        if item.is_use and b"{" in self.text[item.body : item.end] and start > item.body:
            # One name of a list. Its users are found in the next round.
            after = re.match(rb"\s*,", self.text[end : item.end])
            self.text = source.blanked(self.text, start, end + (after.end() if after else 0))
        else:
            whole = item
            while self.cases.get(whole.path()) is not whole and whole.parent:
                whole = whole.parent
                if source.tests_in(whole):
                    break
            cases = [inner for inner in whole.walk() if self.cases.get(inner.path()) is inner]
            for inner in cases:
                self.taken_out.setdefault(inner.path(), message)
            if not cases and not whole.is_use:
                print(f"{self.label}: takes out `{whole.path()}`: {message}")
            self.text = source.blanked(self.text, whole.start, whole.end)
        self.write()
        return True


def only(text, *patterns):
    """The items of a file whose first words match a pattern."""
    pattern = re.compile("|".join(patterns).encode())
    kept = [item for item in source.items(text) if pattern.match(text[item.body : item.end])]
    return b"\n".join(text[item.start : item.end] for item in kept)


def with_bounds(text):
    """The peer's helper for all ways to call, which is generic. In `mintage`, values that are
    passed need not be `Send`, so it says that these are."""
    start = text.index(b"async fn call<")
    end = text.index(b"{", start)
    signature = text[start:end].replace(b"ComponentNamedList +", b"ComponentNamedList + Send +")
    return text[:start] + signature + text[end:]


def expand_codegen(text, wits):
    """`codegen.rs` with the calls of `gentest!` that a macro of the peer's makes, one per file."""
    found = source.items(text)
    head = lambda item: text[item.body : item.end]
    macro = next(item for item in found if head(item).startswith(b"macro_rules! gentest"))
    call = next(item for item in found if head(item).startswith(b"component_macro_test_helpers"))
    module = head(macro)[head(macro).index(b"mod $id") :]
    module = module[: module.rindex(b"};")].rstrip()
    expanded = []
    for wit in wits:
        identifier = Path(wit).stem.replace("-", "_").encode()
        path = f'"tests/codegen/{wit}"'.encode()
        expanded.append(module.replace(b"$id", identifier).replace(b"$path", path))
    rest = source.blanked(source.blanked(text, call.start, call.end), macro.start, macro.end)
    return rest + b"\n" + b"\n".join(expanded) + b"\n"


def prepare(checkout, wanted):
    """Writes the scratch package and returns its sources by the name of their test binary."""
    tests = SCRATCH / "tests"
    shutil.rmtree(tests, ignore_errors=True)
    prelude = HERE / "support"
    async_functions = checkout.read("tests/all/async_functions.rs")
    call_hook = checkout.read("tests/all/call_hook.rs")
    shared = with_bounds(checkout.read(f"{TESTS}.rs"))
    modules = [name for name in checkout.files(TESTS) if name.endswith(".rs")]
    files = [name for name in modules if "/" not in name]
    targets = {}
    for file in ["component_model.rs", *files]:
        if wanted and file not in wanted:
            continue
        name = f"t_{file[:-3]}"
        folder = tests / name
        folder.mkdir(parents=True)
        shutil.copy(prelude / "main.rs", folder)
        parts = (only(async_functions, r"pub (async )?(fn|struct) (execute_across|CountP|PollOnce)",
                      r"impl<F> \w+ for (CountPending|PollOnce)", r"impl<F> (CountP|PollOnce)"),
                 only(call_hook, r"pub (enum Context|struct State|fn sync_call_hook)",
                      r"impl (\w+ for )?State"))
        helpers = [
            Source(folder / f"{part}.rs", part, part, (prelude / f"{part}.rs").read_bytes() + text)
            for part, text in zip(("async_functions", "call_hook"), parts)
        ]
        # The other files are binaries of their own.
        declared = re.sub(rb"(?m)^mod (r#)?(\w+);\n", lambda m:
                          m[0] if m[2].decode() == file[:-3] else b"", shared)
        root = Source(folder / "component_model.rs", "component_model.rs", "component_model",
                      declared)
        sources = [*helpers, root]
        if file != "component_model.rs":
            root.cases = {}
            for module in modules:
                if module == file or module.startswith(f"{file[:-3]}/"):
                    names = ["r#async" if n == "async" else n for n in module[:-3].split("/")]
                    inside = "::".join(["component_model", *names])
                    path = folder / "component_model" / module
                    text = checkout.read(f"{TESTS}/{module}")
                    sources.append(Source(path, module, inside, text))
        targets[name] = sources
    if not wanted or "codegen.rs" in wanted:
        wits = checkout.files(f"{MACRO_TESTS}/codegen")
        for wit in wits:
            (tests / "codegen" / wit).parent.mkdir(parents=True, exist_ok=True)
            (tests / "codegen" / wit).write_bytes(checkout.read(f"{MACRO_TESTS}/codegen/{wit}"))
        # A single file, or a folder whose top is of the same package, as `foreach!` has it.
        entries = sorted({wit.split("/")[0] for wit in wits})
        text = expand_codegen(checkout.read(f"{MACRO_TESTS}/codegen.rs"), entries)
        targets["t_codegen"] = [Source(tests / "t_codegen/main.rs", "codegen.rs", "", text, True)]
    write_package(targets)
    library("component-util", checkout.read("crates/component-util/src/lib.rs"))
    # The tests need no more of it. The real one would change features of what the workspace builds.
    library("env_logger", b"pub fn try_init() {}")
    # Another name of a crate.
    library("anyhow_for_testing", b"pub use anyhow::*;", '[dependencies]\nanyhow = "1"\n')
    macros = library("test-macros", TEST_MACROS)
    for name in ("add_variants.rs", "flags_test.rs"):
        (macros / name).write_bytes(checkout.read(f"crates/test-macros/src/{name}"))
    return targets


# The root of the crate of test macros, with those that tests of components use.
TEST_MACROS = b"""
use proc_macro::TokenStream;
mod add_variants;
mod flags_test;

#[proc_macro_attribute]
pub fn add_variants(attributes: TokenStream, item: TokenStream) -> TokenStream {
    add_variants::run(attributes, item)
}

#[proc_macro]
pub fn flags_test(input: TokenStream) -> TokenStream {
    flags_test::run(input)
}
"""


def library(name, text, dependencies=""):
    """Writes a helper crate, and returns the folder of its sources."""
    folder = SCRATCH / name / "src"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lib.rs").write_bytes(text)
    package = name if "_" in name else f"wasmtime-{name}"
    manifest = f'[package]\nname = "{package}"\nedition = "2024"\n{dependencies}'
    if b"proc_macro" in text:
        manifest += '[lib]\nproc-macro = true\n[dependencies]\n'
        manifest += 'proc-macro2 = "1"\nquote = "1"\nsyn = { version = "2", features = ["full"] }\n'
    (folder.parent / "Cargo.toml").write_text(manifest)
    return folder


def write_package(targets):
    """Writes `Cargo.toml`. Versions and profiles are the workspace's, so that builds are shared."""
    with open(ROOT / "Cargo.toml", "rb") as manifest:
        workspace = tomllib.load(manifest)
    with open(ROOT / "crates/mintage/Cargo.toml", "rb") as manifest:
        features = sorted(tomllib.load(manifest)["features"].keys() - {"default"})
    edition = workspace["workspace"]["package"]["edition"]
    lines = [(HERE / "support/Cargo.toml").read_text().replace("@MINTAGE@", str(ROOT))
             .replace("@FEATURES@", json.dumps(features)).replace("@EDITION@", edition)
             .replace("@SHIM@", str(HERE / "support/test-util"))]
    # Path dependencies get the workspace's profile of its members, so that builds are shared.
    own = [tomllib.loads(path.read_text())["package"]["name"]
           for path in sorted((ROOT / "crates").glob("*/Cargo.toml"))]
    profile = workspace["profile"]["dev"]
    settings = [f"{key} = {json.dumps(profile[key])}" for key in ("debug", "opt-level")]
    lines += ["[profile.dev]", *settings]
    for package, changes in profile["package"].items():
        lines += [f'[profile.dev.package."{package}"]']
        lines += [f"{key} = {json.dumps(value)}" for key, value in changes.items()]
    for package in own:
        lines += [f"[profile.dev.package.{package}]", *settings]
    for name in targets:
        lines.append(f'[[test]]\nname = "{name}"\npath = "tests/{name}/main.rs"\n')
    (SCRATCH / "Cargo.toml").write_text("\n".join(lines))
    (SCRATCH / "src").mkdir(exist_ok=True)
    (SCRATCH / "src/lib.rs").write_text("")
    shutil.copy(ROOT / "Cargo.lock", SCRATCH)


def cargo(*arguments):
    """Runs cargo in the scratch package and returns its JSON messages."""
    command = ["cargo", *arguments, "--message-format=json", "--target-dir", TARGET]
    done = subprocess.run(command, cwd=SCRATCH, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
    if done.returncode and not any(m["reason"] == "compiler-message" for m in messages):
        sys.exit(done.stderr.decode(errors="replace"))
    return messages


def places(message):
    """The places of a compiler's message, from the inside of macros outwards."""
    for span in sorted(message["spans"], key=lambda span: not span["is_primary"]):
        while span:
            yield span["file_name"], span["byte_start"], span["byte_end"]
            span = span["expansion"] and span["expansion"]["span"]


def compile_all(targets):
    """Takes out what does not compile, and returns the test binaries by name."""
    sources = {
        str(each.path.relative_to(SCRATCH)): each for own in targets.values() for each in own
    }
    for number in range(1, ROUNDS + 1):
        messages = cargo("build", "--tests", "--keep-going")
        errors = [
            message for message in messages
            if message["reason"] == "compiler-message" and message["message"]["level"] == "error"
        ]
        print(f"round {number}: {len(errors)} errors", flush=True)
        if not errors:
            return {
                message["target"]["name"]: message["executable"]
                for message in messages
                if message["reason"] == "compiler-artifact" and message.get("executable")
            }
        stuck = set()
        for error in errors:
            name, message = error["target"]["name"], error["message"]
            if name not in targets:
                sys.exit(message["rendered"])
            hits = [(f, a, b) for f, a, b in places(message) if f in sources]
            if hits:
                file, start, end = hits[0]
                sources[file].take_out(start, end, message["message"])
            elif message["code"]:
                stuck.add((name, message["message"]))
        for name, message in stuck:
            print(f"{name}: {message}")
    sys.exit(f"there are errors after {ROUNDS} rounds; the first is\n{errors[0]['message']}")


def run(binary, seconds, *arguments):
    """Runs a test binary. Returns the outcome per test, the output, and if it ended by itself."""
    command = [binary, *arguments]
    try:
        done = subprocess.run(command, cwd=SCRATCH, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds,
                              env={**os.environ, **VARIABLES})
        output, ended = done.stdout, done.returncode in (0, 101)
        why = "" if ended else f"the process ended with {done.returncode}"
    except subprocess.TimeoutExpired as late:
        output, why = late.stdout or b"", f"did not end in {seconds} s"
    output = output.decode(errors="replace")
    found = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", output, re.M)
    return dict(found), output, why


def run_all(binaries):
    """Runs all test binaries. Returns messages by test, empty for those that pass."""
    outcome = {}
    for name, binary in sorted(binaries.items()):
        found, output, why = run(binary, SECONDS)
        listed = run(binary, SECONDS, "--list")[1]
        tests = re.findall(r"^(\S+): test$", listed, re.M)
        for test in tests:
            own_output, own_why = output, why
            if test not in found:
                one, own_output, own_why = run(binary, SECONDS_OF_ONE, "--exact", test)
                found.update(one)
            failure = re.search(rf"^---- {re.escape(test)} stdout ----\n(.*?)(?=^----|^failures:)",
                                own_output, re.M | re.S)
            message = failure[1].strip() if failure else own_why or found.get(test)
            outcome[name, test] = "" if found.get(test) == "ok" else message or "no outcome"
    return outcome


def expectations():
    """The entries of `expected.txt`: reasons by name of a file, or of a case in it."""
    entries = {}
    for line in (HERE / "expected.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            if not reason.strip() or name in entries:
                sys.exit(f"expected.txt: `{name}` has no reason or is listed twice")
            entries[name] = reason.strip()
    return entries


def report(targets, outcome, wanted):
    """Prints what passes per file, and returns what is not as expected."""
    entries, seen, wrong, details = expectations(), set(), [], []
    print(f"\n{'file':<30} {'cases':>5} {'compile':>7} {'pass':>5}")
    total = [0, 0, 0]
    for name, sources in targets.items():
        for each in sources:
            if not each.cases:
                continue
            counts = [len(each.cases), 0, 0]
            for case, item in each.cases.items():
                full = "::".join(part for part in (each.prefix, case) if part)
                message = each.taken_out.get(case)
                compiles = message is None
                if compiles and item.is_test:
                    message = outcome.get((name, full), "is not in the test binary")
                counts[1] += compiles
                counts[2] += not message
                label = f"{each.label}::{case}"
                entry = next((key for key in (label, each.label) if key in entries), None)
                seen.add(entry)
                if entry and not message:
                    wrong.append(f"{label} passes, but is listed")
                elif message and not entry:
                    wrong.append(f"{label} {'does not pass' if compiles else 'does not compile'}")
                if message:
                    details.append(f"== {label}\n{message}\n")
            print(f"{each.label:<30} {counts[0]:>5} {counts[1]:>7} {counts[2]:>5}")
            total = [a + b for a, b in zip(total, counts)]
    print(f"{'all':<30} {total[0]:>5} {total[1]:>7} {total[2]:>5}")
    if not wanted:
        wrong += [f"{name} is listed, but there is no such case" for name in entries.keys() - seen]
    (SCRATCH / "report.txt").write_text("\n".join(details))
    print(f"\nmessages of all that does not pass: {SCRATCH / 'report.txt'}")
    return wrong


def main():
    checkout, wanted = Checkout(sys.argv[1], sys.argv[2], TESTS), sys.argv[3:]
    targets = prepare(checkout, wanted)
    binaries = compile_all(targets)
    wrong = report(targets, run_all(binaries), wanted)
    for line in wrong:
        print(line)
    print("as expected.txt has it" if not wrong else f"{len(wrong)} differ from expected.txt")
    sys.exit(bool(wrong))


main()
