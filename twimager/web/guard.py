"""Which requests a local server responds to: those of its own pages, and of who was told the address."""

from __future__ import annotations

import hmac
import secrets
from email.message import Message
from http import HTTPStatus

from twimager.web.site import Refusal

HOST = "127.0.0.1"
# 256 bits: nobody guesses that.
TOKEN_BYTES = 32


class Guard:
    """Tells the requests of the site's own pages from all others: by host, origin and token."""

    def __init__(self, port: int) -> None:
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._host = f"{HOST}:{port}"

    @property
    def address(self) -> str:
        """The address of the page, the token in it."""
        return f"http://{self._host}/{self._token}/"

    def admit(self, method: str, target: str, headers: Message) -> str:
        """Return the path of a request, as `Site` takes it; Refusal if it is not from a page of this site.

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
