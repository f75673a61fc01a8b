"""The report as a page: every pair to look at, in one file that asks nothing of any network."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from twimager.output.atomic import write_files
from twimager.output.layout import PAGE
from twimager.report.reader import damaged, first_folder, home_of, read_report
from twimager.report.records import closeness
from twimager.runtime.console import printable
from twimager.verify.scores import Scores
from twimager.web.template import fill

# The numbers of a pair that the page shows, as the report has them.
NUMBERS = (
    "correlation", "residual", "coverage", "hash_agreement", "color_distance", "hash_distance", "inliers", "source",
    "mirrored",
)  # fmt: skip
TEMPLATE = "page"
SCRIPTS = ("list.js", "histogram.js", "viewer.js", "decisions.js", "start.js")


class Links(Protocol):
    """Where a page finds images."""

    def output(self, pair: Mapping[str, Any], side: str) -> str:
        """Return the link to a pair's output, `lr` or `hr`, which was written."""

    def source(self, path: str, side: str) -> str:
        """Return the link to an image as it was found in the folder of a side."""


def page(document: Mapping[str, Any], folder: Path) -> bytes:
    """Return the page of a report, which is to lie in `folder`: HTML that refers to the images where they are.

    Parameters
    ----------
    document : the report, as `report.document.document` makes it or `report.json` holds it
    folder : where the page will be; the images are named as seen from there
    """
    return fill(TEMPLATE, SCRIPTS, contents(document, _FromDisk(document, folder))).html


def rebuild(report: Path) -> Path:
    """Write the page of a report anew, beside it; return where it is.

    Raises
    ------
    UsageError
        If the file can't be read, or is no report of this version.
    TwimagerError
        If nothing can be written there.
    """
    document = read_report(report)
    try:
        made = page(document, report.parent)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(report) from error
    path = report.with_name(PAGE)
    write_files({path: made}, uuid.uuid4().hex, replace=True, dest=home_of(report, document["settings"]))
    return path


def contents(document: Mapping[str, Any], links: Links) -> dict[str, Any]:
    """Return what the page shows, as its scripts know it."""
    settings = document["settings"]
    return {
        "twimager": document["twimager"],
        "title": shown_name(settings["dest"] or ""),
        "dry": settings["dry"],
        "scale": settings["scale"],
        "proposals": len(document["rejected_pairs"]),
        "pairs": [_pair(pair, links) for pair in document["pairs"]],
        "down": _turned_down(document, links),
        "decisions": {
            "accepted": [number for number, pair in enumerate(document["pairs"]) if pair["accepted"]],
            "deleted": [],
        },
        "served": False,
    }


class _FromDisk:
    """Links for a page in `folder`, from where the images are seen."""

    def __init__(self, document: Mapping[str, Any], folder: Path) -> None:
        self._folder = folder
        self._then = first_folder(document["settings"])

    def output(self, pair: Mapping[str, Any], side: str) -> str:
        return link_to(pair[f"{side}_output"], self._then)

    def source(self, path: str, side: str) -> str:
        return link_to(path, self._folder)


def _pair(pair: Mapping[str, Any], links: Links) -> dict[str, Any]:
    """Return what the page shows of a pair; sides that were not written are shown as they were found."""
    lr, hr = pair["lr_output"], pair["hr_output"]
    return {
        "name": shown_name(hr or lr or pair["hr"]),
        "images": [
            links.output(pair, "lr") if lr else links.source(pair["lr"], "lr"),
            links.output(pair, "hr") if hr else links.source(pair["hr"], "hr"),
        ],
        "aligned": bool(lr and hr),
        "lr": printable(pair["lr"]),
        "hr": printable(pair["hr"]),
        "method": pair["method"],
        "native": pair["native_scale"],
        "flow": pair["flow"],
        "window": pair["window"],
        "rivals": [shown_name(rival) for rival in pair["rivals"]],
        **{name: pair[name] for name in NUMBERS},
    }


def _turned_down(document: Mapping[str, Any], links: Links) -> list[dict[str, Any]]:
    """Return the images that are in no pair, each with the one that came closest."""
    judged: dict[str, list[Mapping[str, Any]]] = {}
    for pair in document["rejected_pairs"]:
        for side in ("lr", "hr"):
            judged.setdefault(pair[side], []).append(pair)
    return [_image(image, judged.get(image["path"], []), links) for image in document["rejected_images"]]


def _image(image: Mapping[str, Any], judged: Sequence[Mapping[str, Any]], links: Links) -> dict[str, Any]:
    own, others = ("lr", "hr") if image["side"] == "LR" else ("hr", "lr")
    shown = {
        "side": image["side"],
        "name": shown_name(image["path"]),
        "image": links.source(image["path"], own),
        "reason": image["reason"],
        "detail": printable(image["detail"]),
        "looked": len(judged),
        "closest": None,
    }
    if not judged:
        return shown
    closest = max(judged, key=_closeness)
    other = closest[others]
    shown["closest"] = {
        "name": shown_name(other),
        "image": links.source(other, others),
        "reason": closest["reason"],
        "detail": printable(closest["detail"]),
        **{name: closest[name] for name in NUMBERS},
    }
    return shown


def _closeness(pair: Mapping[str, Any]) -> tuple[float, int]:
    compared = pair["correlation"] is not None
    return closeness(Scores(pair["correlation"], pair["coverage"]) if compared else None, pair["inliers"])


def shown_name(path: str) -> str:
    """Return a file's name, as any screen can show it."""
    return printable(Path(path).name)


def link_to(path: str, folder: Path) -> str:
    """Return where a file is as seen from a page in `folder`."""
    try:
        seen = Path(os.path.relpath(path, folder.absolute())).as_posix()
    except ValueError:  # on another drive
        return Path(path).as_uri()
    return quote(os.fsencode(seen))
