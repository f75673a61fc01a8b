"""The page on which pictures are dropped to be searched for in a folder, and the requests that it makes."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path

from twimager.search.download import MOST_BYTES
from twimager.search.job import QueryResult, Searcher, is_address
from twimager.search.page import page_record, results_page
from twimager.web.site import Refusal, Response


class SearchSite:
    """Serves the page, and searches the folder for a picture, or the address of one; no file is served.

    An upload is deleted once it is answered.
    """

    def __init__(self, searcher: Searcher, folder: Path) -> None:
        self._searcher, self._folder = searcher, folder
        self._page = results_page([], folder, MOST_BYTES)

    def get(self, path: str) -> Response:
        """Return the page."""
        if path:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing here")
        return Response(
            self._page.html, "text/html; charset=utf-8", policy=f"{self._page.policy}; frame-ancestors 'none'"
        )

    def post(self, path: str, body: bytes) -> Response:
        """Search for a picture; `body` is its file or, as text, its address."""
        if path == "picture":
            result = self._searcher.search_bytes("the picture", body)
        elif path == "address":
            result = self._search_address(body.decode("utf-8", "replace").strip())
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing here")
        return Response(json.dumps(page_record(result, self._folder)).encode())

    def _search_address(self, address: str) -> QueryResult:
        """Search for the image at an address; a path is none, as a browser must not name files."""
        if not is_address(address):
            return QueryResult(address, error="this is no address; it begins with http:// or https://")
        return self._searcher.search(address)
