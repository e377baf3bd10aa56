"""Runs the programs for WASI 0.3 of wasi-testsuite; `testsuite-p3.sh` is its command.

A program has a specification: a list of operations, one after the other (`doc/specification.md` of
the suite). A program passes if all of them have the outcome that they name.
"""

import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from testsuite_http import Servers

HERE = Path(__file__).resolve().parent
MINTAGE = shlex.split(os.environ["MINTAGE"])
# Operations that take longer have failed.
SECONDS = 60


class Failed(Exception):
    """An operation has another outcome than it should have."""


def read_exactly(file, count):
    """Reads bytes from a pipe. The program's end is the end of them."""
    data = b""
    while len(data) < count and (piece := file.read(count - len(data))):
        data += piece
    return data


class Run:
    """A program that runs, and its connections."""

    def __init__(self, program, specification):
        self.program, self.specification = program, specification
        self.child, self.connections = None, {}
        self.servers = Servers(specification.get("servers", []))
        self.address = None
        self.folder = tempfile.TemporaryDirectory(prefix="mintage-wasi-")

    def run(self, operation):
        variables = operation.get("env", {}) | self.servers.environment()
        options = [f"--env={name}={value}" for name, value in variables.items()]
        if root := operation.get("root"):
            # Programs change it.
            copy = Path(self.folder.name) / "root"
            ignore = shutil.ignore_patterns("*.cleanup")
            shutil.copytree(self.program.parent / root, copy, symlinks=True, ignore=ignore)
            options.append(f"--dir={copy}::/")
        if "sockets" in self.specification.get("proposals", []):
            options.append("--inherit-network")
        pipe = subprocess.PIPE
        if self.specification.get("world") == "wasi:http/service":
            options += ["--inherit-network", "--addr=127.0.0.1:0"]
            command = [*MINTAGE, "serve", *options, self.program]
            self.child = subprocess.Popen(command, stdout=pipe, stderr=pipe)
            line = self.child.stderr.readline().decode()
            _, found, address = line.strip().strip("/").partition("serving at http://")
            if not found:
                raise Failed(f"it does not serve: {line}{self.child.stderr.read().decode()}")
            self.address = address
            return
        command = [*MINTAGE, *options, self.program, *operation.get("args", [])]
        self.child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)

    def request(self, operation):
        body, wanted = operation.get("body"), operation.get("response", {})
        connection = http.client.HTTPConnection(self.address, timeout=SECONDS)
        connection.request(operation["method"], operation["path"], body,
                           operation.get("headers", {}))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        self.expect("status", response.status, wanted.get("status", response.status))
        for name, value in wanted.get("headers", {}).items():
            self.expect(f"header {name}", response.getheader(name), value)
        self.expect("body", content, wanted.get("body", content.decode()).encode())

    def kill(self, operation):
        self.child.send_signal(getattr(signal, operation["signal"]))

    def read(self, operation):
        file = getattr(self.child, operation.get("id", "stdout"))
        wanted = operation.get("payload", "").encode()
        self.expect("output", read_exactly(file, len(wanted)), wanted)

    def write(self, operation):
        self.child.stdin.write(operation.get("payload", "").encode())
        self.child.stdin.close()
        self.child.stdin = None

    def connect(self, operation):
        host, _, port = self.child.stdout.readline().decode().strip().rpartition(":")
        address = (host.strip("[]"), int(port))
        connection = socket.create_connection(address, timeout=SECONDS)
        self.connections[operation.get("id", "server")] = connection

    def send(self, operation):
        self.connections[operation["id"]].sendall(operation.get("payload", "").encode())

    def recv(self, operation):
        wanted = operation.get("payload", "").encode()
        with self.connections[operation["id"]].makefile("rb") as file:
            self.expect("bytes received", read_exactly(file, len(wanted)), wanted)

    def wait(self, operation):
        for connection in self.connections.values():
            connection.close()
        try:
            output, error = self.child.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"it has not ended after {SECONDS} s") from late
        code = operation.get("exit_code", 0)
        if self.child.returncode != code:
            text = (output + error).decode(errors="replace").strip()
            raise Failed(f"the exit code is {self.child.returncode}, not {code}: {text}")

    def expect(self, what, found, wanted):
        if found != wanted:
            self.child.kill()
            error = self.child.communicate()[1].decode(errors="replace").strip()
            raise Failed(f"{what}: {found!r}, not {wanted!r}: {error}")

    def end(self):
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        for connection in self.connections.values():
            connection.close()
        self.servers.end()
        self.folder.cleanup()


def operations(specification):
    """The operations of a specification. One without them is of an older form."""
    if found := specification.get("operations"):
        return found
    keys = ("args", "env", "root")
    run = {key: specification[key] for key in keys if specification.get(key)}
    code = specification.get("exit_code", 0)
    return [{"type": "run", **run}, {"type": "wait", "exit_code": code}]


def check(program):
    """Runs a program, and returns what is wrong, or nothing."""
    path = program.with_suffix(".json")
    specification = json.loads(path.read_text()) if path.exists() else {}
    run = Run(program, specification)
    try:
        for operation in operations(specification):
            getattr(run, operation["type"])(operation)
    except (Failed, OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or repr(error)
    finally:
        run.end()
    return ""


def main(checkout, part=""):
    lines = (HERE / "testsuite-p3-failures.txt").read_text().splitlines()
    lines = [line.split(": ", 1) for line in lines if line and not line.startswith("#")]
    expected = dict(lines)
    programs = sorted((Path(checkout) / "tests/rust/testsuite/wasm32-wasip3").glob("*.wasm"))
    passed = wrong = 0
    for program in programs:
        if part not in program.stem:
            continue
        problem, reason = check(program), expected.pop(program.stem, None)
        passed += not problem
        if bool(problem) == bool(reason):
            if problem:
                print(f"{program.stem} fails as expected: {reason}")
            continue
        wrong += 1
        print(f"{program.stem} {f'FAILS: {problem}' if problem else 'passes: unlist it'}")
    if not part and expected:
        print(f"{', '.join(expected)}: listed, and there is no such program")
        wrong += 1
    count = len([path for path in programs if part in path.stem])
    print(f"{passed} of {count} programs pass")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
