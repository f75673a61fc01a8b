"""What is kept beside the images: a table that spreadsheets read, a list that loaders read."""

import os
import sys
from pathlib import Path
from typing import Any

import cv2
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
        "mask_output": None, "method": "transform", "native_scale": 1.5, "correlation": 0.9, "residual": None,
        "coverage": 1.0, "negative": False, "tiles": [],
        "hash_agreement": 99.0, "hash_distance": 2, "inliers": 50, "source": Source.FEATURES, "mirrored": False,
        "flow": None, "color_distance": None, "window": (1, 2, 30, 40), "rivals": [], "accepted": None,
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


def test_meta_info_is_what_basicsr_reads(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, "--meta_info", "--scale", "1.5").code == 0
    lines = (folders.dest / "meta_info.txt").read_text().splitlines()
    expected = []
    for path in sorted((folders.dest / "HR").iterdir()):
        height, width, channels = cv2.imread(str(path)).shape
        expected.append(f"{path.name} ({height},{width},{channels})")
    assert lines == expected
    assert len(lines) == 2
    assert {path.name for path in folders.dest.iterdir()} == {"LR", "HR", "meta_info.txt", ".twimager"}


def test_meta_info_leaves_out_names_at_which_loaders_fail(run: Run, folders: Folders) -> None:
    (folders.hr / "h0.png").rename(folders.hr / "h 0.png")
    outcome = run(*folders.flags, "--meta_info", "--output", "hr")
    assert outcome.code == 0
    assert "1 of 2 HRs are not listed" in outcome.err
    assert (folders.dest / "meta_info.txt").read_text() == "h1.png (266,400,3)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_meta_info_names_files_by_their_bytes(run: Run, folders: Folders) -> None:
    odd = b"caf\xe9.png"
    (folders.hr / "h0.png").rename(folders.hr / os.fsdecode(odd))
    assert run(*folders.flags, "--meta_info", "--report").code == 0
    assert odd + b" (200,300,3)\n" in (folders.dest / "meta_info.txt").read_bytes()


@pytest.mark.parametrize("flag", [["--dry"], ["--output", "lr"]])
def test_without_hrs_there_is_no_meta_info(run: Run, folders: Folders, flag: list[str]) -> None:
    outcome = run(*folders.flags, "--meta_info", *flag)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--meta_info" in outcome.err
    assert not folders.dest.exists()


def test_resume_adds_documents_that_are_new_to_the_run(run: Run, folders: Folders) -> None:
    first = run(*folders.flags)
    assert run(*folders.flags, "--resume", "--meta_info", "--report").code == first.code == 0
    assert len((folders.dest / "meta_info.txt").read_text().splitlines()) == 2
    assert len(rows_of((folders.dest / "pairs.csv").read_bytes())) == 2
