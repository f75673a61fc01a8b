"""Small web servers for tests: an image, and all that an address may lead to instead, also through a proxy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.paths import EXAMPLES

IMAGE = EXAMPLES / "LR/still_07.jpg"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
HUGE = 100_000_000
REDIRECTS = {
    "/moved": "/image",
    "/to_file": "file:///etc/passwd",
    "/to_ftp": "ftp://localhost/image.png",
    "/round": "/round?",
    "/long": "/image",
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        where, data, kind = self.path.rstrip("?"), IMAGE.read_bytes(), "image/jpeg"
        self.server.requested.append(self.path)  # type: ignore[attr-defined]
        if where in REDIRECTS:
            self.send_response(302)
            self.send_header("Location", REDIRECTS[where] + self.path[len(where) :])
            self.end_headers()
            if where == "/long":
                self._repeat(0)
        elif where == "/page":
            self._send(b"<!doctype html><p>" + bytes(5000), "text/html; charset=utf-8")
        elif where == "/damaged":
            self._send(PNG, "image/png")
        elif where == "/huge":
            self._send(PNG, "image/png", HUGE)
        elif where == "/short":
            self._send(data[:2000], kind, len(data))
        elif where in ("/endless", "/slow"):
            self._go_on(0.05 if where == "/slow" else 0)
        elif where == "/image":
            self._send(data, kind)
        else:
            self.send_error(404)

    def _send(self, data: bytes, kind: str, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def _go_on(self, pause: float) -> None:
        self.send_response(200)
        self.end_headers()
        self._repeat(pause)

    def _repeat(self, pause: float) -> None:
        with suppress(OSError):
            while True:
                self.wfile.write(PNG if pause else PNG * 1000)
                time.sleep(pause)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Proxy(_Handler):
    """Has an image at every address, but where it is to redirect."""

    def do_GET(self) -> None:
        self.server.requested.append(self.path)  # type: ignore[attr-defined]
        where = self.server.redirects.get(self.path)  # type: ignore[attr-defined]
        if where is None:
            self._send(IMAGE.read_bytes(), "image/jpeg")
        else:
            self.send_response(302)
            self.send_header("Location", where.encode().decode("latin-1"))
            self.end_headers()

    def do_CONNECT(self) -> None:
        self.server.requested.append(self.path)  # type: ignore[attr-defined]
        self.send_error(502)


@contextmanager
def web() -> Iterator[tuple[str, list[str]]]:
    """Serve; yield the address, and the list of the requests."""
    with _serving(_Handler) as served:
        yield served


@contextmanager
def proxy(redirects: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Be a proxy whose web has an image at every address, but for redirects; yield as `web`."""
    with _serving(_Proxy, redirects) as served:
        yield served


@contextmanager
def _serving(kind: type[_Handler], redirects: Mapping[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        server.requested, server.redirects = [], redirects  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.requested  # type: ignore[attr-defined]
        server.shutdown()
