"""What the tests share: a way to run the command line, and two small folders."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from twimager.cli.main import ONE_THREAD, main

# The processes that a run starts reckon as this one does only if NumPy finds the same when it is imported here.
os.environ.update(ONE_THREAD)

import cv2
import pytest

from tests.support.pictures import cat, picture


class Outcome(NamedTuple):
    """What a run left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in process."""

    def run_with(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return run_with


@pytest.fixture(autouse=True, scope="session")
def hearing() -> Iterator[None]:
    """What is run in the background is deaf to SIGINT, and so would be what the tests start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Folders(NamedTuple):
    """The three folders of a run; DEST is not there yet."""

    lr: Path
    hr: Path
    dest: Path

    @property
    def flags(self) -> tuple[object, ...]:
        return "--lr", self.lr, "--hr", self.hr, "--dest", self.dest


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Two pairs of exact thirds: LR sides are whole thirds of HR sides, so that the frames agree exactly."""
    return make_folders(tmp_path)


def make_folders(place: Path) -> Folders:
    made = Folders(place / "low", place / "high", place / "out")
    made.lr.mkdir(parents=True)
    made.hr.mkdir()
    for number, hr in enumerate((cat()[:300, :450], picture("P1040102")[:399, :600])):
        cv2.imwrite(str(made.hr / f"h{number}.png"), hr)
        lr = cv2.resize(hr, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(made.lr / f"l{number}.png"), lr)
    return made
