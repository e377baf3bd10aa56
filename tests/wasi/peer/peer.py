"""Runs the peer's test programs; `../peer.sh` is its command.

1. `build.programs` builds all programs.
2. `run_case` runs a case of a program in folders of its own, and `problems` says what is wrong.
3. `serving.check` serves a program that handles requests, and asks the server.
4. `asynchronous` runs programs by an asynchronous host.
5. `main` counts the programs whose cases all pass, and compares with `expected.txt`: a program that
   does not pass must be listed with a reason, and one that is listed must not pass.
"""

import os
import pty
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import build
import cases
import serving
from build import HERE, TARGET
from checkout import Checkout
from toolchains import ROOT, CannotBuild, run, say

# Runs of one case that take longer have failed.
SECONDS = 120
# Bytes of a text that a message shows.
SHOWN = 1000


@dataclass
class Result:
    """The outcome of a run. The code is a text if the run did not end."""

    stdout: bytes
    stderr: bytes
    code: object
    changed: list


def fill(folder, files):
    """Makes a folder with these files."""
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)


def make_extreme_time(folder):
    """Gives a file a time that not every clock of a guest can express, if the system has it."""
    for seconds in (-(1 << 62), -(1 << 40), -1):
        try:
            os.utime(folder / "extreme.dat", (seconds, seconds))
            return
        except (OSError, OverflowError):
            pass


def unfit(folder, wanted):
    """The names of the files of a folder that are not as wanted."""
    return [name for name, content in wanted.items()
            if content is not None and (folder / name).read_bytes() != content]


def start(command, stdin, **options):
    """Starts a command with pipes for its output, and for its input unless that is given."""
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **options)


def on_terminal(command, **options):
    """Runs a command whose three streams are a terminal."""
    outer, inner = pty.openpty()
    child = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, **options)
    os.close(inner)
    code, output = child.wait(SECONDS), b""
    try:
        while piece := os.read(outer, 4096):
            output += piece
    except OSError:
        # So a terminal says that no one has its other end.
        pass
    os.close(outer)
    return b"", output, code


def connected(command, way, **options):
    """Runs a command in the way that a case asks for, and returns its output, error and code."""
    if way == cases.TERMINAL:
        return on_terminal(command, **options)
    if way == cases.FOLDER:
        handle = os.open(options["cwd"], os.O_RDONLY)
        child = start(command, handle, **options)
        os.close(handle)
    elif way == cases.CLOSED_EARLY:
        child = start(command, subprocess.DEVNULL, **options)
        child.stdout.read1(64)
        child.stdout.close()
        error = child.stderr.read()
        return b"", error, child.wait(SECONDS)
    elif way == cases.PROMPT:
        # The prompt must come while the program waits for its input.
        child = start(command, subprocess.PIPE, **options)
        prompt = child.stdout.read1(10)
        child.stdin.close()
        child.stdin = None
        rest, error = child.communicate(timeout=SECONDS)
        return prompt, error, child.returncode
    else:
        done = subprocess.run(command, input=way, capture_output=True, timeout=SECONDS, **options)
        return done.stdout, done.stderr, done.returncode
    output, error = child.communicate(timeout=SECONDS)
    return output, error, child.returncode


def run_case(command, guest, case):
    """Runs a case by a command."""
    with tempfile.TemporaryDirectory(prefix="mintage-peer-") as root:
        root = Path(root)
        own, fixed = root / "own", root / "fixed"
        options = list(case.options)
        if case.folder is not None:
            fill(own, case.files)
            options.append(f"--dir={own}::{case.folder}")
        if case.read_only is not None:
            fill(fixed, case.read_only)
            options.append(f"--dir={fixed}::readonly:ro")
        if case.setup == "extreme-time":
            make_extreme_time(own)
        options += [f"--env={name}={value}" for name, value in case.env.items()]
        environment = os.environ | case.own_env
        whole = [*command, *options, guest, *case.args]
        try:
            output = connected(whole, case.stdin, cwd=root, env=environment)
        except subprocess.TimeoutExpired as late:
            output = (late.stdout or b"", late.stderr or b"", f"none after {SECONDS} s")
        changed = unfit(own, case.after) + unfit(fixed, case.read_only or {})
        return Result(*output, changed)


def shown(text):
    """A text for a message."""
    text = text.decode(errors="replace").strip()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def problems(case, result):
    """Returns what is wrong with a result, in lines."""
    found = [f"{name} is not as it should be" for name in result.changed]
    if case.code is None and (result.code == 0 or isinstance(result.code, str)):
        found.append(f"exit code {result.code}, should be that of a failure")
    elif case.code is not None and result.code != case.code:
        found.append(f"exit code {result.code}, should be {case.code}")
    if case.stdout is not None and result.stdout != case.stdout:
        found.append(f"standard output is {shown(result.stdout)!r}")
    if case.stderr.encode() not in result.stderr:
        found.append(f"standard error has no {case.stderr!r}")
    if found and result.stderr:
        found.append(f"standard error: {shown(result.stderr)}")
    return found


def check(command, folder, name, is_reference=False):
    """Runs all cases of a program, and returns what is wrong, in lines."""
    found = []
    is_served = name in serving.CASES
    if not (cases.of(name) or cases.has_host(name) or is_served):
        return ["nothing runs it"]
    for case in cases.of(name):
        if is_reference and case.no_reference:
            continue
        for kind in case.kinds:
            guest = folder / f"{name}.wasm"
            if kind == cases.COMPONENT:
                guest = build.component(folder, name)
            label = " ".join(part for part in (case.name, kind) if part)
            result = run_case(command, guest, case)
            found += [f"{label}: {problem}" for problem in problems(case, result)]
    if is_served and not is_reference:
        found += serving.check([*command[:-1], "serve"], folder, name)
    return found


def expectations():
    """The entries of `expected.txt`: reasons by name."""
    entries = {}
    for line in (HERE / "expected.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            if not reason.strip() or name in entries:
                sys.exit(f"expected.txt: `{name}` has no reason or is listed twice")
            entries[name] = reason.strip()
    return entries


def mintage():
    """The command to test."""
    if given := os.environ.get("MINTAGE"):
        return shlex.split(given)
    say("building mintage")
    run(["cargo", "build", "--quiet", "--locked", "-p", "mintage-cli"], cwd=ROOT)
    return [str(TARGET / "debug/mintage"), "run"]


def asynchronous(folder, names):
    """Runs programs by an asynchronous host, and returns what is wrong, by name."""
    names = [name for name in names if cases.has_host(name)]
    if not names:
        return {}
    components = {build.component(folder, name).parent for name in names}
    command = ["cargo", "run", "--quiet", "--locked", "-p", "mintage-wasi-tests", "--bin",
               "peer-programs", "--", folder, *components, *names]
    lines = run(command, cwd=ROOT).decode().splitlines()
    found = {}
    for name in names:
        own = [line for line in lines if line.split(":")[0].split(" ")[0] == name]
        if own != [f"{name} passes"]:
            found[name] = [f"asynchronous host: {line}" for line in own or ["no result"]]
    return found


def main(path, revision, wanted):
    folder, names = build.programs(Checkout(path, revision, build.PACKAGE))
    if unknown := set(wanted) - set(names):
        sys.exit(f"the peer has no program `{unknown.pop()}`")
    command, reference = mintage(), shlex.split(os.environ.get("REFERENCE", ""))
    entries, wrong, counts = expectations(), 0, {}
    names_to_run = wanted or names
    by_host = asynchronous(folder, names_to_run)
    for name in names_to_run:
        group = counts.setdefault(name.partition("_")[0], [0, 0, 0])
        found = check(command, folder, name) + by_host.get(name, [])
        reason = entries.get(name)
        group[0] += 1
        group[1] += not found
        if reference:
            of_reference = check(reference, folder, name, is_reference=True)
            group[2] += not of_reference
            if bool(found) != bool(of_reference):
                print(f"{name}: the reference {'fails' if of_reference else 'passes'}")
        if found and reason:
            print(f"known  {name}: {reason}")
        elif found or reason:
            wrong += 1
            print(f"FAILED {name}")
            found = found or [f"passes, but is listed as failing: {reason}"]
            print("\n".join("    " + line for each in found for line in each.splitlines()))
        sys.stdout.flush()
    for name in sorted(entries.keys() - set(names)):
        wrong += 1
        print(f"{name} is listed, but there is no such program")
    for group, (all_, passed, of_reference) in sorted(counts.items()):
        text = f"{group}: {passed} of {all_} programs pass"
        print(text + (f", {of_reference} by the reference" if reference else ""))
    print("as expected.txt has it" if not wrong else f"{wrong} differ from expected.txt")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
    except CannotBuild as error:
        sys.exit(str(error))
