"""Our own validator agrees with a library's."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import jsonschema
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.report import SCHEMA, VALIDATOR, places, report_of
from twimager.report.schema import compiled

VALUES = (None, True, False, 0, 1, -1, 0.5, 101, "", "png", "text", [], [1], [[1]], {}, {"lr": 1}, [0, 0, 1, 1])


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


def test_a_report_is_valid_where_a_library_finds_it_valid(run: Run, folders: Folders) -> None:
    run(*folders.flags, "--report", "--min_overlap", 0.99)
    report, check, change = report_of(folders.dest), compiled(SCHEMA, SCHEMA["$defs"]), random.Random(3)
    assert check(report)
    answers = []
    for _ in range(500):
        other = changed(report, change)
        answers.append(check(other))
        assert answers[-1] == VALIDATOR.is_valid(other), json.dumps(other)
    assert 15 < sum(answers) < 485


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1.0), ({"type": "integer"}, 10**30), ({"type": "number"}, float("nan")),
        ({"type": "number"}, float("inf")), ({"type": "number"}, 10**400), ({"type": "string"}, "x" * 40_000),
    ],
)  # fmt: skip
def test_it_is_stricter_where_numbers_or_names_have_no_bound(schema: dict[str, Any], value: Any) -> None:
    assert jsonschema.Draft202012Validator(schema).is_valid(value)
    assert not compiled(schema)(value)


def test_an_unknown_keyword_promises_nothing() -> None:
    with pytest.raises(KeyError):
        compiled({"pattern": "x"})
