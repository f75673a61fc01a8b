"""What the tests share: a way to run the command line, two small folders, and a DEST to be reviewed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from twimager.cli.main import main
from twimager.runtime.child import ONE_THREAD

# The processes that a run starts reckon as this one does only if NumPy finds the same when it is imported here.
os.environ.update(ONE_THREAD)

import cv2
import pytest
from hypothesis import settings

from tests.support.command import Outcome, Run
from tests.support.folders import Folders, make_folders
from tests.support.pictures import picture

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run the command line in process; what it puts into the environment is gone after the test."""

    def run_with(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    with patch.dict(os.environ):
        yield run_with


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """Handle SIGINT, which a background job ignores, and so would the processes that the tests start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Two pairs of exact thirds: LR sides are whole thirds of HR sides, so that the frames agree exactly."""
    return make_folders(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs and what a run with all documents made of them; to be put in its place, `now`, which is beside it."""
    place = tmp_path_factory.mktemp("reviewed")
    folders = make_folders(place / "now")
    hr = picture("P1040771")[:300, -450:]
    cv2.imwrite(str(folders.hr / "h2.png"), hr)
    cv2.imwrite(str(folders.lr / "l2.png"), cv2.resize(hr, (150, 100), interpolation=cv2.INTER_AREA))
    assert main([*map(str, folders.flags), "--report", "--meta_info", "--hf", "--quiet"]) == 0
    return (place / "now").rename(place / "kept")


@pytest.fixture
def dest(kept: Path) -> Path:
    """A DEST of three pairs with all documents, as the run left it; its sources are beside it."""
    now = kept.with_name("now")
    shutil.rmtree(now, ignore_errors=True)
    return shutil.copytree(kept, now) / "out"
