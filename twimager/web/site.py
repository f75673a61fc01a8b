"""What a local server serves: a site that responds to requests, and the headers of all responses."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple, Protocol

# The policy of responses that are no pages: they load nothing, and are in nobody's frame.
NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
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
        "Content-Type: text/plain; charset=utf-8", f"Content-Security-Policy: {NO_PAGE}",
        *map(": ".join, HEADERS.items()), "", BUSY_BODY,
    ]
).encode()  # fmt: skip


class Response(NamedTuple):
    """The response to a request.

    Attributes
    ----------
    body : the bytes that are sent
    content_type : its content type
    policy : its content security policy, which says what a page may load and do
    last : end the server once this is sent
    """

    body: bytes
    content_type: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK
    policy: str = NO_PAGE
    last: bool = False


class Refusal(Exception):
    """Why a request is refused; the response is that one line."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Site(Protocol):
    """A site to serve. Both methods are called from several threads at once, and may raise Refusal.

    `path` is what follows the token, as it came, no `%` decoded: a key to look up, not a file to open.
    """

    def get(self, path: str) -> Response:
        """Respond to a request that changes nothing."""

    def post(self, path: str, body: bytes) -> Response:
        """Respond to one that may."""
