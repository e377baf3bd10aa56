"""Servers that programs for `wasi:http` of wasi-testsuite call.

A server has endpoints, found by method and path. An endpoint gives a fixed response, or says what
it was sent: the body, or the method, path, headers and trailers as headers of the response.
"""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """One request. The connection ends with it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Requests are not logged."""

    def lines(self):
        """The header lines up to an empty one, as names and values."""
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            yield name.lower(), value.strip()

    def received(self):
        """The body and the trailers of the request."""
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0))), []
        body = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return bytes(body), list(self.lines())

    def answer(self):
        try:
            body, trailers = self.received()
        except (ValueError, OSError):
            # The program has broken off its request.
            self.close_connection = True
            return
        endpoint = self.server.endpoints.get((self.command, self.path))
        if endpoint is None:
            self.respond({"status": 404})
        elif endpoint.get("mode") == "echo-body":
            self.respond({"body": body})
        elif endpoint.get("mode") == "echo-headers":
            seen = [("x-request-method", self.command), ("x-request-path", self.path)]
            seen += [(f"x-echo-{name.lower()}", value) for name, value in self.headers.items()]
            seen += [(f"x-trailer-{name}", value) for name, value in trailers]
            self.respond({"headers": seen})
        else:
            response = endpoint.get("response") or {}
            self.respond(response if isinstance(response, dict) else {"body": response})

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = answer

    def respond(self, response):
        chunks, trailers = response.get("chunks"), response.get("trailers", {})
        body = response.get("body", b"")
        body = body.encode() if isinstance(body, str) else body
        headers = response.get("headers", [])
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        if chunks is None:
            headers.append(("content-length", len(body)))
        else:
            headers.append(("transfer-encoding", "chunked"))
            pieces = [f"{len(chunk.encode()):x}\r\n{chunk}\r\n" for chunk in chunks]
            end = [f"{name}: {value}\r\n" for name, value in trailers.items()]
            body = "".join([*pieces, "0\r\n", *end, "\r\n"]).encode()
        if trailers:
            headers.append(("trailer", ", ".join(trailers)))
        self.send_response(response.get("status", 200))
        for name, value in [*headers, ("connection", "close")]:
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True


class Servers:
    """The servers of a specification, and their addresses by the names of variables."""

    def __init__(self, specifications):
        self.running, self.addresses = [], {}
        for each in specifications:
            name = f"HTTP_SERVER_{each['name'].upper()}"
            if each.get("kind") == "closed":
                with socket.create_server(("127.0.0.1", 0)) as unused:
                    self.addresses[name] = unused.getsockname()
                continue
            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            endpoints = each.get("endpoints", [])
            server.endpoints = {(one.get("method", "GET"), one.get("path", "/")): one
                                for one in endpoints}
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.running.append(server)
            self.addresses[name] = server.server_address

    def environment(self):
        return {name: f"{host}:{port}" for name, (host, port) in self.addresses.items()}

    def end(self):
        for server in self.running:
            server.shutdown()
            server.server_close()
