"""Grainy pictures, in which no features tell, are proposed and framed by their thumbnails, and paired."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import error
from tests.support.command import Run
from tests.support.paths import EXAMPLES
from tests.support.pictures import picture
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, Fingerprint
from twimager.geometry import Matrix, resize_matrix, scaling, translation
from twimager.propose import by_thumbnail
from twimager.propose.by_thumbnail import MAX_PROPOSED, framing, propose
from twimager.propose.proposal import Source

SIZE = (144, 100)
# Of these grainy pictures too few features match.
FEATURELESS = ["P1040480", "P1040663"]


def truth(size: tuple[int, int]) -> Matrix:
    """From the pixels of an HR to those of `grainy`, which shows nine tenths of it."""
    width, height = size
    enlarged = scaling(1 / 0.9) @ translation(0.5 - 0.07 * width, 0.5 - 0.04 * height)
    return np.asarray(resize_matrix(size, SIZE) @ translation(-0.5, -0.5) @ enlarged)


def grainy(name: str) -> np.ndarray:
    """A small, soft, dark and grainy part of an example photograph."""
    hr = picture(name)
    inverse = np.linalg.inv(truth((hr.shape[1], hr.shape[0])))
    sharp = cv2.warpAffine(cv2.GaussianBlur(hr, (0, 0), 2), inverse[:2], SIZE, flags=cv2.WARP_INVERSE_MAP)
    soft = cv2.GaussianBlur(sharp.astype(np.float32), (0, 0), 1.4)
    grain = cv2.GaussianBlur(np.random.default_rng(5).normal(size=soft.shape[:2]), (0, 0), 0.8)
    return np.clip(0.6 * soft + (10 / grain.std() * grain)[..., None], 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def hrs() -> list[Fingerprint]:
    return [fingerprint(path, LIGHT_HR.without_features) for path in sorted((EXAMPLES / "HR").iterdir())]


@pytest.fixture(scope="module")
def lrs(tmp_path_factory: pytest.TempPathFactory, hrs: list[Fingerprint]) -> list[Fingerprint]:
    """The HRs' grainy LRs, in their order."""
    folder = tmp_path_factory.mktemp("lr")
    for hr in hrs:
        cv2.imwrite(str(folder / f"{hr.path.stem}.png"), grainy(hr.path.stem))
    return [fingerprint(folder / f"{hr.path.stem}.png", LIGHT_LR.without_features) for hr in hrs]


def test_the_hr_that_a_grainy_lr_shows_comes_first(
    lrs: list[Fingerprint], hrs: list[Fingerprint], monkeypatch: pytest.MonkeyPatch
) -> None:
    proposals = propose(lrs, hrs)
    assert [of_one_lr[0].hr for of_one_lr in proposals] == hrs
    assert max(map(len, proposals)) <= MAX_PROPOSED
    assert {one.source for of_one_lr in proposals for one in of_one_lr} == {Source.THUMBNAIL}
    monkeypatch.setattr(by_thumbnail, "BATCH", 2)
    assert propose(lrs, hrs) == proposals


def test_it_is_framed_as_well_as_registration_bears(lrs: list[Fingerprint], hrs: list[Fingerprint]) -> None:
    for lr, hr in zip(lrs, hrs, strict=True):
        assert error(framing(hr, lr), truth(hr.size), SIZE) < 0.08 * min(SIZE)


def test_an_lr_of_none_of_them_is_hardly_compared(hrs: list[Fingerprint], lrs: list[Fingerprint]) -> None:
    for number, lr in enumerate(lrs):
        assert len(propose([lr], hrs[:number] + hrs[number + 1 :])[0]) <= 1


def test_where_there_is_nothing_to_see_nothing_fails(hrs: list[Fingerprint]) -> None:
    flat = Fingerprint(Path("flat.png"), (9, 9), ())
    assert propose([flat], []) == [[]]
    assert propose([], hrs) == []
    assert propose([flat], hrs) == [[]]
    assert np.isfinite(framing(hrs[0], flat)).all()


@pytest.mark.slow
def test_pictures_without_matching_features_are_paired(tmp_path: Path, run: Run) -> None:
    (tmp_path / "LR").mkdir()
    for name in FEATURELESS:
        cv2.imwrite(str(tmp_path / "LR" / f"{name}.png"), grainy(name))
    run("--lr", tmp_path / "LR", "--hr", EXAMPLES / "HR", "--dest", tmp_path / "out", "--report")
    pairs = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))["pairs"]
    assert [Path(pair["lr"]).stem for pair in pairs] == [Path(pair["hr"]).stem for pair in pairs]
    assert {Path(pair["lr"]).stem for pair in pairs if pair["source"] == "thumbnail"} == set(FEATURELESS)
    for pair in pairs:
        height, width = picture(Path(pair["hr"]).stem).shape[:2]
        assert error(np.array(pair["matrix"]), truth((width, height)), SIZE) < 1
