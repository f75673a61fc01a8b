"""An HTML page taken apart, and a name that would break one."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

NASTY = """</script><script>alert('x')</script><!--<img src=x onerror="alert(1)">&quot;"""


class Parsed(HTMLParser):
    """The tags of a page, its meta policy, and the text of its scripts and styles."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[Any, ...]]] = []
        self.inline: dict[str, str] = {}
        self.policy = ""
        self._inside = ""
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        given = dict(attrs)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        self._inside = given.get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, text: str) -> None:
        if self._inside in ("script", "style", "data"):
            self.inline[self._inside] = self.inline.get(self._inside, "") + text

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.inline["data"])
