"""Requests to a local server as a browser sends them, without a browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.page import Parsed
from twimager.review.review import Review
from twimager.review.site import ReviewSite
from twimager.web.server import LocalServer


class Client:
    """Sends requests as a browser does that shows the server's page, but for what a test changes."""

    def __init__(self, server: LocalServer) -> None:
        parts = urlsplit(server.address)
        self.server, self.host, self.base = server, parts.netloc, parts.path

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str | None) -> tuple[int, bytes]:
        response, data = self.response(method, self.base + path, body, **headers)
        return response.status, data

    def response(
        self, method: str, target: str, body: bytes | None = None, **headers: str | None
    ) -> tuple[HTTPResponse, bytes]:
        usual = {"Host": self.host, "Origin": f"http://{self.host}" if method != "GET" else None}
        given = {**usual, "Sec_Fetch_Site": "same-origin", **headers}
        connection = HTTPConnection(self.host, timeout=10)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        if body is not None and "Content_Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data


class Tab(Client):
    """A page of a review, by its requests and the responses."""

    def show(self) -> dict[str, Any]:
        status, html = self.request("GET", "")
        assert status == 200
        return Parsed(html).data

    def image(self, link: str) -> bytes | None:
        """Return an image, None if there is none."""
        response, data = self.response("GET", self.base + link)
        assert (response.status, response.headers["Content-Type"].split("/")[0]) in ((200, "image"), (404, "text"))
        return data if response.status == 200 else None

    def decide(self, what: str, **wish: Any) -> tuple[int, Any]:
        status, data = self.request("POST", what, json.dumps(wish).encode(), Content_Type="application/json")
        return status, json.loads(data) if status == 200 else data.decode()


@contextmanager
def served(report: Path) -> Iterator[Tab]:
    with Review(report) as review, LocalServer(ReviewSite(review)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Tab(server)
        finally:
            server.shutdown()
            thread.join()
