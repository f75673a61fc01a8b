"""What is kept of a run beside its images: the report, a page and a table of it, lists for loaders."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec

from twimager.options import parse_scale
from twimager.output.layout import DATABASES, LISTS, PAGE, REPORT, TABLE, document_paths
from twimager.report.document import document
from twimager.report.lists import listed, shortcoming
from twimager.report.page import page
from twimager.report.reader import first_folder, to_bytes
from twimager.report.records import Report
from twimager.report.schema import PairRecord, ReportDocument
from twimager.report.thumbnails import Thumbnails, no_thumbnails
from twimager.runtime.console import printable

# How formulas of spreadsheets begin; after an apostrophe it is text.
FORMULA = re.compile(r"[=+\-@\t\r]")
# The table's columns that are in a pair's record under the same name.
PLAIN = (
    "lr", "hr", "lr_output", "hr_output", "mask_output", "split", "group", "method", "native_scale", "correlation",
    "residual", "coverage", "hash_agreement", "hash_distance", "inliers", "source", "mirrored", "negative", "flow",
    "color_distance", "agreed", "different", "unjudged", "contradicted", "weave",
)  # fmt: skip
WINDOW = ("x", "y", "width", "height")
# What is known of a frame of a video, of either side; empty for other images.
OF_FRAME = ("video", "number", "pts", "seconds")
FRAMES = tuple(f"{side}_{name}" for side in ("lr", "hr") for name in OF_FRAME)


def documents(report: Report, warn: Callable[[str], None], thumbnails: Thumbnails = no_thumbnails) -> dict[Path, bytes]:
    """Return the files that a run keeps beside its images; `warn` gets a line on what they can't hold.

    The page of a run that was stopped has no thumbnails, as that has to end.
    """
    paths = document_paths(report.options)
    if not paths:
        return {}
    kept = document(report)
    folder = report.options.run.dest or Path()
    if report.stopped:  # the databases come once all is written
        paths = {name: path for name, path in paths.items() if path.parent.name not in DATABASES.values()}
    made = {REPORT: to_bytes(kept), **beside(kept, folder, paths, no_thumbnails if report.stopped else thumbnails)}
    for line in (shortcoming(name, kept.pairs) for name in paths if name in LISTS):
        if line:
            warn(line)
    # Hugging Face fails at a list of nothing, be it that of one side of a split.
    return {path: made[name] for name, path in paths.items() if made[name] or "/" not in name}


def beside(
    kept: ReportDocument, folder: Path, names: Collection[str], thumbnails: Thumbnails = no_thumbnails
) -> dict[str, bytes]:
    """Return those of the documents made of a report in `folder` that are in `names`, by name."""
    settings = kept.used_settings
    makers: dict[str, Callable[[], bytes]] = {
        TABLE: lambda: table(kept.pairs, first_folder(settings)),
        PAGE: lambda: page(kept, folder, thumbnails),
    }
    scale = parse_scale(str(settings.scale))
    lists = {name: listed(name, kept.pairs, scale) for name in LISTS if name in names}
    return {name: make() for name, make in makers.items() if name in names} | lists


def table(pairs: Iterable[PairRecord], folder: Path) -> bytes:
    """Return a line a pair, for spreadsheets: CSV in UTF-8 with a byte order mark.

    Outputs are named as seen from `folder`, where the report lay when they were written.
    """
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow([*PLAIN, *WINDOW, "rivals", "tiles", *FRAMES])
    for pair in pairs:
        outputs = {f"{side}_output": _below(path, folder) for side, path in pair.shown.outputs.items()}
        cells = {**msgspec.to_builtins(pair), **outputs}
        counts = len(pair.rivals), len(pair.tiles)
        frames = [getattr(frame, name, None) for frame in (pair.lr_frame, pair.hr_frame) for name in OF_FRAME]
        lines.writerow(map(_cell, [*(cells[column] for column in PLAIN), *pair.window, *counts, *frames]))
    return text.getvalue().encode("utf-8-sig")


def _below(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.absolute())).as_posix()


def _cell(value: Any) -> Any:
    """Return the cell of a value: text is never a formula, what is unknown is empty."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if FORMULA.match(value) else shown
