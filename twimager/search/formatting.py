"""The hits of a search as a table for the terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twimager.errors import ExitCode
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import Matrix, translation
from twimager.runtime.console import printable
from twimager.search.job import QueryResult
from twimager.search.ranking import Hit
from twimager.version import __version__

HEADINGS = "  score   SSIM  features  colours{model}  shown"
MODEL = "  model"
# Copies that are named in a line of the table; --json names all.
NAMED = 3


def to_table(results: Sequence[QueryResult]) -> str:
    """Return the hits for each query as lines for a terminal."""
    return "\n\n".join(map(_section, results))


def _section(result: QueryResult) -> str:
    name = printable(result.name)
    if result.error:
        return f"{name}\n  could not be read: {printable(result.error)}"
    if not result.hits:
        return f"{name}\n  nothing found"
    model = MODEL if result.hits[0].scores.model is not None else ""
    lines = [name, HEADINGS.format(model=model), *map(_line, result.hits)]
    return "\n".join(
        lines if result.is_found else [*lines, "  none of them shows the picture; these look like it most"]
    )


def _line(hit: Hit) -> str:
    numbers = hit.scores
    model = "" if numbers.model is None else f"  {numbers.model:5.3f}"
    shown = f"{hit.alignment.overlap:5.0%}" if hit.alignment else "    -"
    path = "".join([printable(str(hit.image.path)), *(f" ({note})" for note in _notes(hit))])
    scores = f"{hit.score:5.3f}  {numbers.ssim:5.3f}  {numbers.features:8.3f}  {numbers.colors:7.3f}{model}"
    return f"  {scores}  {shown}  {path}"


def _notes(hit: Hit) -> list[str]:
    notes = ["mirrored"] if hit.alignment and hit.alignment.mirrored else []
    if hit.copies:
        more = f" and {len(hit.copies) - NAMED} more" if len(hit.copies) > NAMED else ""
        notes.append(f"the same: {', '.join(printable(path.name) for path in hit.copies[:NAMED])}{more}")
    return notes


def to_json(results: Sequence[QueryResult], folder: Path, images: int, unread: int, code: ExitCode) -> str:
    """Return the hits for each query, and how the search ended."""
    document = {
        "twimager": __version__,
        "exit_code": int(code),
        "folder": str(folder.absolute()),
        "images": images,
        "unreadable": unread,
        "queries": [_query(one) for one in results],
    }
    return json.dumps(document, indent=1)


def _query(result: QueryResult) -> dict[str, Any]:
    return {
        "query": result.name,
        "error": result.error or None,
        "found": [_hit(hit, result.query) for hit in result.hits if result.query],
    }


def _hit(hit: Hit, query: Fingerprint) -> dict[str, Any]:
    alignment, numbers = hit.alignment, hit.scores
    return {
        "path": str(hit.image.path.absolute()),
        "copies": [str(path.absolute()) for path in hit.copies],
        "size": list(hit.image.frame[2:]),
        "score": round(hit.score, 4),
        "ssim": round(numbers.ssim, 4),
        "features": round(numbers.features, 4),
        "colors": round(numbers.colors, 4),
        "model": None if numbers.model is None else round(numbers.model, 4),
        "aligned": alignment is not None,
        "mirrored": alignment.mirrored if alignment else None,
        "shown": round(alignment.overlap, 4) if alignment else None,
        "inliers": alignment.inliers if alignment else None,
        "matrix": _between_files(alignment.matrix, hit.image, query).tolist() if alignment else None,
    }


def _between_files(matrix: Matrix, image: Fingerprint, query: Fingerprint) -> Matrix:
    """Return the matrix (3, 3) between whole frames, black bars and all."""
    return translation(*query.picture[:2]) @ matrix @ translation(-image.picture.x, -image.picture.y)
