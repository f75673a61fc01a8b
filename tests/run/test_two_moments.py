"""LRs of two moments are rejected as what they are, but for --keep_combed."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.pictures import cat
from tests.support.report import report_of
from twimager.errors import Reason


@pytest.fixture
def film(tmp_path: Path) -> Folders:
    """Four frames, in which a ball moves, as HRs; a combed LR, a blended one, and one of a single moment."""
    made = Folders(tmp_path / "low", tmp_path / "high", tmp_path / "out")
    made.lr.mkdir()
    made.hr.mkdir()
    texture = cv2.resize(np.random.default_rng(1).integers(0, 255, (9, 9, 3), np.uint8), (160, 160))
    low = []
    for moment in range(4):
        hr = cv2.resize(cat(), (800, 600))
        hr[120:280, 100 + 24 * moment : 260 + 24 * moment] = texture
        cv2.imwrite(str(made.hr / f"h{moment}.png"), hr)
        low.append(cv2.resize(hr, (400, 300), interpolation=cv2.INTER_AREA))
    combed = low[0].copy()
    combed[1::2] = low[1][1::2]
    blended = cv2.addWeighted(low[1], 0.5, low[2], 0.5, 0)
    for name, lr in (("combed", combed), ("blended", blended), ("clean", low[3])):
        cv2.imwrite(str(made.lr / f"{name}.png"), lr)
    return made


@pytest.mark.parametrize("flags", [(), pytest.param(("--all_matches",), marks=pytest.mark.slow)])
def test_they_are_named(run: Run, film: Folders, flags: tuple[str, ...]) -> None:
    assert run(*film.flags, "--report", *flags).code == 0
    report = report_of(film.dest)
    assert {Path(pair["lr"]).stem for pair in report["pairs"]} == {"clean"}
    named = {(Path(pair["lr"]).stem, pair["reason"]) for pair in report["rejected_pairs"]}
    assert {("combed", Reason.COMBED.value), ("blended", Reason.BLENDED.value)} <= named


def test_they_are_kept_when_asked_for(run: Run, film: Folders) -> None:
    assert run(*film.flags, "--report", "--keep_combed").code == 0
    pairs = {Path(pair["lr"]).stem: Path(pair["hr"]).stem for pair in report_of(film.dest)["pairs"]}
    assert pairs["clean"] == "h3"
    assert pairs["combed"] in ("h0", "h1")
    assert pairs["blended"] in ("h1", "h2")


def test_combed_lrs_that_move_by_a_line_are_named(run: Run, tmp_path: Path) -> None:
    made = Folders(tmp_path / "low", tmp_path / "high", tmp_path / "out")
    made.lr.mkdir()
    made.hr.mkdir()
    texture = cv2.resize(np.random.default_rng(1).integers(60, 190, (5, 5, 3), np.uint8), (160, 160))
    scene, low = cv2.resize(cat(), (800, 640)), []
    for moment in range(3):
        hr = scene[2 * moment : 600 + 2 * moment].copy()
        hr[220:380, 320:480] = texture
        cv2.imwrite(str(made.hr / f"h{moment}.png"), hr)
        low.append(cv2.resize(hr, (400, 300), interpolation=cv2.INTER_AREA))
    low[0][1::2] = low[1][1::2]
    cv2.imwrite(str(made.lr / "combed.png"), low[0])
    run(*made.flags, "--report")
    assert {pair["reason"] for pair in report_of(made.dest)["rejected_pairs"]} >= {Reason.COMBED.value}
