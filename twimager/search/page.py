"""The page of a search: the query outlined in each hit, which opens; as a file, or as the page that `serve` serves."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import frame_corners, transform_points
from twimager.report.page import link_to
from twimager.runtime.console import printable
from twimager.search.job import QueryResult
from twimager.search.ranking import Alignment, Hit, inverse
from twimager.web.template import FROM_DISK, SERVED, Page, fill

# Returns the links to an image's file and to its folder; empty where there is none.
Links = Callable[[Path], tuple[str, str]]


def results_page(results: Sequence[QueryResult], folder: Path, images: int, at: Path) -> Page:
    """Return a page, to lie in the folder `at`, of the hits for each query among so many images of `folder`."""
    return _page(folder, images, [page_record(one, folder, _from(at)) for one in results])


def served_page(folder: Path, images: int, most_bytes: int) -> Page:
    """Return a page to be served, on which pictures of at most so many bytes are looked for."""
    return _page(folder, images, [], most_bytes)


def _page(folder: Path, images: int, asked: Sequence[dict[str, Any]], most_bytes: int | None = None) -> Page:
    contents = {"folder": printable(str(folder)), "images": images, "most_bytes": most_bytes, "asked": asked}
    return fill("search", ["search.js"], contents, SERVED if most_bytes else FROM_DISK, styles=["page.css"])


def _from(at: Path) -> Links:
    return lambda path: (link_to(str(path.absolute()), at), link_to(str(path.parent.absolute()), at))


def page_record(result: QueryResult, folder: Path, links: Links) -> dict[str, Any]:
    """Return what the page shows of a query; paths are relative to the folder that was searched."""
    return {
        "query": printable(result.name),
        "error": printable(result.error),
        "aligned": result.is_found,
        "thumbnail": _embedded(result.thumbnail),
        "found": [_card(hit, result.query, folder, links) for hit in result.hits if result.query],
    }


def _card(hit: Hit, query: Fingerprint, folder: Path, links: Links) -> dict[str, Any]:
    numbers, alignment = hit.scores, hit.alignment
    link, place = links(hit.image.path)
    return {
        "link": link,
        "place": place,
        "full": printable(str(hit.image.path.absolute())),
        "path": _below(hit.image.path, folder),
        "copies": [_below(path, folder) for path in hit.copies],
        "size": list(hit.image.frame[2:]),
        "numbers": [hit.score, numbers.ssim, numbers.features, numbers.colors, numbers.model],
        "shown": alignment and alignment.overlap,
        "mirrored": bool(alignment and alignment.mirrored),
        "thumbnail": _embedded(hit.thumbnail),
        "outline": _outline(alignment, hit.image, query) if alignment else None,
    }


def _outline(alignment: Alignment, image: Fingerprint, query: Fingerprint) -> list[list[float]]:
    """Return the query's corners (4, 2) in a picture, in shares of its width and height."""
    corners = transform_points(inverse(alignment.matrix), frame_corners(query.size))
    shares: list[list[float]] = ((corners + 0.5) / image.size).round(4).tolist()
    return shares


def _below(path: Path, folder: Path) -> str:
    return printable(str(path.relative_to(folder)))


def _embedded(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" if jpeg else ""
