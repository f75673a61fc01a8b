"""A web server for the browser of this machine's user: no other host, no other user and no other page gets in.

Four things keep others out. It listens on 127.0.0.1 alone. Every address begins with a random token, which only who
was given the address has. A request that names another host than ours (a name that somebody else has led to
127.0.0.1) is refused. So is one that another page has made, as browsers say where a request comes from.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from twimager.errors import UsageError
from twimager.runtime.console import Console, say
from twimager.web import limits
from twimager.web.guard import HOST, Guard
from twimager.web.handler import Handler
from twimager.web.site import BUSY, Refusal, Site


class LocalServer(ThreadingHTTPServer):
    """Serves a site at `address` until a response is its last, or Ctrl-C.

    Parameters
    ----------
    site : the site to serve
    port : of the address; 0 takes any that is free
    most_bytes : the length of the longest body that is read

    Raises
    ------
    UsageError
        If the port is taken.
    """

    # On Windows, and with ports that are reused, another program could listen in our place.
    allow_reuse_address = sys.platform != "win32"
    allow_reuse_port = False
    daemon_threads = True
    request_queue_size = limits.BACKLOG

    def __init__(self, site: Site, port: int = 0, most_bytes: int = 1024) -> None:
        self.site, self.most_bytes, self.ended = site, most_bytes, False
        self.bodies = threading.Semaphore(limits.BODIES)
        self._connections = threading.Semaphore(limits.CONNECTIONS)
        self._overloaded = False
        self._responding, self._responded = 0, threading.Condition()
        try:
            super().__init__((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or "no such port"
            raise UsageError(f"--port {port}: {why}; without it, one that is free is taken") from error
        self.guard = Guard(self.server_port)

    @property
    def address(self) -> str:
        """The address of the site, its token in it."""
        return self.guard.address

    def run(self, opened: bool, warn: Callable[[str], None] | None = None) -> None:
        """Print the address, open it in a browser if `opened`, and serve the site until its end, or Ctrl-C.

        `warn` is called if there is no browser; without it, that is printed on stderr.
        """
        with suppress(KeyboardInterrupt):
            say(self.address)
            if opened:  # meanwhile, as a browser in the terminal returns only when it is left
                threading.Thread(target=self._open, args=(warn or Console().warn,), daemon=True).start()
            self.serve_forever()
        with self._responded:
            self.ended = True
            self._responded.wait_for(lambda: not self._responding, limits.SHUTDOWN_TIMEOUT)

    @contextmanager
    def responding(self) -> Iterator[None]:
        """Let the end of the server wait for the block; Refusal if it has ended."""
        with self._responded:
            if self.ended:
                raise Refusal(HTTPStatus.GONE, "this has ended")
            self._responding += 1
        try:
            yield
        finally:
            with self._responded:
                self._responding -= 1
                self._responded.notify_all()

    def shutdown(self) -> None:
        """End the server; on connections that browsers have kept open, requests are refused from now on."""
        self.ended = True
        super().shutdown()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, or respond with 503 if there are too many for long."""
        self._overloaded = not self._connections.acquire(timeout=0 if self._overloaded else limits.QUEUE_TIMEOUT)
        if self._overloaded:
            self._refuse(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no thread left
            self._connections.release()
            self._refuse(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def is_full(self) -> bool:
        """Tell whether another connection would have to wait for one of those there are."""
        free = self._connections.acquire(blocking=False)
        if free:
            self._connections.release()
        return not free

    def _refuse(self, request: socket.socket) -> None:
        with suppress(OSError):
            request.settimeout(0.002)
            request.sendall(BUSY)
            request.shutdown(socket.SHUT_WR)
            request.recv(limits.HEADER_BYTES)  # what is left unread could cost the client its response
        self.shutdown_request(request)

    def _open(self, warn: Callable[[str], None]) -> None:
        if not webbrowser.open(self.address):
            warn(f"no browser could be opened: open the address above in one yourself{self._from_afar()}")

    def _from_afar(self) -> str:
        """Return how a browser on another machine gets here, where this one is used over ssh."""
        if not any(map(os.environ.get, ("SSH_CONNECTION", "SSH_TTY"))):
            return ""
        return f"; from another machine, first ssh -L {self.server_port}:{HOST}:{self.server_port} to this one"

    def server_bind(self) -> None:
        """Take the port; unlike the library's, without a look-up of the host's name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over browsers that hang up in the midst of a response, and responses that the end has cut off."""
        if not (self.ended or isinstance(sys.exc_info()[1], OSError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
