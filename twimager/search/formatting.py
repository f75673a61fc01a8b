"""What a search has found, as a table, as JSON, and as what its page shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twimager import __version__
from twimager.errors import ExitCode
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import Matrix, frame_corners, transform_points, translation
from twimager.runtime.console import printable
from twimager.search.job import Asked
from twimager.search.ranking import Found, Place
from twimager.web.template import FROM_DISK, SERVED, Page, fill

HEADINGS = "  score   SSIM  features  colours{model}  shown"
MODEL = "  model"
# Copies that are named in a line of the table; --json names all.
NAMED = 3


def table(asked: Sequence[Asked]) -> str:
    """Return what was found as lines for a terminal."""
    return "\n\n".join(_section(one) for one in asked)


def _section(asked: Asked) -> str:
    name = printable(asked.name)
    if asked.error:
        return f"{name}\n  could not be read: {printable(asked.error)}"
    if not asked.found:
        return f"{name}\n  nothing found"
    model = MODEL if asked.found[0].resemblance.model is not None else ""
    lines = [name, HEADINGS.format(model=model), *map(_line, asked.found)]
    return "\n".join(lines if asked.is_found else [*lines, "  none of them shows the picture; these look like it most"])


def _line(found: Found) -> str:
    numbers = found.resemblance
    model = "" if numbers.model is None else f"  {numbers.model:5.3f}"
    shown = f"{found.place.shown:5.0%}" if found.place else "    -"
    path = "".join([printable(str(found.image.path)), *(f" ({note})" for note in _notes(found))])
    scores = f"{found.score:5.3f}  {numbers.ssim:5.3f}  {numbers.features:8.3f}  {numbers.colors:7.3f}{model}"
    return f"  {scores}  {shown}  {path}"


def _notes(found: Found) -> list[str]:
    notes = ["mirrored"] if found.place and found.place.mirrored else []
    if found.copies:
        more = f" and {len(found.copies) - NAMED} more" if len(found.copies) > NAMED else ""
        notes.append(f"the same: {', '.join(printable(path.name) for path in found.copies[:NAMED])}{more}")
    return notes


def document(asked: Sequence[Asked], folder: Path, images: int, unread: int, code: ExitCode) -> dict[str, Any]:
    """Return all that was found, as JSON knows it."""
    return {
        "twimager": __version__,
        "exit_code": int(code),
        "folder": str(folder.absolute()),
        "images": images,
        "unreadable": unread,
        "queries": [_query(one) for one in asked],
    }


def to_json(document: dict[str, Any]) -> str:
    """Return a document as text."""
    return json.dumps(document, indent=1)


def _query(asked: Asked) -> dict[str, Any]:
    return {
        "query": asked.name,
        "error": asked.error or None,
        "found": [_found(one, asked.query) for one in asked.found if asked.query],
    }


def _found(found: Found, query: Fingerprint) -> dict[str, Any]:
    place, numbers = found.place, found.resemblance
    return {
        "path": str(found.image.path.absolute()),
        "copies": [str(path.absolute()) for path in found.copies],
        "size": list(found.image.frame[2:]),
        "score": round(found.score, 4),
        "ssim": round(numbers.ssim, 4),
        "features": round(numbers.features, 4),
        "colors": round(numbers.colors, 4),
        "model": None if numbers.model is None else round(numbers.model, 4),
        "aligned": place is not None,
        "mirrored": place.mirrored if place else None,
        "shown": round(place.shown, 4) if place else None,
        "inliers": place.inliers if place else None,
        "matrix": _between_files(place.matrix, found.image, query).tolist() if place else None,
    }


def _between_files(matrix: Matrix, image: Fingerprint, query: Fingerprint) -> Matrix:
    """Return the matrix between whole frames, black bars and all."""
    return translation(*query.picture[:2]) @ matrix @ translation(-image.picture.x, -image.picture.y)


def results_page(asked: Sequence[Asked], folder: Path, most_bytes: int | None = None) -> Page:
    """Return a page of what was found; with `most_bytes`, one to be served, that takes pictures of no more."""
    contents = {
        "folder": printable(str(folder)),
        "most_bytes": most_bytes,
        "asked": [shown(one, folder) for one in asked],
    }
    return fill("search", ["search.js"], contents, SERVED if most_bytes else FROM_DISK, styles=["page.css"])


def shown(asked: Asked, folder: Path) -> dict[str, Any]:
    """Return what the page shows of a query; paths are named as seen from the folder that was searched."""
    return {
        "query": printable(asked.name),
        "error": printable(asked.error),
        "aligned": asked.is_found,
        "thumbnail": _embedded(asked.thumbnail),
        "found": [_card(one, asked.query, folder) for one in asked.found if asked.query],
    }


def _card(found: Found, query: Fingerprint, folder: Path) -> dict[str, Any]:
    numbers, place = found.resemblance, found.place
    return {
        "path": _below(found.image.path, folder),
        "copies": [_below(path, folder) for path in found.copies],
        "size": list(found.image.frame[2:]),
        "numbers": [found.score, numbers.ssim, numbers.features, numbers.colors, numbers.model],
        "shown": place and place.shown,
        "mirrored": bool(place and place.mirrored),
        "thumbnail": _embedded(found.thumbnail),
        "outline": _outline(place, found.image, query) if place else None,
    }


def _outline(place: Place, image: Fingerprint, query: Fingerprint) -> list[list[float]]:
    """Return where the query's corners lie in a picture, in shares of its width and height."""
    corners = transform_points(np.asarray(np.linalg.inv(place.matrix), np.float64), frame_corners(query.size))
    shares: list[list[float]] = ((corners + 0.5) / image.size).round(4).tolist()
    return shares


def _below(path: Path, folder: Path) -> str:
    return printable(str(path.relative_to(folder)))


def _embedded(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" if jpeg else ""
