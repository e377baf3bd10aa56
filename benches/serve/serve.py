"""Measures servers of components; `../serve.sh` is its command.

1. `servers` finds the commands, and `guests.guest` builds the guests.
2. `able` leaves out servers that cannot serve a guest.
3. `throughput` loads all servers of one guest in turn, three rounds.
4. `memory` starts each of them once more, with idle connections and with requests in flight.
5. `report` prints medians, and ratios to Wasmtime and to the server without guests; `chart` draws
   them.
"""

import argparse
import json
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import chart
import guests
from toolchains import ROOT, TARGET, CannotBuild, run, say

ROUNDS = 3
# Threads and connections of the load. One thread leaves the rest of a small machine to the server.
THREADS, CONNECTIONS = 1, 16
IDLE, IN_FLIGHT = 1000, 256
# Seconds until a server answers its first request, with compiling.
START = 180
HELLO, BODY = b"hello\n", b"abcdef"

# Wasmtime at its best: everything from a pool that is large enough, and memory that stays with it.
WASMTIME = """
  serve -Scli -Opooling-allocator=y -Opooling-memory-keep-resident=16777216
  -Opooling-table-keep-resident=1048576 -Opooling-async-stack-keep-resident=1048576
  -Opooling-pagemap-scan=auto -Opooling-max-unused-warm-slots=1000
  -Opooling-total-core-instances=100000 -Opooling-total-component-instances=1000
  -Opooling-total-memories=1000 -Opooling-total-tables=10000 -Opooling-total-stacks=1000
  -Opooling-max-core-instance-size=10485760 -Opooling-max-component-instance-size=10485760
  -Opooling-table-elements=100000
""".split()


def release(package, binary):
    """The path of a program of this project, which is built."""
    say(f"building {binary}")
    command = ["cargo", "build", "--quiet", "--release", "--locked", "-p", package, "--bin", binary]
    run(command, cwd=ROOT)
    return str(TARGET / "release" / binary)


def servers(wanted):
    """The commands of servers by name, without what is not there. `ADDRESS` and `GUEST` stand for
    what is put in later."""
    found = {}
    if "hyper" in wanted:
        given = shlex.split(os.environ.get("HYPER", ""))
        command = given or [release("mintage-benches", "bare-hyper")]
        found["hyper"] = [*command, "ADDRESS"]
    if any(name.startswith("mintage") for name in wanted):
        given = shlex.split(os.environ.get("MINTAGE", ""))
        command = given or [release("mintage-cli", "mintage")]
        serve = [*command, "serve", "--addr", "ADDRESS"]
        if subprocess.run([*command, "serve", "--help"], capture_output=True).returncode:
            say(f"`{' '.join(command)}` has no command `serve`: left out")
        else:
            found["mintage"] = [*serve, "GUEST"]
            found["mintage-warm"] = [*serve, "--warm-up", "/", "GUEST"]
            found["mintage-reuse"] = [*serve, "--max-instance-reuse-count=1000000", "GUEST"]
    if any(name.startswith("wasmtime") for name in wanted):
        command = shlex.split(os.environ.get("WASMTIME", "wasmtime"))
        if shutil.which(command[0]) is None:
            say(f"`{command[0]}` is not there, WASMTIME names it: left out")
        else:
            version = run([*command, "--version"]).decode().strip()
            if not version.startswith("wasmtime 48."):
                say(f"the peer is {version}, the figures of this project are those of 48")
            serve = [*command, *WASMTIME, "--addr", "ADDRESS"]
            # By default, an instance of WASI 0.3 answers 128 requests.
            found["wasmtime"] = [*serve, "--max-instance-reuse-count=1", "GUEST"]
            # One instance for many requests, which is another promise than the others'.
            found["wasmtime-reuse"] = [*serve, "--max-instance-reuse-count=1000000", "GUEST"]
    return {name: found[name] for name in wanted if name in found}


def free_address():
    """An address of this machine at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()


def message(body=None, part=None):
    """A request: GET, or POST with a body of which a part is sent."""
    if body is None:
        return b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body[:part]


def receive(connection):
    """Reads a response, and returns its status and body."""
    text = b""
    while b"\r\n\r\n" not in text:
        if not (piece := connection.recv(65536)):
            raise ConnectionError("the server closed the connection")
        text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    while len(body) < int(length[1]) if length else not body.endswith(b"0\r\n\r\n"):
        if not (piece := connection.recv(65536)):
            raise ConnectionError("the server closed the connection")
        body += piece
    if not length:
        body = b"".join(unchunked(body))
    return status, body


def unchunked(text):
    """The pieces of a body in chunks."""
    while text:
        size, _, text = text.partition(b"\r\n")
        yield text[: int(size, 16)]
        text = text[int(size, 16) + 2 :]


def expect(connection, body):
    """Reads a response that must have this body."""
    answer = receive(connection)
    if answer != (200, body):
        raise ConnectionError(f"the answer is {answer}, not {body}")


@contextmanager
def started(name, command, guest):
    """Runs a server, and gives its address and process when it answers."""
    host, port = free_address()
    parts = {"ADDRESS": f"{host}:{port}", "GUEST": str(guest)}
    whole = [parts.get(part, part) for part in command]
    with tempfile.TemporaryFile() as log:
        # Servers capture no backtraces of errors.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RUST_")}
        process = subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=environment)

        def fail(reason):
            log.seek(0)
            text = log.read()[-3000:].decode(errors="replace")
            raise CannotBuild(f"{name}: {reason}\n`{' '.join(whole)}` says:\n{text}")

        try:
            end, last = time.monotonic() + START, None
            while True:
                try:
                    with socket.create_connection((host, port), 60) as connection:
                        connection.sendall(message())
                        expect(connection, HELLO)
                    break
                except (OSError, ValueError) as error:
                    last = error
                if process.poll() is not None:
                    fail(f"ended with {process.returncode}")
                if time.monotonic() > end:
                    fail(f"no answer in {START} s: {last}")
                time.sleep(0.05)
            try:
                yield (host, port), process
            except (OSError, ValueError) as error:
                fail(str(error))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def able(commands, guest):
    """The commands whose servers answer by this guest. Some guests cannot be warmed up."""
    found = {}
    for name, command in commands.items():
        try:
            with started(name, command, guest):
                found[name] = command
        except CannotBuild as error:
            say(f"left out: {error}")
    return found


def seconds(text):
    """A time of wrk's: `1.23ms`."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def load(address, duration):
    """Loads a server, and returns requests per second, and latencies in seconds."""
    url = f"http://{address[0]}:{address[1]}/"
    command = ["wrk", "-t", THREADS, "-c", CONNECTIONS, "-d", f"{duration}s", "--latency",
               "--timeout", "10s", url]
    text = run(command).decode()
    if failed := re.search(r"(Non-2xx.*|Socket errors.*)", text):
        raise ConnectionError(failed[1])
    # wrk pads units of one letter.
    found = dict(re.findall(r"^ +(50|99)% +(\S+) *$", text, re.M))
    rate = float(re.search(r"Requests/sec: +([\d.]+)", text)[1])
    return {"rate": rate, "p50": seconds(found["50"]), "p99": seconds(found["99"])}


def throughput(commands, guest, duration):
    """Loads all servers in turn, and returns the medians of the rounds by server."""
    rounds = {name: [] for name in commands}
    with ExitStack() as stack:
        running = {name: stack.enter_context(started(name, command, guest))[0]
                   for name, command in commands.items()}
        for address in running.values():
            load(address, max(1, duration // 3))
        for _ in range(ROUNDS):
            for name, address in running.items():
                rounds[name].append(load(address, duration))
    return {name: {key: statistics.median(each[key] for each in results) for key in results[0]}
            for name, results in rounds.items()}


def resident(process):
    """The resident memory of a process, in bytes."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024


def settled(process):
    """The resident memory of a process, once it no longer changes."""
    last = -1
    for _ in range(60):
        now = resident(process)
        if abs(now - last) <= now // 200:
            return now
        last = now
        time.sleep(0.5)
    return last


def connect(stack, address):
    """A connection that lasts as long as the stack."""
    return stack.enter_context(socket.create_connection(address, 60))


def memory(name, command, guest, idle, in_flight):
    """The resident memory of a server with idle connections, and with requests in flight."""
    with started(name, command, guest) as (address, process):
        with ExitStack() as stack:
            for _ in range(idle):
                connection = connect(stack, address)
                connection.sendall(message())
                expect(connection, HELLO)
            # Until the connections count as idle.
            time.sleep(2)
            found = {"idle": settled(process)}
    with started(name, command, guest) as (address, process), ExitStack() as stack:
        connections = [connect(stack, address) for _ in range(in_flight)]
        for connection in connections:
            connection.sendall(message(BODY, 3))
        # All guests have read the first half, and wait for the second.
        time.sleep(2)
        found["in flight"] = settled(process)
        for connection in connections:
            connection.sendall(BODY[3:])
        for connection in connections:
            expect(connection, b"%d bytes\n" % len(BODY))
    return found


def milliseconds(value):
    return f"{value * 1e3:.3f} ms"


def megabytes(value):
    return f"{value / 1e6:.1f} MB"


METRICS = [
    ("requests per second", "rate", lambda value: f"{value:,.0f}"),
    ("latency, p50", "p50", milliseconds),
    ("latency, p99", "p99", milliseconds),
    ("resident, {idle} idle connections", "idle", megabytes),
    ("resident, {in_flight} requests in flight", "in flight", megabytes),
]
# Ratios in the table.
RATIOS = [("mintage", "wasmtime"), ("mintage-warm", "wasmtime"),
          ("mintage-reuse", "wasmtime-reuse"), ("mintage", "hyper")]


def report(results, sizes):
    """Prints a Markdown table."""
    # In their order; some guests have fewer.
    names = list(dict.fromkeys(name for by_server in results.values() for name in by_server))
    ratios = [(over, under) for over, under in RATIOS if over in names and under in names]
    heading = ["guest", "metric", *names, *(f"{over} / {under}" for over, under in ratios)]
    rows = []
    for guest, by_server in results.items():
        for label, key, shown in METRICS:
            values = {name: by_server.get(name, {}).get(key) for name in names}
            cells = ["-" if value is None else shown(value) for value in values.values()]
            cells += ["-" if None in (values[over], values[under])
                      else f"{values[over] / values[under]:.3f}" for over, under in ratios]
            rows.append([guest, label.format(**sizes), *cells])
    for row in [heading, ["---"] * len(heading), *rows]:
        print(f"| {' | '.join(row)} |")


def picture(results, sizes):
    """Draws the figures in which servers differ most."""
    groups = []
    for guest, by_server in results.items():
        for label, key, shown in METRICS:
            bars = [(name, found[key], shown(found[key]))
                    for name, found in by_server.items() if key in found]
            if key != "p50" and bars:
                groups.append((f"{guest.capitalize()}: {label.format(**sizes)}", bars))
    subtitle = f"hello, {CONNECTIONS} connections; an instance for each request, except in hyper"
    return chart.draw("Servers of components", subtitle, groups)


def names(known, default):
    """A parser of lists of names."""

    def parse(text):
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(
                f"there is no `{unknown.pop()}`; there are {', '.join(known)}")
        return chosen

    return {"type": parse, "default": default}


def main():
    parser = argparse.ArgumentParser(prog="serve.sh", description=__doc__.splitlines()[0])
    reusing = ["mintage-reuse", "wasmtime-reuse"]
    default = ["hyper", "mintage", "mintage-warm", "wasmtime"]
    parser.add_argument("--guests", **names(list(guests.GUESTS), list(guests.GUESTS)))
    parser.add_argument("--servers", **names(default + reusing, default))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--chart", type=Path)
    chosen = parser.parse_args()
    duration = 1 if chosen.quick else chosen.seconds
    sizes = {"idle": IDLE, "in_flight": IN_FLIGHT}
    if chosen.quick:
        sizes = {"idle": IDLE // 20, "in_flight": IN_FLIGHT // 16}
    # The servers inherit it.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    commands = servers(chosen.servers)
    if not commands:
        sys.exit("there is no server to measure")
    results = {}
    for language in chosen.guests:
        guest = guests.guest(language)
        say(f"loading servers of {guest.name}")
        usable = able(commands, guest)
        results[language] = throughput(usable, guest, duration)
        for name, command in usable.items():
            results[language][name] |= memory(name, command, guest, **sizes)
    print(json.dumps(results, indent=2)) if chosen.json else report(results, sizes)
    if chosen.chart:
        chosen.chart.write_text(picture(results, sizes))


if __name__ == "__main__":
    try:
        main()
    except (CannotBuild, ConnectionError) as error:
        sys.exit(str(error))
