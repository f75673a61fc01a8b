"""Pages of one file: style, scripts and data inside, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

# The sources from which a page on the disk may load; one that is served may also send requests to its own server.
FROM_DISK = "img-src 'self' file: data:"
SERVED = "img-src 'self' data:; connect-src 'self'"


class Page(NamedTuple):
    """A page, and its content security policy, which is also in it."""

    html: bytes
    policy: str


def fill(
    name: str,
    scripts: Sequence[str],
    contents: Mapping[str, Any],
    sources: str = FROM_DISK,
    *,
    styles: Sequence[str] = (),
    texts: Mapping[str, str] | None = None,
) -> Page:
    """Return a page made of `name`.html and `name`.css in the folder `assets`, and of scripts there.

    The scripts share one scope, in this order. They find `contents`, JSON, as text of the element `data`. `sources`
    is what the policy lets the page load, `styles` are files that the page's own style goes on from, `texts` is HTML by
    the name of its placeholder, as `TITLE` for `@TITLE@`.
    """
    style, script = ("\n".join(map(_part, names)) for names in ([*styles, f"{name}.css"], scripts))
    policy = (
        f"default-src 'none'; {sources}; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"POLICY": policy, "STYLE": style, "SCRIPT": script, "DATA": _embedded(contents), **(texts or {})}
    # In one go: what is filled in may well hold what looks like a placeholder.
    return Page(re.sub("@([A-Z]+)@", lambda name: parts[name[1]], _part(f"{name}.html")).encode(), policy)


def _part(name: str) -> str:
    return (files("twimager.web") / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the source expression by which a content security policy allows one inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(contents: Mapping[str, Any]) -> str:
    """Return JSON that stays inside its script element, whatever the names in it are."""
    return json.dumps(contents, separators=(",", ":")).replace("<", "\\u003c")
