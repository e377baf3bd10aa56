"""CPython: modules of the standard library, files below `/data`, exceptions, exit codes."""

# componentize-py includes the modules that are imported at the start: `collections` needs `heapq`
# later.
import collections
import hashlib
import heapq  # noqa: F401
import json
import os
import random
import re
import sys
import time

from wit_world import exports
from wit_world.imports import environment


def files():
    os.makedirs("/data/a/b", exist_ok=True)
    for number in range(20):
        with open(f"/data/a/b/{number:02}.txt", "w") as file:
            file.write("line\n" * number)
    names = sorted(os.listdir("/data/a/b"))
    print(len(names), names[0], names[-1])
    with open("/data/a/b/07.txt") as file:
        print(len(file.readlines()))
    print(os.stat("/data/a/b/10.txt").st_size)
    os.rename("/data/a/b", "/data/moved")
    print(sum(len(found) for _, _, found in os.walk("/data")))
    for path in ["/data/none", "/outside", "/data/../outside", "/data/moved"]:
        try:
            open(path)
        except OSError as error:
            print(path, type(error).__name__)
    os.remove("/data/moved/00.txt")
    with open("/data/result.json", "w") as file:
        json.dump({"names": names[:2], "pi": 3.14159}, file, sort_keys=True)


class Run(exports.Run):
    def run(self):
        args = environment.get_arguments()[1:]
        print(args, environment.get_environment())
        if args[:1] == ["exit"]:
            sys.exit(1)
        if args[:1] == ["raise"]:
            raise RuntimeError("as asked")
        print(sys.version_info[0], sys.implementation.name)
        print(hashlib.sha256(b"mintage").hexdigest())
        print(collections.Counter("abracadabra").most_common(2))
        print(re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world"), 2**100)
        random.seed(1)
        print(random.randrange(10**6), f"{sum(1 / n for n in range(1, 10000)):.10f}")
        before = time.monotonic()
        time.sleep(0.01)
        print(time.monotonic() - before >= 0.01, time.time() > 1577836800)
        print(sys.stdin.readline().strip(), len(os.urandom(8)))
        files()
        print("to standard error", file=sys.stderr)
