"""Read HTTP requests strictly, pass on those that the guard admits, and send the responses."""

from __future__ import annotations

import io
import re
import socket
import time
from contextlib import AbstractContextManager, suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from threading import Semaphore
from typing import Any, Protocol, cast

from twimager.runtime.console import printable
from twimager.web import limits
from twimager.web.guard import Guard
from twimager.web.site import HEADERS, NO_PAGE, Refusal, Response, Site

# What RFC 9112 has for the request line, from HTTP/1.0 on, and for the headers: no folded lines, no space before a
# colon, no control characters.
REQUEST_LINE = re.compile(r"[^\0-\x20\x7f]+ [^\0-\x20\x7f]+ HTTP/[1-9]\.[0-9]")
HEADER_LINES = re.compile(rb"(?:[!#-'*+\-.0-9A-Z^-z|~]+:[\t\x20-\x7e\x80-\xff]*\r?\n)*\r?\n")
LENGTH = re.compile(r"[0-9]{1,15}")


class _TimedReader(io.RawIOBase):
    """Reads a connection; once a request has begun, `deadline` is when all of it must be there."""

    def __init__(self, connection: socket.socket, idle: float) -> None:
        self._connection, self._idle = connection, idle
        self.deadline: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._idle if self.deadline is None else self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._connection.settimeout(seconds)
        try:
            count = self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._idle)  # for what is sent
        if self.deadline is None:
            self.deadline = time.monotonic() + limits.REQUEST_TIMEOUT
        return count


class Server(Protocol):
    """The server that a handler serves."""

    site: Site
    guard: Guard
    most_bytes: int
    bodies: Semaphore

    def is_full(self) -> bool:
        """Return whether no more connections are taken."""

    def responding(self) -> AbstractContextManager[None]:
        """Let the end of the server wait for the block; Refusal if it has ended."""

    def shutdown(self) -> None:
        """End the server."""


class Handler(BaseHTTPRequestHandler):
    """Reads the requests of one connection strictly, and sends the responses of the server's site."""

    raw_requestline: bytes
    protocol_version, default_request_version = "HTTP/1.1", "HTTP/1.0"
    server_version, sys_version = "twimager", ""
    timeout = limits.IDLE_TIMEOUT
    disable_nagle_algorithm = True  # a short response must not wait for the browser to confirm its headers

    def setup(self) -> None:
        """Read the connection with a deadline for each request."""
        super().setup()
        self._server = cast(Server, self.server)
        self.rfile.close()
        self._reader = _TimedReader(self.connection, self.timeout)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Read a request, whose time has not begun yet, and respond."""
        self._reader.deadline = None
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read the request line and the headers; end the connection where programs differ over what they mean."""
        line = str(self.raw_requestline, "iso-8859-1").rstrip("\r\n")
        self.requestline = self.request_version = self.command = ""  # as the library has them where it refuses
        if not REQUEST_LINE.fullmatch(line):
            return self._reject(HTTPStatus.BAD_REQUEST)
        head = self._header_lines()
        if len(head) > limits.HEADER_BYTES:
            return self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not HEADER_LINES.fullmatch(head):
            return self._reject(HTTPStatus.BAD_REQUEST)
        connection, self.rfile = self.rfile, io.BytesIO(head)
        try:
            parsed = super().parse_request()
        finally:
            self.rfile = connection
        if parsed and not _is_framed(self.command, self.headers):
            return self._reject(HTTPStatus.BAD_REQUEST)
        return parsed

    def _header_lines(self) -> bytes:
        """Return the headers as they came, or more bytes than they may have."""
        head = line = self.rfile.readline(limits.HEADER_BYTES + 1)
        while line.strip(b"\r\n") and len(head) <= limits.HEADER_BYTES:
            line = self.rfile.readline(limits.HEADER_BYTES + 1 - len(head))
            head += line
        return head

    def _reject(self, status: HTTPStatus) -> bool:
        self.send_error(status)
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Respond to what is no request, and end the connection."""
        super().send_error(code, message, explain)
        self._drain()

    def do_GET(self) -> None:
        """Respond to a request that changes nothing."""
        self._respond()

    def do_POST(self) -> None:
        """Respond to one that may."""
        self._respond()

    def _respond(self) -> None:
        self._unread = self.command == "POST"
        try:
            path = self._server.guard.admit(self.command, self.path, self.headers)
            response = self._get(path) if self.command == "GET" else self._post(path)
        except Refusal as refusal:
            response = Response(f"{printable(str(refusal))}\n".encode(), "text/plain; charset=utf-8", refusal.status)
        if self._unread or self._server.is_full():
            self.close_connection = True  # what is left of a body is no request
        self._send(response)
        if self._unread:
            self._drain()
        if response.last:
            self._server.shutdown()

    def _get(self, path: str) -> Response:
        with self._server.responding():
            return self._server.site.get(path)

    def _post(self, path: str) -> Response:
        if "Content-Length" not in self.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "how long is it?")
        length = int(self.headers["Content-Length"])
        if length > self._server.most_bytes:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {self._server.most_bytes} bytes")
        queued = time.monotonic()
        with self._server.bodies:
            if self._reader.deadline:
                self._reader.deadline += time.monotonic() - queued
            body = self.rfile.read(length)
            if len(body) < length:
                raise Refusal(HTTPStatus.BAD_REQUEST, "cut short")
            self._unread = False
            with self._server.responding():
                return self._server.site.post(path, body)

    def _drain(self) -> None:
        """Read on for a moment, and let the client know that nothing more will come."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self._reader.deadline = time.monotonic() + limits.DRAIN_TIMEOUT
            self.rfile.read(limits.DRAIN_BYTES)

    def _send(self, response: Response) -> None:
        self._policy = response.policy
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.body)

    def end_headers(self) -> None:
        """Send the headers of every response, and the policy of this one."""
        for name, value in {**HEADERS, "Content-Security-Policy": getattr(self, "_policy", NO_PAGE)}.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: request lines hold the token."""


def _is_framed(method: str, headers: Message) -> bool:
    """Tell whether the headers say in one way only where a request ends; one that changes nothing has no body."""
    lengths, coded = headers.get_all("Content-Length", []), "Transfer-Encoding" in headers
    if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)) or (lengths and coded):
        return False
    return method != "GET" or not (coded or any(map(int, lengths)))
