"""What is kept of a run beside its images: the report, a page and a table of it, a list of the HRs."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from twimager.console import printable
from twimager.destination import META_INFO, PAGE, REPORT, TABLE, document_paths
from twimager.gallery import page
from twimager.records import document
from twimager.rendering import output_size
from twimager.report import Record, Report

# What a spreadsheet takes for the beginning of a formula; after an apostrophe it is text.
FORMULA = re.compile(r"[=+\-@\t\r]")
# The table's columns that are in a pair's record under the same name.
PLAIN = (
    "lr", "hr", "lr_output", "hr_output", "method", "native_scale", "correlation", "residual", "coverage",
    "hash_agreement", "hash_distance", "inliers", "source", "mirrored", "flow",
    "color_distance",
)  # fmt: skip
WINDOW = ("x", "y", "width", "height")
# Loaders split lines of the list there, and what is behind a name from the name.
BETWEEN_NAMES = re.compile(r"\s")


def documents(report: Report, warn: Callable[[str], None]) -> dict[Path, bytes]:
    """Return the files that a run keeps beside its images; `warn` hears of what they can't hold."""
    paths = document_paths(report.options)
    files = {}
    if REPORT in paths:
        kept = document(report)
        files[paths[REPORT]] = (json.dumps(kept, indent=1) + "\n").encode()
        files[paths[TABLE]] = table(kept["pairs"], paths[REPORT].parent)
        files[paths[PAGE]] = page(kept, paths[REPORT].parent)
    if META_INFO in paths:
        listed = [record for record in report.pairs if record.hr_output]
        fitting = [record for record in listed if record.hr_output and not BETWEEN_NAMES.search(record.hr_output.name)]
        files[paths[META_INFO]] = meta_info(fitting, report.options.scale)
        if left_out := len(listed) - len(fitting):
            warn(f"{META_INFO}: {left_out} of {len(listed)} HRs are not listed, as their names hold spaces")
    return files


def table(pairs: Iterable[dict[str, Any]], folder: Path) -> bytes:
    """Return a line a pair, for spreadsheets: CSV in UTF-8 with a byte order mark.

    `pairs` are records of the report, outputs are named as seen from `folder`.
    """
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow([*PLAIN, *WINDOW, "rivals"])
    for pair in pairs:
        outputs = {key: pair[key] and _below(pair[key], folder) for key in ("lr_output", "hr_output")}
        cells = [{**pair, **outputs}[column] for column in PLAIN]
        lines.writerow(map(_cell, [*cells, *pair["window"], len(pair["rivals"])]))
    return text.getvalue().encode("utf-8-sig")


def meta_info(records: Iterable[Record], scale: Fraction) -> bytes:
    """Return the list of HRs that BasicSR and Real-ESRGAN take as `meta_info`: `name.png (height,width,channels)`."""
    lines = []
    for record in records:
        assert record.hr_output
        width, height = output_size(record.pair.window, scale)
        lines.append(f"{record.hr_output.name} ({height},{width},3)\n")
    return "".join(sorted(lines)).encode("utf-8", "surrogateescape")


def _below(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.absolute())).as_posix()


def _cell(value: Any) -> Any:
    """Return what a spreadsheet is given: text is never a formula, what is unknown is empty."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if FORMULA.match(value) else shown
