"""The page where pictures are dropped to be found in a folder, and what answers it."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path

from twimager.search.download import MOST_BYTES
from twimager.search.formatting import results_page, shown
from twimager.search.job import Asked, Searcher, is_address
from twimager.web.server import Answer, Refusal


class SearchSite:
    """Answers the page: a picture, or the address of one, is looked for in the folder; files are given to nobody.

    What is uploaded is kept until it is answered.
    """

    def __init__(self, searcher: Searcher, folder: Path) -> None:
        self._searcher, self._folder = searcher, folder
        self._page = results_page([], folder, MOST_BYTES)

    def get(self, path: str) -> Answer:
        """Return the page."""
        if path:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing here")
        return Answer(
            self._page.html, "text/html; charset=utf-8", policy=f"{self._page.policy}; frame-ancestors 'none'"
        )

    def post(self, path: str, body: bytes) -> Answer:
        """Look for a picture, `body` being its file or, as text, its address."""
        if path == "picture":
            asked = self._searcher.ask_bytes("the picture", body)
        elif path == "address":
            asked = self._ask_address(body.decode("utf-8", "replace").strip())
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing here")
        return Answer(json.dumps(shown(asked, self._folder)).encode())

    def _ask_address(self, address: str) -> Asked:
        """Look for what an address leads to; a path is none, as no file is to be named from a browser."""
        if not is_address(address):
            return Asked(address, error="this is no address; it begins with http:// or https://")
        return self._searcher.ask(address)
