"""A web server for the browser of this machine's user: no other host, no other user and no other page gets in.

Four things keep others out. It listens on 127.0.0.1 alone. Every address begins with a random token, which only who
was told the address knows. A request that names another host than ours (a name that somebody else has led to
127.0.0.1) is refused. So is one that another page has made, as browsers say where a request comes from.
"""

from __future__ import annotations

import hmac
import secrets
import sys
import threading
import webbrowser
from contextlib import suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import NamedTuple, Protocol

from twimager.console import printable, say
from twimager.errors import UsageError

HOST = "127.0.0.1"
# 256 bits: nobody guesses that.
TOKEN_BYTES = 32
# Seconds that a connection may be silent.
PATIENCE = 30.0
# Bytes of a request that is refused which are read all the same: some clients hear of a refusal only once they have
# told all they had to say.
HEARD_OUT = 1 << 20
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

    def __init__(self, site: Site, port: int = 0, most_bytes: int = 1024) -> None:
        self.site, self.most_bytes, self.ended = site, most_bytes, False
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

    def run(self, opened: bool) -> None:
        """Say where the site is, open it in a browser if that is wanted, and serve it until its end, or Ctrl-C."""
        say(self.address)
        sys.stdout.flush()
        if opened:  # meanwhile, as a browser in the terminal returns only when it is left
            threading.Thread(target=self._open, daemon=True).start()
        with suppress(KeyboardInterrupt):
            self.serve_forever()
        self.ended = True

    def shutdown(self) -> None:
        """End the server; browsers that have kept their connections open are told so."""
        self.ended = True
        super().shutdown()

    def _open(self) -> None:
        if not webbrowser.open(self.address):
            sys.stderr.write("no browser could be opened: open the address above in one yourself\n")

    def server_bind(self) -> None:
        """Take the port; unlike the library's, ask no name server for our name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over browsers that hang up in the midst of an answer."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "twimager", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def _respond(self) -> None:
        self._unread = self._length() or 0
        try:
            path = self.server.guard.admit(self.command, self.path, self.headers)
            if self.server.ended:
                raise Refusal(HTTPStatus.GONE, "this has ended")
            site = self.server.site
            answer = site.get(path) if self.command == "GET" else site.post(path, self._body())
        except Refusal as refusal:
            answer = Answer(f"{printable(str(refusal))}\n".encode(), "text/plain; charset=utf-8", refusal.status)
        if self._unread or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what is left of a body is no request
        self._send(answer)
        self._hear_out()
        if answer.last:
            self.server.shutdown()

    def _body(self) -> bytes:
        length = self._length()
        if length is None:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "how long is it?")
        if length > self.server.most_bytes:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {self.server.most_bytes} bytes")
        body = self.rfile.read(length)
        self._unread = 0
        if len(body) < length:
            raise Refusal(HTTPStatus.BAD_REQUEST, "cut short")
        return body

    def _length(self) -> int | None:
        """Return how long the body is, None unless that is said, once and plainly."""
        lengths = self.headers.get_all("Content-Length", [])
        plain = len(lengths) == 1 and lengths[0].isascii() and lengths[0].isdecimal() and len(lengths[0]) <= 15
        return int(lengths[0]) if plain and "Transfer-Encoding" not in self.headers else None

    def _hear_out(self) -> None:
        if self._unread:
            with suppress(OSError):
                self.connection.settimeout(1)
                self.rfile.read(min(self._unread, HEARD_OUT))

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
