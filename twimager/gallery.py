"""The report as a page: every pair to look at, in one file that asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twimager.console import printable
from twimager.destination import PAGE, write_files
from twimager.kept_report import damaged, first_folder, read_report

# The numbers of a pair that the page shows, as the report has them.
NUMBERS = (
    "correlation", "residual", "coverage", "hash_agreement", "color_distance", "hash_distance", "inliers", "source",
    "mirrored",
)  # fmt: skip
# They share one scope, in this order.
SCRIPTS = ("list.js", "histogram.js", "viewer.js", "start.js")


def page(document: Mapping[str, Any], folder: Path) -> bytes:
    """Return the page of a report, which is to lie in `folder`: HTML that refers to the images where they are.

    Parameters
    ----------
    document : the report, as `records.document` makes it or `report.json` holds it
    folder : where the page will be; the images are named as seen from there
    """
    style, script = _part("page.css"), "\n".join(_part(name) for name in SCRIPTS)
    filled = _part("page.html")
    for place, text in (
        ("@STYLE_DIGEST@", _digest(style)),
        ("@SCRIPT_DIGEST@", _digest(script)),
        ("@STYLE@", style),
        ("@SCRIPT@", script),
        ("@DATA@", _embedded(_contents(document, folder))),
    ):
        filled = filled.replace(place, text, 1)
    return filled.encode()


def rebuild(report: Path) -> Path:
    """Write the page of a report anew, beside it; return where it is.

    Raises
    ------
    UsageError
        If the file can't be read, or is no report of this version.
    TwimagerError
        If nothing can be written there.
    """
    try:
        made = page(read_report(report), report.parent)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(report) from error
    path = report.with_name(PAGE)
    write_files({path: made}, uuid.uuid4().hex, replace=True)
    return path


def _part(name: str) -> str:
    return (files("twimager") / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return what a content security policy knows an inline style or script by: no other one is to run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(contents: Mapping[str, Any]) -> str:
    """Return JSON that stays inside its script element, whatever the names in it are."""
    return json.dumps(contents, separators=(",", ":")).replace("<", "\\u003c")


def _contents(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    settings = document["settings"]
    home = first_folder(settings)
    return {
        "twimager": document["twimager"],
        "title": _name(settings["dest"] or ""),
        "dry": settings["dry"],
        "scale": settings["scale"],
        "proposals": len(document["rejected_pairs"]),
        "pairs": [_pair(pair, home, folder) for pair in document["pairs"]],
        "down": _turned_down(document, folder),
    }


def _pair(pair: Mapping[str, Any], home: Path, folder: Path) -> dict[str, Any]:
    """Return what the page shows of a pair; sides that were not written are shown as they were found.

    `home` is where the page was when the outputs were written, `folder` where it will be.
    """
    lr, hr = pair["lr_output"], pair["hr_output"]
    return {
        "name": _name(hr or lr or pair["hr"]),
        "images": [
            _link(lr, home) if lr else _link(pair["lr"], folder),
            _link(hr, home) if hr else _link(pair["hr"], folder),
        ],
        "aligned": bool(lr and hr),
        "lr": printable(pair["lr"]),
        "hr": printable(pair["hr"]),
        "method": pair["method"],
        "native": pair["native_scale"],
        "flow": pair["flow"],
        "window": pair["window"],
        "rivals": [_name(rival) for rival in pair["rivals"]],
        **{name: pair[name] for name in NUMBERS},
    }


def _turned_down(document: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Return the images that are in no pair, each with the one that came closest."""
    judged: dict[str, list[Mapping[str, Any]]] = {}
    for pair in document["rejected_pairs"]:
        for side in ("lr", "hr"):
            judged.setdefault(pair[side], []).append(pair)
    return [_image(image, judged.get(image["path"], []), folder) for image in document["rejected_images"]]


def _image(image: Mapping[str, Any], judged: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    shown = {
        "side": image["side"],
        "name": _name(image["path"]),
        "image": _link(image["path"], folder),
        "reason": image["reason"],
        "detail": printable(image["detail"]),
        "looked": len(judged),
        "closest": None,
    }
    if not judged:
        return shown
    closest = max(judged, key=_closeness)
    other = closest["hr" if image["side"] == "LR" else "lr"]
    shown["closest"] = {
        "name": _name(other),
        "image": _link(other, folder),
        "reason": closest["reason"],
        "detail": printable(closest["detail"]),
        **{name: closest[name] for name in NUMBERS},
    }
    return shown


def _closeness(pair: Mapping[str, Any]) -> tuple[float, int]:
    """Return how far a pair came: by its pixels, where those were compared, else by its features."""
    likeness = -2.0 if pair["correlation"] is None else pair["correlation"] * pair["coverage"]
    return likeness, -1 if pair["inliers"] is None else pair["inliers"]


def _name(path: str) -> str:
    return printable(Path(path).name)


def _link(path: str, folder: Path) -> str:
    """Return where a file is as seen from a page in `folder`."""
    try:
        seen = Path(os.path.relpath(path, folder.absolute())).as_posix()
    except ValueError:  # on another drive
        return Path(path).as_uri()
    return quote(os.fsencode(seen))
