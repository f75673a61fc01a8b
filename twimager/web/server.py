"""A web server for the browser of this machine's user: no other host, no other user and no other page gets in.

Four things keep others out. It listens on 127.0.0.1 alone. Every address begins with a random token, which only who
was told the address knows. A request that names another host than ours (a name that somebody else has led to
127.0.0.1) is refused. So is one that another page has made, as browsers say where a request comes from.
"""

from __future__ import annotations

import hmac
import io
import re
import secrets
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, NamedTuple, Protocol

from twimager.errors import UsageError
from twimager.runtime.console import Console, printable, say

HOST = "127.0.0.1"
# 256 bits: nobody guesses that.
TOKEN_BYTES = 32
# Seconds that a connection may be silent between requests, and in which a request, once begun, must be there in full.
PATIENCE = 30.0
DEADLINE = 30.0
# Connections that are answered at a time (a browser has six), seconds that another waits for one of them to end, and
# connections that may wait to be accepted, as far as the system lets them.
HANDLERS = 64
QUEUED = 1.0
BACKLOG = 1024
# Seconds that the end of the server waits for answers that are being made.
GRACE = 2.0
# Bodies in memory at a time: one is worked on while the next comes in.
BODIES = 2
# Bytes and seconds for which what follows a refusal is read all the same: some clients read an answer only once they
# have sent all of their request, and lose it if the connection is ended before.
DRAINED = 1 << 20
DRAINING = 1.0
# What RFC 9112 has for the request line, from HTTP/1.0 on, and for the headers: no folded lines, no space before a
# colon, no control characters.
REQUEST_LINE = re.compile(r"[^\0-\x20\x7f]+ [^\0-\x20\x7f]+ HTTP/[1-9]\.[0-9]")
HEAD = re.compile(rb"(?:[!#-'*+\-.0-9A-Z^-z|~]+:[\t\x20-\x7e\x80-\xff]*\r?\n)*\r?\n")
LONGEST_HEAD = 1 << 16
LENGTH = re.compile(r"[0-9]{1,15}")
# What a page that is no page may load and do, and who may have it in a frame.
NOTHING = "default-src 'none'; frame-ancestors 'none'"
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
BUSY_BODY = "too many requests at once\n"
BUSY = "\r\n".join(
    [
        "HTTP/1.1 503 Service Unavailable", "Retry-After: 1", "Connection: close", f"Content-Length: {len(BUSY_BODY)}",
        "Content-Type: text/plain; charset=utf-8", f"Content-Security-Policy: {NOTHING}",
        *map(": ".join, HEADERS.items()), "", BUSY_BODY,
    ]
).encode()  # fmt: skip


class Answer(NamedTuple):
    """What a request is answered.

    Attributes
    ----------
    body : what is sent
    kind : its content type
    policy : what it may load and do where it is a page: a content security policy
    last : end the server once this is sent
    """

    body: bytes
    kind: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK
    policy: str = NOTHING
    last: bool = False


class Refusal(Exception):
    """A request that is not done; the answer is one line that says why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Site(Protocol):
    """What is served. Both are called from several threads at once, and may raise Refusal.

    `path` is what follows the token, as it came, no `%` decoded: to be looked up among what is there, not to be opened.
    """

    def get(self, path: str) -> Answer:
        """Answer a request that changes nothing."""

    def post(self, path: str, body: bytes) -> Answer:
        """Answer one that may."""


class Guard:
    """Tells the requests of our own page from all others."""

    def __init__(self, port: int) -> None:
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._host = f"{HOST}:{port}"

    @property
    def address(self) -> str:
        """The address of the page, the token in it."""
        return f"http://{self._host}/{self._token}/"

    def admit(self, method: str, target: str, headers: Message) -> str:
        """Return what a request wants, as `Site` has it; Refusal if it is not one of ours.

        A page can't keep its browser from sending `Host`, `Origin` and `Sec-Fetch-Site` truly. Only what changes
        nothing may be typed in (`none`) or come without `Origin`.
        """
        own = f"http://{self._host}"
        changes = method != "GET"
        if headers.get_all("Host") != [self._host]:
            raise Refusal(HTTPStatus.FORBIDDEN, "another host is meant")
        if headers.get_all("Origin", [] if changes else [own]) != [own]:
            raise Refusal(HTTPStatus.FORBIDDEN, "another page asks")
        sites = ["same-origin"] if changes else ["same-origin", "none"]
        if not set(headers.get_all("Sec-Fetch-Site", [])) <= set(sites):
            raise Refusal(HTTPStatus.FORBIDDEN, "another page asks")
        _, given, path = [*target.split("/", 2), "", ""][:3]
        if not target.startswith("/") or not hmac.compare_digest(given.encode(), self._token.encode()):
            raise Refusal(HTTPStatus.FORBIDDEN, "the address is not the one that was given out")
        return path


class LocalServer(ThreadingHTTPServer):
    """Serves a site at `address` until it, or Ctrl-C, says that it is done.

    Parameters
    ----------
    site : what to serve
    port : where; 0 takes any that is free
    most_bytes : the longest body that `site` is given

    Raises
    ------
    UsageError
        If the port is taken.
    """

    # On Windows, and with ports that are reused, another program could listen in our place.
    allow_reuse_address = sys.platform != "win32"
    allow_reuse_port = False
    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, site: Site, port: int = 0, most_bytes: int = 1024) -> None:
        self.site, self.most_bytes, self.ended = site, most_bytes, False
        self.bodies = threading.Semaphore(BODIES)
        self._handlers = threading.Semaphore(HANDLERS)
        self._overrun = False
        self._answering, self._answered = 0, threading.Condition()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or "no such port"
            raise UsageError(f"--port {port}: {why}; without it, one that is free is taken") from error
        self.guard = Guard(self.server_port)

    @property
    def address(self) -> str:
        """Where the site is."""
        return self.guard.address

    def run(self, opened: bool, warn: Callable[[str], None] | None = None) -> None:
        """Say where the site is, open it in a browser if that is wanted, and serve it until its end, or Ctrl-C.

        `warn` hears if there is no browser; else stderr does.
        """
        with suppress(KeyboardInterrupt):
            say(self.address)
            if opened:  # meanwhile, as a browser in the terminal returns only when it is left
                threading.Thread(target=self._open, args=(warn or Console().warn,), daemon=True).start()
            self.serve_forever()
        with self._answered:
            self.ended = True
            self._answered.wait_for(lambda: not self._answering, GRACE)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Have the end of the server wait for the block; Refusal if it has ended."""
        with self._answered:
            if self.ended:
                raise Refusal(HTTPStatus.GONE, "this has ended")
            self._answering += 1
        try:
            yield
        finally:
            with self._answered:
                self._answering -= 1
                self._answered.notify_all()

    def shutdown(self) -> None:
        """End the server; browsers that have kept their connections open are told so."""
        self.ended = True
        super().shutdown()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own, or with 503 if there are too many for long."""
        self._overrun = not self._handlers.acquire(timeout=0 if self._overrun else QUEUED)
        if self._overrun:
            self._refuse(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no thread left
            self._handlers.release()
            self._refuse(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection until its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._handlers.release()

    def is_full(self) -> bool:
        """Tell whether another connection would have to wait for one of those there are."""
        free = self._handlers.acquire(blocking=False)
        if free:
            self._handlers.release()
        return not free

    def _refuse(self, request: socket.socket) -> None:
        with suppress(OSError):
            request.settimeout(0.002)
            request.sendall(BUSY)
            request.shutdown(socket.SHUT_WR)
            request.recv(LONGEST_HEAD)  # what is left unread could cost the client its answer
        self.shutdown_request(request)

    def _open(self, warn: Callable[[str], None]) -> None:
        if not webbrowser.open(self.address):
            warn("no browser could be opened: open the address above in one yourself")

    def server_bind(self) -> None:
        """Take the port; unlike the library's, ask no name server for our name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over browsers that hang up in the midst of an answer, and answers that the end has cut off."""
        if not (self.ended or isinstance(sys.exc_info()[1], OSError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Incoming(io.RawIOBase):
    """Reads a connection; once a request has begun, `ends` is when all of it must be there."""

    def __init__(self, connection: socket.socket, idle: float) -> None:
        self._connection, self._idle = connection, idle
        self.ends: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._idle if self.ends is None else self.ends - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._connection.settimeout(seconds)
        try:
            count = self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._idle)  # for what is sent
        if self.ends is None:
            self.ends = time.monotonic() + DEADLINE
        return count


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    raw_requestline: bytes
    protocol_version, default_request_version = "HTTP/1.1", "HTTP/1.0"
    server_version, sys_version = "twimager", ""
    timeout = PATIENCE
    disable_nagle_algorithm = True  # a short answer is not to wait for the browser to confirm its headers

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._incoming = _Incoming(self.connection, self.timeout)
        self.rfile = io.BufferedReader(self._incoming)

    def handle_one_request(self) -> None:
        self._incoming.ends = None
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read the request line and the headers; refuse what programs may differ over, and end the connection."""
        line = str(self.raw_requestline, "iso-8859-1").rstrip("\r\n")
        self.requestline = self.request_version = self.command = ""  # as the library has them where it refuses
        if not REQUEST_LINE.fullmatch(line):
            return self._reject(HTTPStatus.BAD_REQUEST)
        head = self._head()
        if len(head) > LONGEST_HEAD:
            return self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not HEAD.fullmatch(head):
            return self._reject(HTTPStatus.BAD_REQUEST)
        connection, self.rfile = self.rfile, io.BytesIO(head)
        try:
            parsed = super().parse_request()
        finally:
            self.rfile = connection
        if parsed and not _is_framed(self.command, self.headers):
            return self._reject(HTTPStatus.BAD_REQUEST)
        return parsed

    def _head(self) -> bytes:
        """Return the headers as they came, or more bytes than they may have."""
        head = line = self.rfile.readline(LONGEST_HEAD + 1)
        while line.strip(b"\r\n") and len(head) <= LONGEST_HEAD:
            line = self.rfile.readline(LONGEST_HEAD + 1 - len(head))
            head += line
        return head

    def _reject(self, status: HTTPStatus) -> bool:
        self.send_error(status)
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request, and end the connection."""
        super().send_error(code, message, explain)
        self._drain()

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def _respond(self) -> None:
        self._unread = self.command == "POST"
        try:
            path = self.server.guard.admit(self.command, self.path, self.headers)
            answer = self._get(path) if self.command == "GET" else self._post(path)
        except Refusal as refusal:
            answer = Answer(f"{printable(str(refusal))}\n".encode(), "text/plain; charset=utf-8", refusal.status)
        if self._unread or self.server.is_full():
            self.close_connection = True  # what is left of a body is no request
        self._send(answer)
        if self._unread:
            self._drain()
        if answer.last:
            self.server.shutdown()

    def _get(self, path: str) -> Answer:
        with self.server.answering():
            return self.server.site.get(path)

    def _post(self, path: str) -> Answer:
        if "Content-Length" not in self.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "how long is it?")
        length = int(self.headers["Content-Length"])
        if length > self.server.most_bytes:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {self.server.most_bytes} bytes")
        queued = time.monotonic()
        with self.server.bodies:
            if self._incoming.ends:
                self._incoming.ends += time.monotonic() - queued
            body = self.rfile.read(length)
            if len(body) < length:
                raise Refusal(HTTPStatus.BAD_REQUEST, "cut short")
            self._unread = False
            with self.server.answering():
                return self.server.site.post(path, body)

    def _drain(self) -> None:
        """Read on for a moment; the client knows that nothing more will come."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self._incoming.ends = time.monotonic() + DRAINING
            self.rfile.read(DRAINED)

    def _send(self, answer: Answer) -> None:
        self._policy = answer.policy
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def end_headers(self) -> None:
        for name, value in {**HEADERS, "Content-Security-Policy": getattr(self, "_policy", NOTHING)}.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: request lines hold the token."""


def _is_framed(method: str, headers: Message) -> bool:
    """Tell whether there is one way only to see where a request ends; one that changes nothing has no body."""
    lengths, coded = headers.get_all("Content-Length", []), "Transfer-Encoding" in headers
    if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)) or (lengths and coded):
        return False
    return method != "GET" or not (coded or any(map(int, lengths)))
