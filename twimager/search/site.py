"""The page on which pictures are dropped to be searched for in a folder, and the requests that it makes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from twimager.errors import UnreadableImage
from twimager.image.browser import as_shown, read_inside
from twimager.runtime.console import counted
from twimager.search.download import MOST_BYTES
from twimager.search.job import QueryResult, Searcher, is_address
from twimager.search.page import page_record, served_page
from twimager.web.site import Refusal, Response


class SearchSite:
    """Serves the page, searches the folder for a picture, or the address of one, and serves what was found, by number.

    No other file is served, and no request holds a path of one. An upload is deleted once it is answered.
    """

    def __init__(self, searcher: Searcher, folder: Path, note: Callable[[str], None] = lambda _: None) -> None:
        """`note` is called with a line on each query."""
        self._searcher, self._folder, self._note = searcher, folder, note
        self._root = Path(os.path.realpath(folder))
        self._page = served_page(folder, searcher.images, MOST_BYTES)
        self._numbers: dict[Path, int] = {}
        self._found: dict[str, Path] = {}

    def get(self, path: str) -> Response:
        """Return the page, or an image that was found."""
        if path in self._found:
            return self._image(self._found[path])
        if path:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing here")
        return Response(
            self._page.html, "text/html; charset=utf-8", policy=f"{self._page.policy}; frame-ancestors 'none'"
        )

    def post(self, path: str, body: bytes) -> Response:
        """Search for a picture; `body` is its file or, as text, its address."""
        begun = time.monotonic()
        if path == "picture":
            result = self._searcher.search_bytes("the picture", body)
        elif path == "address":
            result = self._search_address(body.decode("utf-8", "replace").strip())
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing here")
        showing = sum(hit.alignment is not None for hit in result.hits)
        alike = counted(len(result.hits) - showing, "looks like it", "look like it")
        outcome = result.error or f"{counted(showing, 'shows it', 'show it')}, {alike}"
        self._note(f"{result.name}: {outcome}; {time.monotonic() - begun:.1f} s")
        return Response(json.dumps(page_record(result, self._folder, self._links)).encode())

    def _links(self, path: Path) -> tuple[str, str]:
        number = self._numbers.setdefault(path, len(self._numbers))
        self._found[f"image/{number}"] = path
        return f"image/{number}", ""

    def _image(self, path: Path) -> Response:
        try:
            return Response(*as_shown(read_inside(path, self._root)))
        except UnreadableImage as error:
            raise Refusal(HTTPStatus.NOT_FOUND, f"the image can't be read: {error}") from error

    def _search_address(self, address: str) -> QueryResult:
        """Search for the image at an address; a path is none, as a browser must not name files."""
        if not is_address(address):
            return QueryResult(address, error="this is no address; it begins with http:// or https://")
        return self._searcher.search(address)
