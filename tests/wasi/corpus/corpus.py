"""Runs the corpus; `../corpus.sh` is its command, and `README.md` describes it.

1. `select` finds the cases that the arguments name.
2. `builds.guest` builds each guest, unless that is done.
3. `execute` runs a case in folders of its own, and `compare` holds the result against what is
   expected.
4. With a reference command, both results must be the same.
"""

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import builds
from programs import EXPECTED_FAILURES, PROGRAMS, TRAPPED, Link
from toolchains import ROOT, TARGET, CannotBuild, run, say

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "expected"
# Runs of one case that take longer have failed.
SECONDS = 180
# Bytes of a text that a message shows.
SHOWN = 800


@dataclass
class Result:
    """The outcome of a run."""

    stdout: bytes
    stderr: bytes
    code: int
    # The folder `/data` at the end: bytes of files, `Link`s, `None` for empty folders.
    files: dict
    # The other folders, which must not change.
    others: dict


def content(value):
    """The bytes of a file in a table."""
    if isinstance(value, str) and value.startswith("@"):
        return (builds.GUESTS / value[1:]).read_bytes()
    return value.encode() if isinstance(value, str) else value


def fill(folder, files):
    """Makes a folder with these files."""
    folder.mkdir()
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if value is None:
            path.mkdir(exist_ok=True)
        elif isinstance(value, Link):
            path.symlink_to(value.target)
        else:
            path.write_bytes(content(value))


def snapshot(folder):
    """Returns what is in a folder. Folders are left out unless they are empty."""
    found = {}
    for path, folders, names in os.walk(folder):
        for name in names + [name for name in folders if Path(path, name).is_symlink()]:
            full = Path(path, name)
            link = full.is_symlink()
            found[str(full.relative_to(folder))] = (
                Link(os.readlink(full)) if link else full.read_bytes()
            )
        if not names and not folders and path != str(folder):
            found[str(Path(path).relative_to(folder))] = None
    return found


def execute(command, guest, case):
    """Runs a case by a command. Its folder has neighbours that it must not reach."""
    with tempfile.TemporaryDirectory(prefix="mintage-corpus-") as root:
        root = Path(root)
        fill(root / "host", {"secret": "secret", "outside": "outside"})
        fill(root / "host/data", case.before)
        options = ["--dir", f"{root}/host/data::/data"]
        if case.fixed is not None:
            fill(root / "host/fixed", case.fixed)
            options += ["--dir", f"{root}/host/fixed::/fixed:ro"]
        for name, value in case.env.items():
            options += ["--env", f"{name}={value}"]
        try:
            done = subprocess.run(
                [*command, *options, *case.options, guest, *case.args], input=case.stdin,
                capture_output=True, timeout=SECONDS, cwd=root,
            )
        except subprocess.TimeoutExpired as error:
            done = error
            done.returncode = f"none after {SECONDS} s"
        files = snapshot(root / "host/data")
        shutil.rmtree(root / "host/data")
        others = snapshot(root / "host")
        return Result(done.stdout or b"", done.stderr or b"", done.returncode, files, others)


def expected_path(program, kind, case):
    """The path of the text that a case must print."""
    own = EXPECTED / f"{program.name}-{case.name}.{kind}.txt"
    return own if own.exists() else EXPECTED / f"{program.name}-{case.name}.txt"


def shown(text):
    """A text for a message."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def difference(name, found, wanted):
    """The lines of a message about two texts that are to be the same."""
    if found == wanted:
        return []
    first = next((at for at, (a, b) in enumerate(zip(found, wanted)) if a != b),
                 min(len(found), len(wanted)))
    start = max(found.rfind(b"\n", 0, first) + 1, first - SHOWN // 2)
    return [f"{name} differs at byte {first}:", f"  is        {shown(found[start:start + 300])!r}",
            f"  should be {shown(wanted[start:start + 300])!r}"]


def accepts(check, content):
    """Returns whether a check of the table accepts what a guest wrote, which may be anything."""
    try:
        return bool(check(content))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, sqlite3.Error) as error:
        say(f"check: {error}")
        return False


def compare_files(found, wanted):
    """The lines of a message about the files in the folder `/data`."""
    problems = []
    # Folders count as empty ones only.
    inner = {name for name, value in wanted.items()
             if value is None and any(other.startswith(name + "/") for other in wanted)}
    for name in sorted(found.keys() | wanted.keys() - inner):
        if name not in found or name not in wanted:
            problems.append(f"/data/{name} is {'missing' if name in wanted else 'unexpected'}")
            continue
        is_, should = found[name], wanted[name]
        if callable(should):
            same = isinstance(is_, bytes) and accepts(should, is_)
        else:
            same = is_ == content(should)
        if not same:
            problems.append(f"/data/{name} differs: {shown(is_)[:200]!r}")
    return problems


def compare(program, kind, case, result):
    """Returns what is wrong with a result, in lines."""
    problems = []
    if callable(case.stdout):
        problems += [] if accepts(case.stdout, result.stdout) else ["standard output is wrong"]
    elif case.stdout is not None:
        problems += difference("standard output", result.stdout, content(case.stdout))
    else:
        path = expected_path(program, kind, case)
        wanted = path.read_bytes() if path.exists() else b"(there is no expected text)"
        problems += difference("standard output", result.stdout, wanted)
    code = case.code if kind == builds.P1 or case.code in (0, TRAPPED) else 1
    if result.code != code:
        problems.append(f"exit code {result.code}, should be {code}")
    if case.stderr and case.stderr.encode() not in result.stderr:
        problems.append(f"standard error has no {case.stderr!r}")
    problems += compare_files(result.files, case.before if case.after is None else case.after)
    neighbours = {"secret": b"secret", "outside": b"outside"}
    for name, value in (case.fixed or {}).items():
        neighbours[f"fixed/{name}"] = content(value)
    if result.others != neighbours:
        problems.append("files outside of /data changed")
    if problems and result.stderr:
        problems.append(f"standard error: {shown(result.stderr).strip()}")
    return problems


def compare_with_reference(case, result, reference):
    """Returns what differs between the two commands, in lines."""
    problems = difference("standard output, next to the reference,", result.stdout,
                          reference.stdout)
    if result.code != reference.code:
        problems.append(f"exit code {result.code}, the reference's is {reference.code}")
    after = case.after or {}
    checked = {name for name, value in after.items() if callable(value)}
    for name in sorted(result.files.keys() | reference.files.keys()):
        if name not in checked and result.files.get(name) != reference.files.get(name):
            problems.append(f"/data/{name} is not the reference's")
    return problems


def select(names):
    """Returns the program, kind and case of each run that a name selects."""
    runs = [(program, kind, case) for program in PROGRAMS for kind in program.kinds
            for case in program.cases if case.kinds is None or kind in case.kinds]
    if not names:
        return runs
    chosen = []
    for name in names:
        found = [entry for entry in runs if name in forms(*entry)]
        if not found:
            sys.exit(f"there is no program, build or case `{name}`; `--list` lists them")
        chosen += [entry for entry in found if entry not in chosen]
    return chosen


def forms(program, kind, case):
    """The names that select a run."""
    return (program.name, f"{program.name}.{kind}", f"{program.name}/{case.name}",
            f"{program.name}.{kind}/{case.name}")


def mintage():
    """The command to test."""
    if given := os.environ.get("MINTAGE"):
        return shlex.split(given)
    say("building mintage")
    run(["cargo", "build", "--quiet", "--locked", "-p", "mintage-cli"], cwd=ROOT)
    return [str(TARGET / "debug/mintage"), "run"]


def bless(program, kind, case, result):
    """Writes the text that a case must print, as it now is."""
    path = expected_path(program, kind, case)
    if case.stdout is None and not (path.exists() and path.read_bytes() == result.stdout):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(result.stdout)
        print(f"wrote {path.relative_to(ROOT)}")


def check(program, kind, case, command, reference):
    """Runs a case, and returns what is wrong, in lines."""
    guest = builds.guest(program, kind)
    result = execute(command, guest, case)
    other = reference and not case.no_reference and execute(reference, guest, case)
    if os.environ.get("BLESS"):
        bless(program, kind, case, other or result)
    problems = compare(program, kind, case, result)
    if other:
        problems += compare_with_reference(case, result, other)
    return problems


def main(names):
    if names == ["--list"]:
        print("\n".join(forms(*entry)[3] for entry in select([])))
        return 0
    runs = select(names)
    reference = shlex.split(os.environ.get("REFERENCE", ""))
    command = mintage()
    passed, failed, known, unbuilt = 0, [], 0, {}
    for program, kind, case in runs:
        name = forms(program, kind, case)[3]
        build = f"{program.name}.{kind}"
        if build in unbuilt:
            continue
        start = time.monotonic()
        try:
            problems = check(program, kind, case, command, reference)
        except CannotBuild as error:
            unbuilt[build] = error
            print(f"NOT BUILT {build}\n    {str(error).replace(chr(10), chr(10) + '    ')}")
            continue
        reason = EXPECTED_FAILURES.get(name)
        if problems and reason:
            known += 1
            print(f"known  {name}: {reason}")
        elif problems or reason:
            failed.append(name)
            problems = problems or [f"passes, but is listed as failing: {reason}"]
            print(f"FAILED {name}")
            print("\n".join("    " + line for text in problems for line in text.splitlines()))
        else:
            passed += 1
            print(f"passed {name} ({time.monotonic() - start:.2f} s)")
        sys.stdout.flush()
    if not names:
        stale = EXPECTED_FAILURES.keys() - {forms(*entry)[3] for entry in runs}
        failed += [f"{name} (listed as failing, but there is none)" for name in sorted(stale)]
    guests = len({(program.name, kind) for program, kind, _ in runs}) - len(unbuilt)
    print(f"{guests} guests, {passed} cases passed, {known} failed as known, {len(failed)} failed, "
          f"{len(unbuilt)} guests not built")
    for name in [*failed, *unbuilt]:
        print(f"  {name}")
    return 1 if failed or unbuilt else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
