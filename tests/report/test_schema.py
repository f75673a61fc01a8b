"""What a report is read as is what `report.schema.json` documents."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.report import SCHEMA, VALIDATOR, places, report_of
from twimager.report.reader import read_report, to_bytes
from twimager.report.schema import ReportDocument, UsedSettings

VALUES = (None, True, False, 0, 1, -1, 0.5, 101, "", "png", "text", [], [1], [[1]], {}, {"lr": 1}, [0, 0, 1, 1])
PLAIN = {"type": ["null", "boolean", "number", "string"]}


def documented() -> jsonschema.Draft202012Validator:
    """The schema as it is for a reader: reasons may be new, and settings that it does not use anything plain."""
    schema = copy.deepcopy(SCHEMA)
    schema["$defs"]["reason"] = {"type": "string"}
    settings, used = schema["properties"]["settings"], UsedSettings.__struct_fields__
    settings["properties"] = {name: settings["properties"][name] for name in used}
    settings["required"] = used
    settings["additionalProperties"] = {"type": [*PLAIN["type"], "array"], "items": PLAIN}
    return jsonschema.Draft202012Validator(schema)


def is_report(value: Any) -> bool:
    try:
        return bool(msgspec.convert(value, ReportDocument).used_settings)
    except ValueError:
        return False


def changed(document: Any, change: random.Random) -> Any:
    """A copy of a document with another value somewhere, a key less or one more."""
    other = copy.deepcopy(document)
    *path, key = change.choice(places(document)[1:])
    inner = other
    for step in path:
        inner = inner[step]
    kind = change.randrange(4)
    if kind == 0:
        del inner[key]
    elif kind == 1 and isinstance(inner[key], dict):
        inner[key]["more"] = change.choice(VALUES)
    else:
        inner[key] = change.choice(VALUES)
    return other


@pytest.fixture
def report(run: Run, folders: Folders) -> dict[str, Any]:
    """A report of two rejected pairs and a pair that was accepted in a review."""
    run(*folders.flags, "--report")
    written = report_of(folders.dest)["pairs"][0]
    run(*folders.flags, "--report", "--min_overlap", 0.99, "--overwrite")
    report = report_of(folders.dest)
    tile = {"lr_output": None, "hr_output": written["hr_output"], "window": written["window"]}
    report["pairs"] = [{**written, "accepted": True, "tiles": [tile]}]
    return report


@pytest.mark.slow
def test_a_report_is_read_or_refused_as_its_schema_says(report: dict[str, Any]) -> None:
    change, validator, answers = random.Random(3), documented(), []
    assert is_report(report)
    VALIDATOR.validate(report)
    for _ in range(1000):
        other = changed(report, change)
        answers.append(is_report(other))
        assert answers[-1] == validator.is_valid(other), json.dumps(other)
    assert 30 < sum(answers) < 970


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inliers", 1.0), ("inliers", 10**30), ("residual", float("nan")), ("residual", float("inf")),
        ("flow", 10**400), ("lr", "x" * 40_000),
    ],
)  # fmt: skip
def test_what_is_read_is_bounded_too(report: dict[str, Any], key: str, value: Any) -> None:
    report["pairs"][0][key] = value
    assert VALIDATOR.is_valid(report)
    assert not is_report(report)


@pytest.mark.parametrize("flags", [(), ("--min_overlap", 0.99), ("--output", "hr", "--method", "flow", "--scale", 1.5)])
def test_a_report_that_is_read_is_written_as_it_was(run: Run, folders: Folders, flags: tuple[object, ...]) -> None:
    run(*folders.flags, "--report", *flags)
    (path,) = folders.dest.rglob("report.json")
    assert to_bytes(read_report(path)) == path.read_bytes()
