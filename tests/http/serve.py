"""Runs `mintage serve` with real guests and curl; `../http.sh` is its command.

A case is a function that takes a `Server`. What must hold is an assertion.
"""

import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches/serve"))

import guests
from toolchains import TARGET, CannotBuild, run, say

# The guest of the tests of the crate: what it does depends on the path of the request.
PATHS = ROOT / "crates/wasi-http/tests/guests/server.wasm"
GIB = 1 << 30
# What a server may take beyond its memory before: buffers of the guest and of both connections.
FLAT = 32 << 20


@functools.cache
def mintage():
    """The command to test."""
    if given := shlex.split(os.environ.get("MINTAGE", "")):
        return given
    say("building mintage")
    run(["cargo", "build", "--quiet", "--release", "--locked", "-p", "mintage-cli"], cwd=ROOT)
    return [str(TARGET / "release/mintage")]


class Server:
    """A server that answers, and its log."""

    def __init__(self, guest, *options, address="127.0.0.1:0"):
        self.log = tempfile.TemporaryFile()
        command = [*mintage(), "serve", "--addr", address, *options, str(guest)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        end = time.monotonic() + 300
        while not (found := re.search(r"serving at http://(\S+)/", self.text())):
            ended = self.process.poll() is not None
            assert not ended and time.monotonic() < end, f"no server: {self.text()}"
            time.sleep(0.05)
        self.address = found[1]

    def text(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def url(self, path="/"):
        return f"http://{self.address}{path}"

    def resident(self):
        """The resident memory in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) << 10

    def stop(self):
        """Ends the server, which must exit by itself."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert code == 0, f"exit code {code}: {self.text()}"


@contextmanager
def serving(*arguments, **options):
    server = Server(*arguments, **options)
    try:
        yield server
        server.stop()
    finally:
        server.process.kill()
        server.process.wait()


def curl(*arguments, input=None):
    """The output of curl: the body, and after a line feed what `-w` asks for."""
    command = ["curl", "--silent", "--show-error", "--max-time", "600", *arguments]
    done = subprocess.run(command, input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr.decode()}"
    return done.stdout


STATUS = ["--write-out", "\n%{http_code} %{http_version}"]


def languages():
    """Guests in three languages: the same program, which says hello and counts bytes."""
    for language in guests.GUESTS:
        with serving(guests.guest(language)) as server:
            url = server.url()
            for version in ["1.0", "1.1", "2"]:
                option = {"2": "--http2-prior-knowledge"}.get(version, f"--http{version}")
                *answer, used = curl(option, *STATUS, url).decode().split()
                # Some versions of curl leave out the zero of 1.0.
                assert answer == ["hello", "200"] and float(used) == float(version), answer
                for size in [0, 1, 100_000, 2_000_000]:
                    # Large ones are sent after `100 Continue`.
                    answer = curl(option, "--data-binary", "@-", url, input=b"x" * size)
                    assert answer == b"%d bytes\n" % size, (language, version, answer)
            head = curl("--head", *STATUS, url).decode().lower()
            assert "content-type: text/plain" in head and head.endswith("\n200 1.1"), head
            # Many requests on one connection, each with an instance of its own.
            many = curl(*["--write-out", "%{num_connects}"], *[url] * 50).decode()
            assert many == "hello\n1" + "hello\n0" * 49, many
        say(f"{language}: hello, bodies and HTTP/2")


def bodies():
    """Bodies of 1 GiB, of which server and guest never have more than some buffers."""
    with serving(PATHS, "--max-request-body", "2G", "--timeout", "600s") as server:
        curl(server.url("/hello"))
        most, over = 0, threading.Event()

        def watch():
            nonlocal most
            while not over.wait(0.02):
                most = max(most, server.resident())

        thread = threading.Thread(target=watch)
        thread.start()
        for version in ["--http1.1", "--http2-prior-knowledge"]:
            options = f"--silent --show-error --max-time 600 {version}"
            send = f"head -c {GIB} /dev/zero | curl {options} -T - "
            for name, command, expected in [
                ("in", f"{send} {server.url('/count')}", f"{GIB} bytes\n"),
                ("out", f"curl {options} {server.url(f'/large?{GIB}')} | wc -c", f"{GIB}\n"),
                ("echo", f"{send} {server.url('/echo')} | wc -c", f"{GIB}\n"),
            ]:
                most, before, start = 0, server.resident(), time.monotonic()
                answer = run(["bash", "-o", "pipefail", "-c", command]).decode()
                took = time.monotonic() - start
                assert answer == expected, (name, version, answer)
                grown = most - before
                assert grown < FLAT, f"{name} {version}: {grown >> 20} MiB more"
                say(f"1 GiB {name}, {version[2:]}: {GIB / took / 1e6:,.0f} MB/s, "
                    f"{most / 1e6:.1f} MB resident")
        over.set()
        thread.join()


def restart():
    """A server that is killed loses the requests in flight, and nothing else."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    for _ in range(5):
        server = Server(PATHS, address=address)
        over, counts = threading.Event(), {"answered": 0, "lost": 0}
        lock = threading.Lock()

        def client():
            while not over.is_set():
                done = subprocess.run(
                    ["curl", "--silent", server.url("/hello")], stdout=subprocess.PIPE
                )
                with lock:
                    counts["answered" if done.stdout == b"Hello, world!\n" else "lost"] += 1

        clients = [threading.Thread(target=client) for _ in range(4)]
        for thread in clients:
            thread.start()
        # Connections that are open and busy when the server dies.
        host, port = address.split(":")
        busy = [socket.create_connection((host, int(port))) for _ in range(50)]
        for connection in busy:
            connection.sendall(b"GET /sleep?60000 HTTP/1.1\r\nhost: test\r\n\r\n")
        time.sleep(0.3)
        assert counts["lost"] == 0, counts
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        over.set()
        for thread in clients:
            thread.join()
        # The same port, at once, and the cache of compiled components is whole.
        start = time.monotonic()
        with serving(PATHS, address=address) as again:
            assert curl(again.url("/hello")) == b"Hello, world!\n"
            took = time.monotonic() - start
        say(f"killed after {counts['answered']} answers, back after {took:.2f} s")
        for connection in busy:
            connection.close()


CASES = {"languages": languages, "bodies": bodies, "restart": restart}


def main():
    chosen = sys.argv[1:] or list(CASES)
    if unknown := set(chosen) - set(CASES):
        sys.exit(f"there is no case `{unknown.pop()}`; there are {', '.join(CASES)}")
    for name in chosen:
        say(name)
        CASES[name]()
    print(f"{len(chosen)} cases passed")


if __name__ == "__main__":
    try:
        main()
    except CannotBuild as error:
        sys.exit(str(error))
