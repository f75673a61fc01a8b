"""The windows on a screen, with real key presses."""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

if sys.platform == "win32":
    pytest.skip("Xvfb is of X11", allow_module_level=True)

from tests.support.folders import Folders, images
from tests.support.report import report_of
from tests.support.screen import PROGRAMS, Screen, until
from twimager.review.window import LEAST_LINES
from twimager.windows.panels import LINE_HEIGHT
from twimager.windows.viewer import FIRST_ROOM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROGRAMS, reason="there is no Xvfb or no xdotool")]


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    started = Screen()
    yield started
    started.end()


def hrs(dest: Path) -> list[str]:
    return [Path(pair["hr"]).name for pair in report_of(dest)["pairs"]]


def panel(screen: Screen, number: int, like: np.ndarray) -> np.ndarray:
    """What stands in one of the panels of a review, which are as large as `like`."""
    height, width = like.shape[:2]
    return screen.shown()[(LEAST_LINES + 1) * LINE_HEIGHT :, number * width :][:height, :width]


def test_a_review_by_its_keys(screen: Screen, dest: Path) -> None:
    report = report_of(dest)
    names = hrs(dest)
    outputs = [cv2.imread(pair["hr_output"]) for pair in report["pairs"]]
    before = images(dest)
    with screen.started("review", dest / "report.json") as process:
        until(lambda: np.array_equal(panel(screen, 1, outputs[0]), outputs[0]))
        assert not screen.shown()[FIRST_ROOM[1] :].any()  # of 1280 x 720
        assert not screen.shown()[:, FIRST_ROOM[0] :].any()
        screen.press("Right")
        until(lambda: np.array_equal(panel(screen, 1, outputs[1]), outputs[1]))
        screen.press("End")
        until(lambda: np.array_equal(panel(screen, 1, outputs[2]), outputs[2]))
        assert not np.array_equal(panel(screen, 0, outputs[2]), outputs[2])
        screen.press("space")
        until(lambda: np.array_equal(panel(screen, 0, outputs[2]), outputs[2]))
        screen.press("b")
        until(lambda: not np.array_equal(panel(screen, 0, outputs[2]), outputs[2]))
        until(lambda: np.array_equal(panel(screen, 0, outputs[2]), outputs[2]))
        screen.press("b", "t")
        until(lambda: all(pair["accepted"] for pair in report_of(dest)["pairs"]))
        screen.press("u", "Home", "Next", "Prior", "Down", "Delete")
        until(lambda: hrs(dest) == [names[0], names[2]])
        screen.press("Up", "x")
        until(lambda: hrs(dest) == [names[2]])
        screen.press("u", "u")
        until(lambda: hrs(dest) == names)
        assert images(dest) == before
        screen.press("o", "x")
        worst = max(report["pairs"], key=lambda pair: -1.0 if pair["residual"] is None else pair["residual"])
        until(lambda: hrs(dest) == [name for name in names if name != Path(worst["hr"]).name])
        screen.press("q")
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "pairs accepted: 0, deleted: 1, undecided: 2\n", "")
    assert len(images(dest)) == 4


def test_a_review_ends_when_all_pairs_are_gone(screen: Screen, dest: Path) -> None:
    next((dest / "LR").iterdir()).unlink()
    with screen.started("review", dest / "report.json", "--scale", 1.5, "--interpolation", "lanczos") as process:
        screen.press("Delete", "Delete")
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "pairs accepted: 0, deleted: 2, undecided: 1\n")
    assert err == "passed over, as files of theirs are missing: 1 of 3 pairs\n"


@pytest.mark.parametrize("how", ["esc", "cross"])
def test_a_review_ends_with_its_window(screen: Screen, dest: Path, how: str) -> None:
    with screen.started("review", dest / "report.json") as process:
        screen.press("Escape") if how == "esc" else screen.close_window()
        assert process.communicate(timeout=30) == ("pairs accepted: 0, deleted: 0, undecided: 3\n", "")
    assert process.returncode == 0


def test_debug_by_its_keys(screen: Screen, folders: Folders) -> None:
    with screen.started(*folders.flags, "--debug", "--report") as process:
        until(lambda: screen.shown()[350:640, 440:460].max() > 100)  # lines from the one source to the other
        screen.press("n")
        until(lambda: screen.shown()[:LINE_HEIGHT].max() > 100)
        screen.press("Return")
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    report = report_of(folders.dest)
    assert len(report["pairs"]) == 1
    assert [pair["reason"] for pair in report["rejected_pairs"]].count("skipped by hand") == 1


def test_debug_is_aborted_by_esc(screen: Screen, folders: Folders) -> None:
    with screen.started(*folders.flags, "--debug") as process:
        screen.press("Escape")
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not (folders.dest / "HR").exists()
