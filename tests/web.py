"""A small web server for tests: an image, and all that an address may lead to instead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pictures import EXAMPLES

IMAGE = EXAMPLES / "LR/still_07.jpg"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
HUGE = 100_000_000
REDIRECTS = {
    "/moved": "/image",
    "/to_file": "file:///etc/passwd",
    "/to_ftp": "ftp://localhost/image.png",
    "/round": "/round?",
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        where, data, kind = self.path.rstrip("?"), IMAGE.read_bytes(), "image/jpeg"
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if where in REDIRECTS:
            self.send_response(302)
            self.send_header("Location", REDIRECTS[where] + self.path[len(where) :])
            self.end_headers()
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
        with suppress(OSError):
            while True:
                self.wfile.write(PNG if pause else PNG * 1000)
                time.sleep(pause)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def web() -> Iterator[tuple[str, list[str]]]:
    """Serve; yield the address, and the list of what was asked for."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.asked  # type: ignore[attr-defined]
        server.shutdown()
