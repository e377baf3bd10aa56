"""Programs that handle requests: the server that runs each, and what it must answer.

A case is a function that takes a `Program`, whose method `serve` starts servers. What must hold is
an assertion. Answers of the server itself, and its words, are each engine's own: where the peer's
tests want status 500, any server error will do.
"""

import base64
import hashlib
import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import build

# A server starts and ends, and a client waits, for no longer than this.
SECONDS = 120
# Bytes of the log of a server that a message shows.
SHOWN = 1000
# The destinations of requests that programs send: those of this machine.
ALLOWED = "--http-connect=http://127.0.0.1:*"


class Program:
    """A program, and the command that serves it."""

    def __init__(self, command, folder, name):
        self.command, self.folder, self.name = command, folder, name

    def component(self, name):
        """The path of another program as component."""
        return build.component(self.folder, name)

    def start(self, *options, path=None, address="127.0.0.1:0"):
        """Starts a server of the program, or of the component at a path."""
        path = path or self.component(self.name)
        return Server([*self.command, "--addr", address, *options, str(path)])

    @contextmanager
    def serve(self, *options, **more):
        """A server like that of `start`, which must end by itself."""
        server = self.start(*options, **more)
        try:
            yield server
            server.stop()
        except Exception as error:
            error.add_note(f"standard error: {server.errors()[:SHOWN]}")
            raise
        finally:
            server.kill()


class Server:
    """A server, its address and its output."""

    def __init__(self, command):
        self.files = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.files[0],
                                        stderr=self.files[1])
        end = time.monotonic() + SECONDS
        while not (found := re.search(r"serving at http://([0-9.]+):(\d+)/", self.errors())):
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"no server: {self.errors()[:SHOWN]}")
            time.sleep(0.02)
        self.address = found[1], int(found[2])

    def output(self):
        """Its standard output."""
        return os.pread(self.files[0].fileno(), 1 << 20, 0).decode()

    def errors(self):
        """Its standard error."""
        return os.pread(self.files[1].fileno(), 1 << 20, 0).decode()

    def stop(self):
        """Ends the server, which must answer what is under way, and exit by itself."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SECONDS)
        assert code == 0, f"exit code {code} at the end"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def connect(self):
        """A connection, for any number of requests."""
        return http.client.HTTPConnection(*self.address, timeout=SECONDS)

    def ask(self, path="/", method="GET", body=None, headers=()):
        """The answer to a request on a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, path, method, body, headers)
        finally:
            connection.close()

    def exchange(self, *pieces):
        """What comes back on a connection for these bytes, until the server closes it."""
        with socket.create_connection(self.address, SECONDS) as connection:
            for piece in pieces:
                connection.sendall(piece)
            return connection.makefile("rb").read()


class Answer:
    """The answer to a request: its status, its headers in lower case, and its body."""

    def __init__(self, status, headers, body=b"", trailers=()):
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}
        self.trailers = {name.lower(): value for name, value in trailers}

    def must_be(self, status, body=None, **headers):
        """Checks an answer. A header is named with `_` for `-`, and `None` if it must not be."""
        assert self.status == status, f"status {self.status}, should be {status}"
        if body is not None:
            assert self.body == body, f"body {self.body[:SHOWN]}, should be {body[:SHOWN]}"
        for name, value in headers.items():
            found = self.headers.get(name.replace("_", "-"))
            assert found == value, f"header {name}: {found}, should be {value}"

    def must_be_error(self):
        assert 500 <= self.status < 600, f"status {self.status}, should be a server error"


def ask(connection, path="/", method="GET", body=None, headers=()):
    """The answer to a request on a connection. Its headers are pairs."""
    names = {name.lower() for name, _ in headers}
    connection.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
    if body is not None:
        headers = [*headers, ("content-length", str(len(body)))]
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    # The server may want its answer read before it reads on.
    sender = threading.Thread(target=connection.send, args=[body or b""])
    sender.start()
    answer = connection.getresponse()
    found = Answer(answer.status, answer.getheaders(), answer.read())
    sender.join()
    return found


def chunked(*pieces):
    """A body in chunks, without the end."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def fields(lines):
    """The fields of headers or trailers, in pairs."""
    return [tuple(line.decode().split(": ", 1)) for line in lines]


def parse(text):
    """The answer in the bytes of HTTP/1.1, whose body is in chunks."""
    head, _, rest = text.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    assert b"transfer-encoding: chunked" in lines, text[:SHOWN]
    body = b""
    while (length := int(rest.partition(b"\r\n")[0], 16)) > 0:
        _, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[:length], rest[length + 2:]
    trailers = rest.split(b"\r\n")[1:-2]
    return Answer(int(status.split()[1]), fields(lines), body, fields(trailers))


class Handler(BaseHTTPRequestHandler):
    """Answers of the server that programs send requests to."""

    protocol_version = "HTTP/1.1"
    pages = {
        "/a": "’Twas brillig, and the slithy toves".encode(),
        "/b": b"Did gyre and gimble in the wabe:",
        "/c": b"All mimsy were the borogoves,",
        "/d": b"And the mome raths outgrabe.",
    }

    def log_message(self, *_):
        pass

    def pieces(self):
        """The pieces of the body of the request, as they come."""
        if self.headers.get("transfer-encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("content-length", 0)))
            return
        while length := int(self.rfile.readline(), 16):
            yield self.rfile.read(length)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ValueError, OSError):
            # The request is broken off.
            self.close_connection = True

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_request(self):
        self.server.requests.append((self.command, self.path, self.headers["host"]))
        if self.command == "GET" and self.path in self.pages:
            self.answer(200, self.pages[self.path])
        elif self.path == "/echo":
            # The head of the answer goes first, and each piece follows when it has come.
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for piece in self.pieces():
                self.wfile.write(chunked(piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.answer(405)

    do_GET = do_POST = handle_request


@contextmanager
def backend():
    """A server that programs send requests to, and which remembers these."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        server.name = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# A mebibyte without a pattern that buffers could hide.
MEBIBYTE = bytes((251 * (i + 1)) & 0xFF for i in range(1 << 20))


def many(server, check):
    """Sends 100 requests on 20 connections at once, and checks each answer."""
    failures = []

    def run_client():
        connection = server.connect()
        try:
            for _ in range(5):
                check(ask(connection))
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    clients = [threading.Thread(target=run_client) for _ in range(20)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert not failures, f"{len(failures)} of {len(clients)} clients: {failures[0]!r}"


def hello(program):
    with program.serve() as server:
        server.ask().must_be(200, b"Hello, WASI!")
        many(server, lambda answer: answer.must_be(200, b"Hello, WASI!"))


def greeting(program):
    """`p2_api_proxy` and `p3_api_proxy`, which check what they are asked, and say hello."""
    with program.serve() as server:
        server.ask("/test-path", headers=[("host", "example.com:8080")]).must_be(
            200, b"hello, world!")


def large_fields(program):
    """Fields that come from elsewhere have no limit; those that the program makes have."""
    def of_wire(count):
        return [(f"k{i:04}", f"v{i:04}") for i in range(count)]

    with program.serve("-Smax-http-fields-size=1000") as server:
        server.ask("/", headers=of_wire(50)).must_be(200, b"hello, world!")
        server.ask("/new_fields/50").must_be(200, b"Ok(())")
        server.ask("/new_fields/500").must_be_error()
        server.ask("/modify_fields/50", headers=of_wire(1)).must_be(200, b"Ok(())")
        server.ask("/modify_fields/50", headers=of_wire(10)).must_be_error()


def early_drop(program):
    """A client that has gone is no fault of the program."""
    with program.serve() as server:
        for _ in range(10):
            with socket.create_connection(server.address, SECONDS) as connection:
                connection.sendall(b"GET /early_drop HTTP/1.1\r\nhost: host\r\n\r\n")
        server.ask("/early_drop").must_be(200, b"hello, world!")
    errors = server.errors()
    assert errors.count("\n") == 1 and "early_drop" not in errors, f"errors: {errors}"


def forward(program):
    """The program asks the authority of its request for the same path, in a request of its own."""
    with backend() as other, program.serve(ALLOWED) as server:
        host = [("host", other.name)]
        server.ask("/a", headers=host).must_be(200, Handler.pages["/a"])
        server.ask("/e", headers=host).must_be(405, b"")
        found = [("GET", "/a", other.name), ("GET", "/e", other.name)]
        assert other.requests == found, other.requests


def hash_all(program):
    with backend() as other, program.serve(ALLOWED) as server:
        prefix = f"http://{other.name}"
        urls = [("url", prefix + path) for path in Handler.pages]
        answer = server.ask("/hash-all", headers=urls)
        answer.must_be(200, content_type="text/plain")
        found = dict(line.split(": ") for line in answer.body.decode().splitlines())
        hashes = {prefix + path: base64.b64encode(hashlib.sha256(body).digest()).decode().strip("=")
                  for path, body in Handler.pages.items()}
        assert found == hashes, found


def hash_with_refusal(program):
    with backend() as other, program.serve(ALLOWED) as server:
        urls = [("url", "http://forbidden.com"), ("url", f"http://{other.name}/a")]
        lines = server.ask("/hash-all", headers=urls).body.decode().splitlines()
        denied = ["HttpRequestDenied" in line for line in sorted(lines)]
        assert denied == [False, True], lines


def echo_mebibyte(program):
    kind = ("content-type", "application/octet-stream")
    with program.serve() as server:
        for body in [b"", b"x", MEBIBYTE]:
            server.ask("/echo", "POST", body, [kind]).must_be(200, body, content_type=kind[1])
        server.ask("/echo").must_be(405)


def double_echo(program):
    kind = ("content-type", "application/octet-stream")
    with backend() as other, program.serve(ALLOWED) as server:
        url = ("url", f"http://{other.name}/echo")
        answer = server.ask("/double-echo", "POST", MEBIBYTE, [url, kind])
        answer.must_be(200, MEBIBYTE, content_type=kind[1])
        assert other.requests[0][:2] == ("POST", "/echo"), other.requests
        server.ask("/double-echo", "POST", b"").must_be(400)


def authority(program):
    with program.serve() as server:
        server.ask(headers=[("host", "localhost")]).must_be(200)
        found = server.exchange(b"CONNECT http://localhost/ HTTP/1.1\r\nhost: localhost\r\n"
                                b"connection: close\r\n\r\n")
        assert found.startswith(b"HTTP/1.1 200 "), f"for CONNECT: {found}"


def environment(program):
    with program.serve("-Scli", "--env=FOO=bar") as server:
        server.ask(headers=[("env", "FOO")]).must_be(200, b"", env="bar")
        server.ask(headers=[("env", "BAR")]).must_be(200, b"", env=None)
        # The program expects one such header.
        server.ask().must_be_error()


def used_address(program):
    """A second server cannot have an address, but it can as soon as the first has gone."""
    env = [("env", "FOO")]
    server = program.start()
    try:
        address = "%s:%d" % server.address
        connection = server.connect()
        ask(connection, headers=env).must_be(200)
        try:
            program.start(address=address).kill()
            raise ValueError("two servers have one address")
        except AssertionError as error:
            assert "os error" in str(error), error
        # The connection is open when the server ends, and the system remembers it.
        server.kill()
        with program.serve(address=address) as again:
            again.ask(headers=env).must_be(200)
    finally:
        server.kill()


PRINTED = "{0}this is half a print to {1}\n{0}\n{0}after empty\n"


def printed(program):
    """Lines come whole, each after the number of its request unless that is off."""
    for options, prefix in [((), "{} [{}] :: "), (["--no-logging-prefix"], "")]:
        with program.serve(*options) as server:
            for _ in range(2):
                server.ask().must_be(200, b"")
        found = {"stdout": server.output(), "stderr": server.errors()}
        numbers = re.findall(r"\[(\d+)\] :: this", found["stdout"]) or [0, 1]
        assert len(numbers) == 2 and numbers[0] != numbers[1], found["stdout"]
        for stream, more in [("stdout", ""), ("stderr", "{0}start a print 1234\n")]:
            text = "".join((PRINTED + more).format(prefix.format(stream, number), stream)
                           for number in numbers)
            # The server itself writes to standard error, too.
            is_there = text in found[stream] if more else text == found[stream]
            assert is_there, f"{stream}: {found[stream]}"


def no_response(program):
    with program.serve() as server:
        for _ in range(2):
            server.ask().must_be_error()
    assert "panicked" not in server.errors(), server.errors()


def too_slow(program):
    with program.serve("-Wtimeout=100us") as server:
        server.ask().must_be_error()
        many(server, Answer.must_be_error)
    assert server.output() == "", server.output()
    assert "timed out" in server.errors(), server.errors()


def after_response(program):
    """The program goes on when it has returned its response."""
    with program.serve() as server:
        server.ask().must_be(200, b"")
    assert "please see me\n" in server.output(), f"standard output: {server.output()}"


BODY = b"And the mome raths outgrabe"
THROUGH, PAST = ("x-host-to-host", "false"), ("x-host-to-host", "true")
DEFLATE = [("content-encoding", "deflate"),
           ("accept-encoding", "nonexistent-encoding, deflate")]


def deflated(body):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def echoed(server, headers, body):
    """The bytes of an answer to a request with a body in two chunks and a trailer."""
    headers = [("host", "localhost"), ("connection", "close"), ("te", "trailers"),
               ("transfer-encoding", "chunked"), ("trailer", "fizz"), ("foo", "bar"), *headers]
    lines = ["GET / HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return server.exchange(head + chunked(body[:9]),
                           chunked(body[9:]) + b"0\r\nfizz: buzz\r\n\r\n")


def must_be_echo(answer, **headers):
    answer.must_be(200, BODY, foo="bar", **headers)
    assert answer.trailers == {"fizz": "buzz"}, f"trailers: {answer.trailers}"


def echo(program):
    """Headers, body and trailers come back, whether they go through the program or past it."""
    with program.serve() as server:
        for way in [THROUGH, PAST]:
            must_be_echo(parse(echoed(server, [way], BODY)))
            server.ask("/", "POST", MEBIBYTE, [way]).must_be(200, MEBIBYTE)
            server.ask("/", "POST", b"", [way]).must_be(200, b"")


def must_be_deflated_echo(server, way):
    answer = parse(echoed(server, [way, *DEFLATE], deflated(BODY)))
    answer.body = zlib.decompress(answer.body, wbits=-zlib.MAX_WBITS)
    must_be_echo(answer, content_encoding="deflate", content_length=None)


def middleware(program):
    """The program before the echo. Trailers that the echo gives back to whom it has them from are
    a trap."""
    echo = program.component("p3_http_echo")
    with program.serve(f"--plug={echo}") as server:
        must_be_deflated_echo(server, THROUGH)
        answer = echoed(server, [PAST, *DEFLATE], deflated(BODY))
        assert b"fizz: buzz" not in answer, answer
    assert "trap" in server.errors(), server.errors()


def chain(program):
    """The program before the echo, whose interface has another name for it."""
    with tempfile.TemporaryDirectory(prefix="mintage-peer-") as folder:
        to = f"{folder}/chain.wasm"
        build.chain(program.component(program.name), program.component("p3_http_echo"), to)
        with program.serve(path=to) as server:
            must_be_deflated_echo(server, THROUGH)
            must_be_deflated_echo(server, PAST)


def proxy(program):
    """The body goes on to the destination, also when the program has returned."""
    with backend() as other, program.serve(ALLOWED) as server:
        url = ("url", f"http://{other.name}/echo")
        server.ask("/", "POST", MEBIBYTE, [url]).must_be(200, MEBIBYTE)
        server.ask("/", "POST", b"").must_be(400)
        # The program has returned when the head of its response is there.
        connection = server.connect()
        connection.putrequest("POST", "/")
        connection.putheader(*url)
        connection.putheader("content-length", str(len(BODY)))
        connection.endheaders()
        answer = connection.getresponse()
        connection.sock.sendall(BODY)
        assert (answer.status, answer.read()) == (200, BODY), answer.status
        connection.close()


CASES = {
    "p2_api_proxy": [greeting, large_fields, early_drop],
    "p2_api_proxy_forward_request": [forward],
    "p2_api_proxy_streaming": [hash_all, hash_with_refusal, echo_mebibyte, double_echo],
    "p2_cli_serve_authority_and_scheme": [authority],
    "p2_cli_serve_echo_env": [environment, used_address],
    "p2_cli_serve_hello_world": [hello],
    "p2_cli_serve_return_before_set": [no_response],
    "p2_cli_serve_sleep": [too_slow],
    "p2_cli_serve_trap_before_set": [no_response],
    "p2_cli_serve_with_print": [printed],
    "p3_api_proxy": [greeting],
    "p3_cli_serve_hello_world": [hello],
    "p3_cli_serve_post_return": [after_response],
    "p3_cli_serve_sleep": [too_slow],
    "p3_http_echo": [echo],
    "p3_http_middleware": [middleware],
    "p3_http_middleware_with_chain": [chain],
    "p3_http_proxy": [proxy],
}


def check(command, folder, name):
    """Runs all cases of a program, and returns what is wrong, in lines."""
    found = []
    for case in CASES.get(name, []):
        try:
            case(Program(command, folder, name))
        except (AssertionError, OSError, ValueError, http.client.HTTPException, zlib.error,
                subprocess.TimeoutExpired) as error:
            text = "\n".join([f"{type(error).__name__}: {error}",
                              *getattr(error, "__notes__", [])])
            found.append(f"{case.__name__}: {text}")
    return found
