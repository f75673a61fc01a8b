"""HTTP connections that end after a time, and that no redirect takes from the web into this machine's network."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPMessage
from typing import IO, Any
from urllib import request
from urllib.parse import urljoin, urlsplit

from twimager.errors import UnreadableImage
from twimager.search.addresses import host_addresses, is_public
from twimager.version import __version__

SCHEMES = ("http", "https")
REDIRECTS = 5
HEADERS = [("User-Agent", f"twimager/{__version__}"), ("Accept", "image/*")]


def require_scheme(url: str, what: str = "the address") -> None:
    """Raise UnreadableImage unless a URL is one of http or https."""
    scheme = urlsplit(url).scheme.lower()
    if scheme not in SCHEMES:
        raise UnreadableImage(f"{what} leads to {scheme or 'nowhere'}:, and only http: and https: are followed")


class Transfer:
    """One transfer: closes its connections when its time is over, and refuses redirects into this network."""

    def __init__(self) -> None:
        self.late = False
        self._timeout = 0.0
        self._sockets: list[socket.socket] = []
        self._from_web, self._host = False, ""

    @contextmanager
    def within(self, timeout: float) -> Iterator[None]:
        """Close the connections if the block takes more than so many seconds."""
        self._timeout = timeout
        timer = threading.Timer(timeout, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        self.late = True
        for one in self._sockets:
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def add(self, one: socket.socket) -> None:
        """Take over a connection through which nothing was sent yet."""
        self._sockets.append(one)
        if self.late:
            raise TimeoutError

    def require_allowed(self, addresses: Sequence[str], host: str = "") -> None:
        """Check the IP addresses that the next request may go to, none if they are unknown, and the host as written.

        UnreadableImage is raised if one of them may not be public, and one before may have been. Where they are
        unknown, redirects within a host are followed.
        """
        public = [is_public(address) for address in addresses]
        if self._from_web and not public and host != self._host:
            raise UnreadableImage("a redirect leads to a host that can't be looked up, and is not followed")
        if self._from_web and not all(public):
            raise UnreadableImage("a redirect leads from the web into this machine or its network, and is not followed")
        self._from_web, self._host = not public or any(public), host

    def failure(self, why: str) -> str:
        """Return why the transfer failed: for lack of time, or else for what `why` says."""
        return f"takes longer than {self._timeout:g} s" if self.late else why


class _Connection(http.client.HTTPConnection):
    transfer: Transfer
    proxied: bool

    def connect(self) -> None:
        super().connect()
        self.transfer.add(self.sock)
        if not self.proxied:
            self.transfer.require_allowed([self.sock.getpeername()[0]])


class _SecureConnection(http.client.HTTPSConnection, _Connection):
    """Added to its transfer twice: before anything is sent, and as the socket that encryption has made of it."""

    def connect(self) -> None:
        super().connect()
        self.transfer.add(self.sock)


def _connected(
    host: str, *, kind: type[_Connection], transfer: Transfer, proxied: bool, **settings: Any
) -> _Connection:
    made = kind(host, **settings)
    made.transfer, made.proxied = transfer, proxied
    return made


class _Redirects(request.HTTPRedirectHandler):
    max_redirections = REDIRECTS

    def http_error_302(self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> Any:
        require_scheme(urljoin(req.full_url, headers.get("Location", "")), "a redirect")
        fp.close()  # else the library reads all that comes with it, however long
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _Handler(request.HTTPSHandler, request.HTTPHandler):
    def __init__(self, transfer: Transfer) -> None:
        super().__init__()
        self._transfer = transfer

    def http_open(self, req: request.Request) -> Any:
        return self.do_open(_connector(_Connection, req, self._transfer), req)

    def https_open(self, req: request.Request) -> Any:
        return self.do_open(_connector(_SecureConnection, req, self._transfer), req)


def _connector(kind: type[_Connection], req: request.Request, transfer: Transfer) -> Any:
    """Return the class of connection for a request, bound to its transfer; where a proxy connects, check the target."""
    proxied = req.has_proxy() or bool(getattr(req, "_tunnel_host", None))
    if proxied:
        transfer.require_allowed(host_addresses(req.full_url), urlsplit(req.full_url).netloc)
    return partial(_connected, kind=kind, transfer=transfer, proxied=proxied)


def make_opener(transfer: Transfer) -> request.OpenerDirector:
    """Return an opener for http and https alone; the library's own would open files and FTP too."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(), _Handler(transfer), _Redirects(), request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(), request.UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    opener.addheaders = HEADERS
    return opener
