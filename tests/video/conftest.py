"""A film of pans over the examples, and releases of it: another cut, sped up; a broadcast, cropped and with breaks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks import films
from twimager.video.signatures import Signatures, make_signatures
from twimager.video.timeline import Timeline, find_timeline

SCENES, SIZE, SHRINK = 6, (256, 144), 4


class Release(NamedTuple):
    """Two releases of a film, their signatures, which frame of the one is which of the other, and what is found."""

    lr: Path
    hr: Path
    truth: Path
    lr_signatures: Signatures
    hr_signatures: Signatures
    found: Timeline


def signed_video(path: Path) -> Signatures:
    """Return the signatures of a video, which are kept beside it."""
    return make_signatures(path, path.with_suffix(".npz"), pytest.fail, lambda _: None)


def make_release(kind: str, folder: Path, seed: int = 1) -> Release:
    rng = np.random.default_rng(seed)
    scenes = films.photo_scenes(films.PHOTOS, SCENES, SIZE, rng)
    films.make(next(one for one in films.KINDS if one.name == kind), scenes, folder, SHRINK, rng)
    lr, hr = next(folder.glob("lr.*")), folder / "hr.mkv"
    signed = [signed_video(path) for path in (lr, hr)]
    return Release(lr, hr, folder / "truth.csv", *signed, find_timeline(*signed))


@pytest.fixture(scope="session")
def recut(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make_release("recut", tmp_path_factory.mktemp("recut"))


@pytest.fixture(scope="session")
def broadcast(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make_release("broadcast", tmp_path_factory.mktemp("broadcast"), seed=2)
