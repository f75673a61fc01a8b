"""What a run prints at its end, for people and for programs."""

import json
import shlex
import sys

import cv2
import msgspec
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.pictures import cat, picture
from twimager.report.summary import Summary

KEYS = [
    "twimager", "exit_code", "pairs", "written", "lr_left", "hr_left", "closest", "unreadable", "unwritten", "tiles",
    "without_tile", "clips", "without_clip", "scale", "enlarged", "median_native_scale", "negatives", "inverted",
    "split", "dest", "documents",
]  # fmt: skip


def summary(**changed: object) -> Summary:
    plain = Summary("0", 0, 9, True, {}, {}, {}, 0, 0, 0, 0, 0, 0, 2.0, 0, 1.5, 0, False, {}, "out", {})
    return msgspec.structs.replace(plain, **changed)


@pytest.fixture
def mixed(folders: Folders) -> Folders:
    """Two pairs; an LR of nothing, one whose HR covers too little, and a broken HR."""
    cv2.imwrite(str(folders.lr / "noise.png"), np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))
    cv2.imwrite(str(folders.hr / "part.png"), picture("P1040771")[:, :420])
    cv2.imwrite(str(folders.lr / "whole.png"), picture("P1040771")[::4, ::4])
    (folders.hr / "broken.png").write_bytes(cv2.imencode(".png", cat())[1].tobytes()[:500])
    return folders


def test_json_has_the_same_keys_whatever_came_of_it(run: Run, mixed: Folders) -> None:
    outcome = run(*mixed.flags, "--json", "--report", "--min_overlap", 0.9)
    found = json.loads(outcome.out)
    assert list(found) == KEYS == list(Summary.__struct_fields__)
    assert (found["exit_code"], found["pairs"], found["written"], found["unreadable"]) == (outcome.code, 2, True, 1)
    assert found["lr_left"] == {"similar but rejected": 1, "nothing similar": 1}
    assert found["closest"] == {"too little overlap": 1}
    assert found["documents"]["report.json"] == str(mixed.dest / "report.json")
    nothing = run("--lr", mixed.lr, "--hr", mixed.hr, "--dry", "--json", "--quiet", "--threshold", 100)
    assert list(json.loads(nothing.out)) == KEYS


def test_json_is_the_same_when_there_is_nothing_left_to_do(run: Run, folders: Folders) -> None:
    first = run(*folders.flags, "--json")
    assert run(*folders.flags, "--json", "--resume") == first
    assert "pairs written: 2\n" in run(*folders.flags, "--resume").out


def test_a_run_that_was_refused_prints_no_json(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, "--json", "--scale", 99)[:2] == (2, "")


def test_the_text_names_what_was_found_what_not_and_why(run: Run, mixed: Folders) -> None:
    lines = run(*mixed.flags, "--report", "--min_overlap", 0.9).out.splitlines()
    assert lines[:3] == [
        "pairs written: 2",
        "LR left without a pair: 2 (1 nothing similar, 1 similar but rejected)",
        "  the HRs that came closest: 1 too little overlap",
    ]
    assert "files that could not be read: 1" in lines
    assert f"images: {mixed.dest}" in lines
    assert lines[-1] == f"to sort out: twimager review {mixed.dest / 'report.json'}"


def test_no_review_is_named_where_there_is_nothing_to_review() -> None:
    assert "review" in summary(documents={"report.json": "report.json"}).to_text()
    for changed in ({"written": False}, {"pairs": 0}, {"documents": {}}):
        assert "review" not in summary(**{"documents": {"report.json": "report.json"}, **changed}).to_text()


@pytest.mark.skipif(sys.platform == "win32", reason="quotes are others there")
def test_the_command_can_be_copied_whatever_the_folder_is_called() -> None:
    line = summary(documents={"report.json": "/a b/it's/report.json"}).to_text().splitlines()[-1]
    assert shlex.split(line)[-1] == "/a b/it's/report.json"


def test_all_reasons_are_named() -> None:
    left = {"nothing similar": 40, "in a better pair": 7, "crop does not fit": 3, "skipped by hand": 2}
    line = summary(lr_left=left).to_text().splitlines()[1]
    assert line == (
        "LR left without a pair: 52 (40 nothing similar, 7 in a better pair, 3 crop does not fit, 2 skipped by hand)"
    )


def test_enlargement_is_counted_and_warned_of_where_it_is_the_rule() -> None:
    assert "enlarged" not in summary(enlarged=0, median_native_scale=1.1).to_text()
    some = summary(enlarged=4, median_native_scale=1.1).to_text().splitlines()
    assert "HRs that are enlarged or soft for --scale 2: 4 (--min_native_scale 1 rejects them)" in some
    assert not any("warning" in line for line in some)
    text = summary(enlarged=5, median_native_scale=0.8).to_text()
    assert (
        "warning: 5 of 9 HRs have fewer pixels that hold detail than --scale 2 asks for and are enlarged, by 1.25"
        in text
    )
    assert "--scale 1.6 would suit half of them" in text
