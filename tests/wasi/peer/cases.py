"""How each of the peer's programs is run, and with which results.

A program that `CASES` does not name is run by the case `LIBRARY`. The programs that the peer's
tests run by its library, not its command, are run by an asynchronous host as well:
`../src/bin/peer-programs/`. Those that handle requests are in `serving.py`.
"""

from dataclasses import dataclass, field, replace

# The exit code of the command after a trap.
TRAPPED = 134

MODULE, COMPONENT = "module", "component"


@dataclass(frozen=True)
class Case:
    """One run of a program. Files are a mapping from paths to their bytes, or `None` for a
    folder."""

    name: str = ""
    args: list = field(default_factory=list)
    # Options of the command, as both commands spell them.
    options: list = field(default_factory=list)
    env: dict = field(default_factory=dict)
    # Variables of the command itself.
    own_env: dict = field(default_factory=dict)
    # Bytes, or a way to connect the program: `TERMINAL`, `FOLDER`, `CLOSED_EARLY`, `PROMPT`.
    stdin: object = b""
    # What is in the folder that the program gets, at first and (if it is checked) at the end.
    files: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)
    # The name of the folder for the program.
    folder: str | None = None
    # What is in the folder `readonly`, which must not change.
    read_only: dict | None = None
    code: int = 0
    stdout: bytes | None = None
    # A piece of standard error, which has each engine's own words.
    stderr: str = ""
    # The kinds that the case applies to.
    kinds: tuple = (COMPONENT,)
    # Why the reference command cannot be asked.
    no_reference: str = ""
    # Changes of the host that cannot be said as files.
    setup: object = None


# Ways to connect a program.
TERMINAL, FOLDER, CLOSED_EARLY, PROMPT = "terminal", "folder", "closed early", "prompt"

NO_READ_ONLY = "it has no read-only folders"
NETWORK = "-Sinherit-network,allow-ip-name-lookup,max-resources=1000"
# What the peer's tests of its library give to each program.
LIBRARY = Case(args=["."], folder=".", options=[NETWORK], env={"ERRNO_MODE_UNIX": "1"})
BOTH = (MODULE, COMPONENT)

READ_ONLY = replace(LIBRARY, read_only={"test.txt": b"read only test file\n"},
                    no_reference=NO_READ_ONLY)
STREAM = replace(READ_ONLY, read_only={"stream-perms.txt": b"stream permission test\n"})


def trap(words):
    """A program that the host must end. Each engine has its own words and exit code for that."""
    return [replace(LIBRARY, code=None, stderr=words)]


VERSE = b"So rested he by the Tumtum tree"
FIRST = b"'Twas brillig, and the slithy toves.\n"
REST = (b"Did gyre and gimble in the wabe;\nAll mimsy were the borogoves,\n"
        b"And the mome raths outgrabe.\n")
TEXT = {"bar.txt": b"And stood awhile in thought"}
MANY = 1 << 18
MUCH = [Case(str(1 << n), ["a" * (1 << n), str(MANY >> n)], stdout=b"a" * MANY)
        for n in range(10, 15)]
NO_FUEL = ["poll", "write", "mkdir", "write-stream", "write-stream-blocking", "resolve",
           "udp-send-many", "udp-send-big"]
BEYOND = ["write-zeroes", "write-stream-buffer-too-large", "write-zeroes-buffer-too-large"]
APPENDING = ["append", "append-empty", "append-same", "append-same-empty"]
FUEL = Case(folder=".", files={"1mb": bytes(1 << 20)},
            options=["-Shostcall-fuel=5000", "-Sinherit-network"])

CASES = {
    "p1_stdio_isatty": [replace(LIBRARY, stdin=TERMINAL, kinds=BOTH)],
    "p1_stat_extreme_host_mtime": [
        replace(LIBRARY, kinds=BOTH, files={"extreme.dat": b"hello"}, setup="extreme-time")],
    "p1_file_truncation_readonly": [replace(READ_ONLY, kinds=BOTH)],
    "p1_file_hardlink_across_perms": [replace(READ_ONLY, kinds=BOTH)],
    "p1_file_rename_across_perms": [replace(READ_ONLY, kinds=BOTH)],
    "p1_cli_much_stdout": MUCH,
    "p1_cli_hostcall_fuel": [Case(folder=".", options=["-Shostcall-fuel=1000"], kinds=(MODULE,))],
    "p2_file_truncation_readonly": [READ_ONLY],
    "p2_file_hardlink_across_perms": [READ_ONLY],
    "p2_file_rename_across_perms": [READ_ONLY],
    "p2_file_stream_not_permitted": [STREAM],
    "p2_stream_pollable_traps": trap(""),
    "p2_pollable_traps": trap(""),
    "p2_udp_send_too_much": trap(""),
    "p2_api_read_only": [
        Case(files=TEXT | {"sub": None}, folder="/:ro", no_reference=NO_READ_ONLY)],
    # A host of their own calls these.
    "p2_api_reactor": [],
    "p2_api_time": [],
    "p2_cli_args": [Case(args=["hello", "this", "", "is an argument", "with 🚩 emoji"])],
    "p2_cli_argv0": [
        Case("a", ["a"], ["--argv0=a"], kinds=(MODULE,)),
        Case("b", ["b"], ["--argv0=b"]),
        Case("file", ["foo.wasm"], ["--argv0=foo.wasm"], kinds=(MODULE,)),
    ],
    "p2_cli_default_clocks": [Case()],
    "p2_cli_directory_list": [
        Case(folder="/", files={"foo.txt": b"", "bar.txt": b"", "baz.txt": b"", "sub": None,
                                "sub/wow.txt": b"", "sub/yay.txt": b""})],
    "p2_cli_env": [Case(env={"frabjous": "day", "callooh": "callay"})],
    "p2_cli_exit_default": [Case()],
    "p2_cli_exit_failure": [Case(code=1)],
    "p2_cli_exit_panic": [Case(code=TRAPPED, stderr="Curiouser and curiouser!")],
    "p2_cli_exit_success": [Case()],
    "p2_cli_exit_with_code": [Case(options=["-Scli-exit-with-code"], code=42)],
    "p2_cli_export_cabi_realloc": [Case()],
    "p2_cli_file_append": [Case(folder="/", files={"bar.txt": FIRST},
                                after={"bar.txt": FIRST + REST})],
    "p2_cli_file_dir_sync": [Case(folder="/", files={"bar.txt": FIRST})],
    "p2_cli_file_read": [Case(folder="/", files=TEXT)],
    "p2_cli_hello_stdout": [
        Case(stdout=b"hello, world\n"),
        Case("invoke", options=["--invoke", "run()"], stdout=b"hello, world\nok\n"),
    ],
    "p2_cli_hostcall_fuel": [
        *(replace(FUEL, name=name, args=[name])
          for name in ("read", "read-file-big", "read-tcp-big")),
        *(replace(FUEL, name=name, args=[name], code=None) for name in NO_FUEL + BEYOND),
    ],
    "p2_cli_http_headers": [
        replace(outcome, name=" ".join([f"{version}-{test}", *size]), args=[f"{version}-{test}"],
                options=["-Shttp,p3", *size])
        for version, outcome in [("p2", Case(code=1, stderr="fields")),
                                 ("p3", Case(stdout=b"error received\n"))]
        for size, tests in [([], APPENDING), (["-Smax-http-fields-size=1048576"], APPENDING),
                            ([f"-Smax-http-fields-size={1 << 30}"], ["append"])]
        for test in tests],
    "p2_cli_initial_cwd": [Case(options=["-Scwd=/sandbox"])],
    "p2_cli_invoke_async": [
        Case(options=["--invoke", 'echo("hello?")'], stdout=b'"hello?"\n')],
    "p2_cli_large_env": [
        Case(options=["-Sinherit-env"], own_env={f"KEY{n}": "x" * 1024 for n in range(512)},
             kinds=BOTH)],
    "p2_cli_many_resources": [Case(options=["-Smax-resources=100"], code=None)],
    "p2_cli_max_resources": [
        Case("50", options=["-Smax-resources=50"], code=None),
        Case("200", options=["-Smax-resources=200"]),
    ],
    "p2_cli_much_stdout": MUCH,
    "p2_cli_multiple_preopens": [
        Case(options=["--dir=/::/a", "--dir=/::/b", "--dir=/::/c"])],
    "p2_cli_no_ip_name_lookup": [
        Case(options=["-Sinherit-network,allow-ip-name-lookup=no"])],
    "p2_cli_no_tcp": [Case(options=["-Sinherit-network,tcp=no"])],
    "p2_cli_no_udp": [Case(options=["-Sinherit-network,udp=no"])],
    "p2_cli_sleep": [Case(kinds=BOTH)],
    "p2_cli_sleep_forever": [
        Case("at-once", options=["-Wtimeout=1ns"], code=None, kinds=BOTH),
        Case("asleep", options=["-Wtimeout=250ms"], code=None, kinds=BOTH),
    ],
    "p2_cli_splice_stdin": [
        Case(stdin=VERSE, stdout=b"before splice\n" + VERSE
             + b"\ncompleted splicing %d bytes\n" % len(VERSE))],
    "p2_cli_stdin": [Case(stdin=VERSE)],
    "p2_cli_stdin_eisdir": [
        Case(stdin=FOLDER, stderr="got expected ErrorCode::IsDirectory")],
    "p2_cli_stdin_empty": [Case(stdin=b"not to be read")],
    "p2_cli_stdio_write_flushes": [Case(stdin=PROMPT, stdout=b"> ", kinds=BOTH)],
    "p2_cli_stdout_epipe": [
        Case(stdin=CLOSED_EARLY, stderr="got expected StreamError::Closed")],
    "p3_cli": [replace(LIBRARY, options=["--argv0=p3_cli.component"])],
    "p3_cli_deny_listen": [Case(options=["-Stcp"])],
    "p3_cli_hello_stdout": [Case(stdout=b"hello, world\n")],
    "p3_cli_hello_stdout_post_return": [
        Case(stdout=b"hello, world\nhello again, after return\n")],
    "p3_cli_many_stream": [Case(options=["-Smax-resources=100"])],
    "p3_cli_many_tasks": [Case(code=None)],
    "p3_cli_much_stdout": MUCH,
    "p3_cli_random_limits": [
        Case(kind, [kind, "1000"], ["-Smax-random-size=100"], code=None)
        for kind in ("random", "insecure")],
    "p3_cli_read_stdin": [Case(stdin=b"hello!")],
    "p3_cli_stdout_flush": [Case(stdin=PROMPT, stdout=b"READY")],
    "p3_file_hardlink_across_perms": [READ_ONLY],
    "p3_file_rename_across_perms": [READ_ONLY],
    "p3_file_truncation_readonly": [READ_ONLY],
}


# Programs that handle requests, of a host that forbids a header, and commands that send some.
HOSTED = ("p2_api_proxy", "p3_http_forbidden_headers")
SENDING = ("p2_http_", "p3_http_outbound_")


def has_host(name):
    """Returns whether a program is run by an asynchronous host, too."""
    if name in HOSTED or name.startswith(SENDING):
        return True
    others = ("p1_cli_", "p2_cli_", "p2_tls_", "p2_api_proxy", "p3_")
    # The host's own terminal is none.
    return not name.startswith(others) and name != "p1_stdio_isatty"


def of(name):
    """The cases of a program."""
    if name in CASES:
        return CASES[name]
    others = ("p2_tls_", "p2_api_proxy", "p2_cli_serve_", "p3_api_", "p3_cli_serve_", "p3_http_")
    if name.startswith((*SENDING, *others)):
        return []
    kinds = BOTH if name.startswith("p1_") else (COMPONENT,)
    return [replace(LIBRARY, kinds=kinds)]
