"""Get an image from the web: http and https only, so many bytes, so many seconds, and nothing that is no image."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.client import HTTPMessage
from typing import IO, Any
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit

from twimager import __version__
from twimager.errors import UnreadableImage, UnsupportedFormat
from twimager.image.files import BEGINNING
from twimager.image.headers import is_supported

SCHEMES = ("http", "https")
# The largest photographs of today's cameras have half of it.
MOST_BYTES = 64 * 1024 * 1024
# Seconds for a whole image, and for which a server may be silent meanwhile.
PATIENCE = 30.0
SILENCE = 10.0
REDIRECTS = 5
CHUNK = 1 << 16
# What may stand in an address as it is; the rest is percent-encoded.
PLAIN = "%/:=&?~#+!$,;'@()*[]"
# A host's name as every program reads it; one whose last label begins with a digit may be a number, as 0x7f.1 is.
NAME = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*")
# NAT64 (RFC 6052, RFC 8215): the last 32 bits are the IPv4 address that is connected to.
NAT64 = [ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/96")]
# Not of the open internet either, though `is_global` of some Python says so: all IPv6 but the one block that is given
# out (2000::/3), protocol assignments (Teredo among them), documentation, relays of 6to4, multicast.
NOT_PUBLIC = [
    ipaddress.ip_network(net)
    for net in (
        "::/3", "4000::/2", "8000::/1", "2001::/23", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4",
    )
]  # fmt: skip
HEADERS = [("User-Agent", f"twimager/{__version__}"), ("Accept", "image/*")]


def fetch(url: str, patience: float = PATIENCE, most_bytes: int = MOST_BYTES) -> bytes:
    """Return what a server has at an address, which begins as an image does.

    A redirect may lead to http and https only, and from a public server to none that only this machine or its network
    can reach. It is judged by the address that is connected to; where a proxy connects, by all that the host's name
    leads to here, and refused if that can't be told and the host is another.

    Raises
    ------
    UnreadableImage
        If it is not there, no image, longer than `most_bytes`, or takes longer than `patience` seconds.
    """
    watch, silence = _Watch(), min(SILENCE, patience)
    try:
        _require_scheme(url)
        with watch.over(patience), _opener(watch).open(quote(url, safe=PLAIN), timeout=silence) as answer:
            return _image(answer, most_bytes, watch)
    except HTTPError as error:
        error.close()
        raise UnreadableImage(watch.complaint(_status(error))) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UnreadableImage(watch.complaint(_why(error))) from error


def _require_scheme(url: str, what: str = "the address") -> None:
    scheme = urlsplit(url).scheme.lower()
    if scheme not in SCHEMES:
        raise UnreadableImage(f"{what} leads to {scheme or 'nowhere'}:, and only http: and https: are followed")


def _status(error: HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"more than {REDIRECTS} redirects"
    with suppress(ValueError):
        return f"the server says {error.code} {HTTPStatus(error.code).phrase}"
    return f"the server says {error.code}"


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return f"the server is silent for {SILENCE:g} s"
    if isinstance(reason, OSError):
        return f"can't be fetched: {reason.strerror or reason}"
    return f"can't be fetched: {reason or type(error).__name__}"


def _image(answer: Any, most_bytes: int, watch: _Watch) -> bytes:
    """Read an answer as long as it is one that is wanted."""
    told = answer.length
    if told is not None and told > most_bytes:
        raise UnreadableImage(f"{told} bytes, and at most {most_bytes} are fetched")
    data = bytearray()
    while chunk := answer.read1(CHUNK):
        known = len(data) >= BEGINNING
        data += chunk
        if not known and len(data) >= BEGINNING:
            _require_image(data, answer.headers)
        if len(data) > most_bytes:
            raise UnreadableImage(f"more than {most_bytes} bytes, which is the most that is fetched")
    if watch.late or (told is not None and len(data) < told):
        raise UnreadableImage(watch.complaint("the server stopped in the midst of it"))
    _require_image(data, answer.headers)
    return bytes(data)


def _require_image(data: bytearray, headers: HTTPMessage) -> None:
    if is_supported(bytes(data[:BEGINNING])):
        return
    kind = headers.get_content_type()
    raise UnsupportedFormat("a web page, not an image" if kind == "text/html" else f"not an image but {kind}")


class _Watch:
    """Knows the connections of one fetch: ends them when its time is over, and where they may lead."""

    def __init__(self) -> None:
        self.late = False
        self._patience = 0.0
        self._sockets: list[socket.socket] = []
        self._from_web, self._host = False, ""

    @contextmanager
    def over(self, patience: float) -> Iterator[None]:
        """Give the block so many seconds."""
        self._patience = patience
        timer = threading.Timer(patience, self._end)
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

    def connected(self, one: socket.socket) -> None:
        """Take a connection, over which nothing was sent yet."""
        self._sockets.append(one)
        if self.late:
            raise TimeoutError

    def require_followed(self, addresses: Sequence[str], host: str = "") -> None:
        """Take the IP addresses that the next request may go to, none if they are unknown, and the host as written.

        UnreadableImage is raised if one of them may not be public, and one before may have been. Unknown ones are
        followed within a host.
        """
        public = [is_public(address) for address in addresses]
        if self._from_web and not public and host != self._host:
            raise UnreadableImage("a redirect leads to a host that can't be looked up, and is not followed")
        if self._from_web and not all(public):
            raise UnreadableImage("a redirect leads from the web into this machine or its network, and is not followed")
        self._from_web, self._host = not public or any(public), host

    def complaint(self, why: str) -> str:
        """Return why a fetch failed, which is so if it was not for the time."""
        return f"takes longer than {self._patience:g} s" if self.late else why


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the open internet, the same in every version of Python."""
    peer = _embedded(ipaddress.ip_address(address.split("%", maxsplit=1)[0]))
    return peer.is_global and not any(peer in network for network in NOT_PUBLIC)


def _embedded(peer: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(peer, ipaddress.IPv4Address):
        return peer
    if any(peer in network for network in NAT64):
        return ipaddress.IPv4Address(int(peer) & 0xFFFFFFFF)
    return peer.ipv4_mapped or peer.sixtofour or peer


def _addresses(url: str) -> list[str]:
    """Return all IP addresses of a URL's host; none if it can't be looked up, or programs may take it for another."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    if "@" in parts.netloc:
        return []
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    with suppress(OSError):
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None)] if NAME.fullmatch(host) else []
    return []


class _Connection(http.client.HTTPConnection):
    watch: _Watch
    proxied: bool

    def connect(self) -> None:
        super().connect()
        self.watch.connected(self.sock)
        if not self.proxied:
            self.watch.require_followed([self.sock.getpeername()[0]])


class _SecureConnection(http.client.HTTPSConnection, _Connection):
    """Watched twice: before anything is sent, and as the socket that encryption has made of it."""

    def connect(self) -> None:
        super().connect()
        self.watch.connected(self.sock)


def _watched(host: str, *, kind: type[_Connection], watch: _Watch, proxied: bool, **settings: Any) -> _Connection:
    made = kind(host, **settings)
    made.watch, made.proxied = watch, proxied
    return made


class _Redirects(request.HTTPRedirectHandler):
    max_redirections = REDIRECTS

    def http_error_302(self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> Any:
        _require_scheme(urljoin(req.full_url, headers.get("Location", "")), "a redirect")
        fp.close()  # else the library reads all that comes with it, however long
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _Http(request.HTTPHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: request.Request) -> Any:
        return self.do_open(_connections(_Connection, req, self._watch), req)


class _Https(request.HTTPSHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, req: request.Request) -> Any:
        return self.do_open(_connections(_SecureConnection, req, self._watch), req)


def _connections(kind: type[_Connection], req: request.Request, watch: _Watch) -> Any:
    """Return what connects for a request, to a proxy only if that may be told where it leads."""
    proxied = req.has_proxy() or bool(getattr(req, "_tunnel_host", None))
    if proxied:
        watch.require_followed(_addresses(req.full_url), urlsplit(req.full_url).netloc)
    return partial(_watched, kind=kind, watch=watch, proxied=proxied)


def _opener(watch: _Watch) -> request.OpenerDirector:
    """Return what opens addresses by nothing but HTTP; the library's own would open files and FTP too."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(), _Http(watch), _Https(watch), _Redirects(), request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(), request.UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    opener.addheaders = HEADERS
    return opener
