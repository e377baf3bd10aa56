#!/usr/bin/env python3
"""Measures whole processes of `mintage run` and `wasmtime run`, alternately, from start to exit.

usage: benches/start.py MINTAGE WASMTIME [FILE]...

The two are the commands. Each program runs from the compile cache, and as an artifact. The first is
`benches/guests/commands.wasm`, which does nothing. A FILE is another program, which gets no
arguments; its exit code must be the same for both commands.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 101
NOTHING = Path(__file__).resolve().parent / "guests/commands.wasm"


def start(command, environment):
    """Runs a process without input and output. Returns its seconds and exit code."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    begin = time.perf_counter()
    child = os.posix_spawn(command[0], command, environment, file_actions=null)
    _, status = os.waitpid(child, 0)
    return time.perf_counter() - begin, os.waitstatus_to_exitcode(status)


def measure(name, commands, environment):
    """Prints a row: medians of both commands. They must end in the same way."""
    codes = {start(command, environment)[1] for command in commands}
    times = [[], []]
    for _ in range(RUNS):
        for command, found in zip(commands, times):
            seconds, code = start(command, environment)
            found.append(seconds)
            codes.add(code)
    if len(codes) != 1:
        sys.exit(f"{name}: exit codes {codes}")
    own, other = (1000 * statistics.median(found) for found in times)
    least, most = (1000 * value for value in (min(times[0]), max(times[0])))
    print(f"| {name} | {own:.1f} ms | {other:.1f} ms | {own / other:.3f} | {least:.1f} to "
          f"{most:.1f} ms |", flush=True)


def main(mintage, wasmtime, *files):
    with tempfile.TemporaryDirectory() as folder:
        # A cache of their own, so that nothing else is in it.
        environment = os.environ | {"XDG_CACHE_HOME": folder, "HOME": folder}
        print("| program | Mintage | Wasmtime | ratio | Mintage, least to most |")
        print("|---|---|---|---|---|")
        for path, args in [(NOTHING, ["nothing", "1"]), *((Path(file), []) for file in files)]:
            both = [mintage, wasmtime]
            cached = [[command, "run", str(path), *args] for command in both]
            measure(f"{path.stem}, from the cache", cached, environment)
            artifacts = [f"{folder}/{path.stem}.{number}" for number in range(2)]
            for command, to in zip(both, artifacts):
                subprocess.run([command, "compile", path, "-o", to], check=True, env=environment)
            loaded = [[command, "run", "--allow-precompiled", artifact, *args]
                      for command, artifact in zip(both, artifacts)]
            measure(f"{path.stem}, as an artifact", loaded, environment)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
