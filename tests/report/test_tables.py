"""What is kept beside the images: a table that spreadsheets read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.report import report_of, rows_of
from twimager.propose.proposal import Source
from twimager.report.schema import PairRecord
from twimager.report.tables import table


def record(**changed: Any) -> PairRecord:
    """A pair as the report has it."""
    plain: dict[str, Any] = {
        "lr": "/in/l.png", "hr": "/in/h.png", "lr_output": "/out/LR/h.png", "hr_output": "/out/HR/h.png",
        "mask_output": None, "method": "transform", "native_scale": 1.5, "weave": None,
        "correlation": 0.9, "residual": None,
        "coverage": 1.0, "negative": False, "channels": 3, "split": None, "group": None, "tiles": [], "clip": [],
        "hash_agreement": 99.0, "hash_distance": 2, "inliers": 50, "source": Source.FEATURES, "mirrored": False,
        "flow": None, "color_distance": None, "window": (1, 2, 30, 40), "rivals": [], "accepted": None,
        "lr_frame": None, "hr_frame": None,
        "matrix": np.eye(3).tolist(), "lr_picture": (0, 0, 50, 60), "hr_picture": (0, 0, 150, 180),
        "agreed": 0.9, "different": 0.01, "unjudged": 0.09, "contradicted": 0.0, "agreement": None,
    }  # fmt: skip
    return PairRecord(**{**plain, **changed})


def test_the_table_has_a_line_a_pair_with_the_numbers_of_the_report(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, "--report").code == 0
    pairs = report_of(folders.dest)["pairs"]
    rows = rows_of((folders.dest / "pairs.csv").read_bytes())
    assert len(rows) == len(pairs) == 2
    for row, pair in zip(rows, pairs, strict=True):
        assert row["lr"] == pair["lr"]
        assert (folders.dest / row["hr_output"]).samefile(pair["hr_output"])
        assert float(row["correlation"]) == pair["correlation"]
        assert all(float(row[key]) == pair[key] for key in ("agreed", "different", "unjudged", "contradicted"))
        assert [int(row[key]) for key in ("x", "y", "width", "height")] == pair["window"]


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1"])
def test_no_name_is_a_formula(name: str) -> None:
    (row,) = rows_of(table([record(hr_output=f"/out/{name}.png")], Path("/out")))
    assert row["hr_output"][0] == "'"
    assert row["hr_output"].endswith(f"{name.strip()}.png")


def test_numbers_stay_numbers_and_what_is_unknown_is_empty() -> None:
    (row,) = rows_of(table([record(correlation=-0.25)], Path("/out")))
    assert (row["correlation"], row["residual"], row["mirrored"]) == ("-0.25", "", "False")


def test_a_name_stays_in_its_line_and_cell() -> None:
    names = {"lr": 'a,"b";c', "hr": "line\nbreak", "lr_output": None, "hr_output": "/out/caf\udce9.png"}
    (row,) = rows_of(table([record(**names)], Path("/out")))
    assert [row[key] for key in names] == ['a,"b";c', "line\ufffdbreak", "", "caf?.png"]


def test_resume_adds_documents_that_are_new_to_the_run(run: Run, folders: Folders) -> None:
    first = run(*folders.flags)
    assert run(*folders.flags, "--resume", "--meta_info", "--report").code == first.code == 0
    assert len((folders.dest / "meta_info.txt").read_text().splitlines()) == 2
    assert len(rows_of((folders.dest / "pairs.csv").read_bytes())) == 2
