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
