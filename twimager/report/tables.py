"""What is kept of a run beside its images: the report, a page and a table of it, a list of the HRs."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from twimager.geometry import Rect
from twimager.options import parse_scale
from twimager.output.layout import META_INFO, PAGE, REPORT, TABLE, document_paths
from twimager.output.render import output_size
from twimager.report.document import document
from twimager.report.page import page
from twimager.report.reader import first_folder, to_bytes
from twimager.report.records import Report
from twimager.report.schema import PairRecord, ReportDocument
from twimager.runtime.console import printable

# How formulas of spreadsheets begin; after an apostrophe it is text.
FORMULA = re.compile(r"[=+\-@\t\r]")
# The table's columns that are in a pair's record under the same name.
PLAIN = (
    "lr", "hr", "lr_output", "hr_output", "mask_output", "method", "native_scale", "correlation", "residual",
    "coverage", "hash_agreement", "hash_distance", "inliers", "source", "mirrored", "negative", "flow",
    "color_distance", "agreed", "different", "unjudged", "contradicted",
)  # fmt: skip
WINDOW = ("x", "y", "width", "height")
# Loaders split the list into lines there, and lines after the name.
BETWEEN_NAMES = re.compile(r"\s")


def documents(report: Report, warn: Callable[[str], None]) -> dict[Path, bytes]:
    """Return the files that a run keeps beside its images; `warn` gets a line on what they can't hold."""
    paths = document_paths(report.options)
    if not paths:
        return {}
    kept = document(report)
    folder = next(iter(paths.values())).parent
    made = {REPORT: to_bytes(kept), **beside(kept, folder, paths)}
    if META_INFO in paths:
        names = [name for pair in kept.pairs for name, _ in _hrs(pair)]
        if left_out := sum(map(_is_split, names)):
            warn(f"{META_INFO}: {left_out} of {len(names)} HRs are not listed, as their names hold spaces")
    return {path: made[name] for name, path in paths.items()}


def beside(kept: ReportDocument, folder: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return those of the documents made of a report in `folder` that are in `names`, by name."""
    settings = kept.used_settings
    makers: dict[str, Callable[[], bytes]] = {
        TABLE: lambda: table(kept.pairs, first_folder(settings)),
        PAGE: lambda: page(kept, folder),
        META_INFO: lambda: meta_info(kept.pairs, parse_scale(str(settings.scale))),
    }
    return {name: make() for name, make in makers.items() if name in names}


def table(pairs: Iterable[PairRecord], folder: Path) -> bytes:
    """Return a line a pair, for spreadsheets: CSV in UTF-8 with a byte order mark.

    Outputs are named as seen from `folder`, where the report lay when they were written.
    """
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow([*PLAIN, *WINDOW, "rivals", "tiles"])
    for pair in pairs:
        outputs = {f"{side}_output": _below(path, folder) for side, path in pair.shown.outputs.items()}
        cells = {**msgspec.to_builtins(pair), **outputs}
        counts = len(pair.rivals), len(pair.tiles)
        lines.writerow(map(_cell, [*(cells[column] for column in PLAIN), *pair.window, *counts]))
    return text.getvalue().encode("utf-8-sig")


def meta_info(pairs: Iterable[PairRecord], scale: Fraction) -> bytes:
    """Return the list of HRs that BasicSR and Real-ESRGAN take as `meta_info`: `name.png (height,width,channels)`.

    Names that the loaders would split are left out.
    """
    lines = []
    for name, window in (hr for pair in pairs for hr in _hrs(pair) if not _is_split(hr[0])):
        width, height = output_size(window, scale)
        lines.append(f"{name} ({height},{width},3)\n")
    return "".join(sorted(lines)).encode("utf-8", "surrogateescape")


def _hrs(pair: PairRecord) -> list[tuple[str, Rect]]:
    """Return the names of a pair's HR files, and the LR pixels that each shows."""
    return [(Path(part.hr_output).name, Rect(*part.window)) for part in pair.parts if part.hr_output]


def _is_split(name: str) -> bool:
    return bool(BETWEEN_NAMES.search(name))


def _below(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.absolute())).as_posix()


def _cell(value: Any) -> Any:
    """Return the cell of a value: text is never a formula, what is unknown is empty."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if FORMULA.match(value) else shown
