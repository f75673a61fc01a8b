"""Where a review's keys lead, without a window."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command import Run, launched, refused
from tests.support.folders import Folders, images, paste
from tests.support.report import report_of
from twimager.review.review import Review
from twimager.review.window import Session, browse
from twimager.windows import viewer
from twimager.windows.keys import DELETE, DOWN, END, ESCAPE, HOME, LEFT, PAGE_DOWN, PAGE_UP, RIGHT, SPACE, UP
from twimager.windows.panels import Display


class Opened:
    """A session, and what it has warned of."""

    def __init__(self, review: Review) -> None:
        self.warnings: list[str] = []
        self.review = review
        self.session = Session(review, Display(), self.warnings.append)

    def after(self, *keys: str) -> str:
        """The LR of the pair that is looked at after these keys, "end" if there is no more to see."""
        for key in keys:
            if not self.session.press(key):
                return "end"
        assert self.session.pair
        assert self.session.picture().shape[1] >= 600
        return Path(self.session.pair.lr).stem


@pytest.fixture
def opened(dest: Path) -> Iterator[Opened]:
    """Of three pairs, in the order of the report, l0 is the second worst, l2 the worst and l1 unknown."""
    report = report_of(dest)
    report["pairs"].sort(key=lambda pair: pair["lr"])
    for pair, residual in zip(report["pairs"], (0.1, None, 0.2), strict=True):
        pair["residual"] = residual
    (dest / "report.json").write_text(json.dumps(report))
    with Review(dest / "report.json") as review:
        yield Opened(review)


def test_keys_move(opened: Opened) -> None:
    moves = {RIGHT: "l1", DOWN: "l2", LEFT: "l1", UP: "l0", END: "l2", HOME: "l0", PAGE_DOWN: "l2", PAGE_UP: "l0"}
    assert {key: opened.after(key) for key in moves} == moves
    assert opened.after(LEFT) == "l0"
    assert opened.after(END, RIGHT) == "l2"
    assert opened.after("y", "key 13") == "l2"
    assert opened.warnings == []


def test_the_worst_come_first_and_the_unknown_last(opened: Opened) -> None:
    assert [opened.after(key) for key in ("o", RIGHT, RIGHT)] == ["l2", "l0", "l1"]
    assert [opened.after(key) for key in ("s", RIGHT, RIGHT)] == ["l0", "l1", "l2"]


def test_what_is_deleted_gives_way_to_the_next_and_comes_back(opened: Opened, dest: Path) -> None:
    assert opened.after("o", DELETE) == "l0"
    assert opened.after(END, "x") == "l0"
    assert len(report_of(dest)["pairs"]) == 1
    assert opened.after("u") == "l1"
    assert opened.after("u") == "l2"
    assert opened.after("u") == "l2"
    assert opened.after(RIGHT) == "l0"
    assert len(images(dest)) == 6


def test_what_is_accepted_is_in_the_report_at_once(opened: Opened, dest: Path) -> None:
    def accepted() -> list[bool]:
        return [bool(pair["accepted"]) for pair in report_of(dest)["pairs"]]

    assert opened.after("a") == "l1"
    assert accepted() == [True, False, False]
    assert opened.after("o", RIGHT, "a") == "l0"  # not after all
    assert accepted() == [False, False, False]
    assert opened.after("t") == "l0"  # after l2, the worst
    assert accepted() == [True, False, True]
    assert opened.after("u") == "l0"
    assert accepted() == [False, False, False]
    assert opened.after("u") == "l0"


def test_a_window_keeps_its_size_from_pair_to_pair(opened: Opened, dest: Path) -> None:
    lr, hr = opened.review.outputs(opened.review.pairs[1])
    for path, size in ((lr, (400, 900)), (hr, (800, 1800))):
        cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))
    sizes = set()
    for key in (RIGHT, RIGHT, "d", "b", HOME, "a", DELETE):
        opened.after(key)
        sizes.add(opened.session.picture((1240, 640)).shape)
    assert sizes == {(640, 1240, 3)}


@pytest.mark.parametrize("keys", [[ESCAPE], ["q"], ["x"] * 3])
def test_it_ends(opened: Opened, keys: list[str]) -> None:
    assert opened.after(*keys) == "end"


def test_the_hr_is_over_the_lr_at_times(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    still = opened.session.picture()
    assert not opened.session.blink()
    opened.after("b")
    seen = []
    for _ in range(12):
        now += 0.1
        if opened.session.blink():
            seen.append((opened.session.picture() == still).all())
    assert len(seen) >= 2
    assert all(one != other for one, other in pairwise(seen))
    opened.after("b")
    now += 10
    assert not opened.session.blink()
    assert (opened.session.picture() == still).all()
    opened.after(SPACE)
    now += 10
    assert not opened.session.blink()
    assert (opened.session.picture() != still).any()


def test_what_cannot_be_read_is_passed_over_in_the_direction_taken(opened: Opened) -> None:
    opened.review.outputs(opened.review.pairs[1])[0].write_bytes(b"no image")
    assert opened.after(RIGHT) == "l2"
    assert opened.after(LEFT) == "l0"
    (warning,) = opened.warnings
    assert "passed over" in warning
    for place in (0, 2):
        opened.review.outputs(opened.review.pairs[place])[1].unlink()
    assert opened.after(RIGHT) == "end"
    assert len(opened.review.pairs) == 3


def test_missing_files_are_said_once(dest: Path) -> None:
    with Review(dest / "report.json") as review:
        for path in (dest / "HR").iterdir():
            path.unlink()
        nothing = Opened(review)
        assert nothing.session.pair is None
        assert nothing.warnings == ["passed over, as files of theirs are missing: 3 of 3 pairs"]


@pytest.mark.slow
def test_what_differs_is_hatched_until_a_key_is_pressed(run: Run, folders: Folders) -> None:
    paste(folders)
    run(*folders.flags, "--report")
    with Review(folders.dest / "report.json") as review:
        one, drawn = Opened(review), []
        for _ in range(3):
            drawn.append(one.session.picture())
            one.after("h")
        hatched, plain, again = (picture[:-48] for picture in drawn)
        assert (hatched == again).all()
        changed = (hatched != plain).any(axis=2)
        assert 0.005 < changed.mean() < 0.1
        assert not changed[:, -plain.shape[1] // 3 :].any()  # of the blend


@pytest.mark.parametrize("output", ["lr", "hr"])
def test_one_side_is_shown_alone(run: Run, folders: Folders, output: str) -> None:
    run(*folders.flags, "--report", "--output", output)
    with Review(folders.dest / "report.json") as review:
        one = Opened(review)
        assert one.after(RIGHT, LEFT) != one.after(RIGHT)


def test_undo_names_what_is_in_its_way(opened: Opened) -> None:
    lr, _ = opened.review.outputs(opened.review.pairs[0])
    opened.after("x")
    lr.write_bytes(b"theirs")
    assert opened.after("u") == "l1"
    assert "is there already" in opened.warnings[0]


@pytest.mark.parametrize(
    ("keys", "left", "shown"), [(["x", "", "q", "x"], 2, 2), (["x", "x", "x"], 0, 3), (["", "", ESCAPE], 3, 1)]
)
def test_a_window_is_drawn_anew_after_a_key_and_closed_in_the_end(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, keys: list[str], left: int, shown: int
) -> None:
    pressed, done = iter(keys), list[str]()
    monkeypatch.setattr(viewer, "room", lambda _: viewer.FIRST_ROOM)
    monkeypatch.setattr(viewer, "show", lambda *_: done.append("shown"))
    monkeypatch.setattr(viewer, "next_key", lambda _: next(pressed))
    monkeypatch.setattr(viewer, "close", lambda: done.append("closed"))
    browse(opened.review, Display(), opened.warnings.append)
    assert len(opened.review.pairs) == left
    assert done == ["shown"] * shown + ["closed"]


@pytest.mark.parametrize("flags", [["--scale", "0"], ["--scale", "inf"], ["--interpolation", "none"], ["--nothing"]])
def test_options_that_do_not_fit(run: Run, dest: Path, flags: list[str]) -> None:
    refused(run("review", dest / "report.json", *flags), 2, flags[0])


def test_a_report_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    refused(run("review", tmp_path / "none.json"), 2, "can't be read")
    refused(run("review"), 2, "REPORT")


@pytest.mark.skipif(sys.platform != "linux", reason="there is always a display elsewhere")
def test_review_needs_a_display(dest: Path) -> None:
    before = images(dest)
    ended = launched("review", dest / "report.json", env={"PATH": "", "QT_QPA_PLATFORM": "xcb"})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("twimager: review needs a display")
    assert "--browser needs neither (over ssh: " in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert images(dest) == before
