"""What a DEST's report and table hold, the report's schema, and records that are made up."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec

from tests.support.paths import ROOT
from twimager.report.schema import ReportDocument

SCHEMA = json.loads((ROOT / "twimager/report/report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def report_of(dest: Path) -> dict:
    return json.loads((dest / "report.json").read_text())


def typed(report: dict[str, Any]) -> ReportDocument:
    """A report as it is read."""
    return msgspec.convert(report, ReportDocument)


def hr_names(dest: Path) -> list[str]:
    """The names of the HR images that are in pairs, as written."""
    return [Path(pair["hr_output"]).name for pair in report_of(dest)["pairs"]]


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there are values in a document, by what leads there."""
    inner = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def of_films(report: dict[str, Any]) -> dict[str, Any]:
    """A report whose pairs are taken for frames of two videos, a pair a segment; the HR has the scenes swapped."""
    count = len(report["pairs"])
    for number, pair in enumerate(report["pairs"]):
        lr, hr = 62.48 + 10 * number, 63.456 + 10 * (count - 1 - number)
        pair["lr_frame"] = {"video": "/films/dvd.mpg", "number": 25 * number, "pts": 1, "seconds": lr}
        pair["hr_frame"] = {"video": "/films/bluray.mkv", "number": 24 * number, "pts": 2, "seconds": hr}
    segments = [
        {
            "lr_from": pair["lr_frame"]["seconds"] - 2,
            "lr_to": pair["lr_frame"]["seconds"] + 2,
            "hr_from": pair["hr_frame"]["seconds"] - 2,
            "hr_to": pair["hr_frame"]["seconds"] + 2,
            "rate": 1.04271,
            "confidence": 0.99,
        }
        for pair in report["pairs"]
    ]
    timeline = {"lr": "/films/dvd.mpg", "hr": "/films/bluray.mkv", "mapped": 0.75, "chosen": count, "left_out": {}}
    timeline["weave"] = 0.004
    report["timelines"] = [{**timeline, "lr_span": [50, 120], "hr_span": [55.5, 110], "segments": segments}]
    return report
