"""Where features misplace an HR, its pixels register it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import error
from tests.support.pictures import cat
from twimager.align.estimation import MIN_INLIERS
from twimager.align.matching import CERTAIN_INLIERS, Match
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.geometry import Matrix, mirroring, resize_matrix, translation
from twimager.options import Method, PairSettings
from twimager.pairing import candidates
from twimager.pairing.candidates import overlaid
from twimager.pairing.evaluate import evaluate_best
from twimager.pairing.registration import MANY_INLIERS, disambiguate, is_registered, may_be_ambiguous, register_coarsely
from twimager.pairs import Candidate
from twimager.propose.proposal import Proposal, Source


def facade() -> np.ndarray:
    """Ten by fifteen windows, (600, 900): each is a little different."""
    rng = np.random.default_rng(5)
    wall = np.full((600, 900), 190, np.uint8)
    for y in range(15, 600, 60):
        for x in range(15, 900, 60):
            cv2.rectangle(wall, (x, y), (x + 30, y + 36), int(rng.integers(30, 90)), -1)
            cv2.line(wall, (x, y + int(rng.integers(6, 30))), (x + 30, y + int(rng.integers(6, 30))), 150, 3)
    return np.clip(wall + rng.normal(0, 3, wall.shape), 0, 255).astype(np.uint8)


def placed(folder: Path, hr: np.ndarray, lr: np.ndarray, match: Match, is_mirrored: bool = False) -> Candidate:
    """An HR that lies there on its LR."""
    cv2.imwrite(str(folder / "hr.png"), hr)
    cv2.imwrite(str(folder / "lr.png"), lr)
    images = (fingerprint(folder / name, LIGHT_HR.without_features) for name in ("lr.png", "hr.png"))
    candidate = overlaid(Proposal(*images, Source.FEATURES, is_mirrored), match)
    assert isinstance(candidate, Candidate)
    return candidate


def smaller(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def test_an_hr_is_registered_however_many_features_misplaced_it(tmp_path: Path) -> None:
    truth = resize_matrix((450, 300), (225, 150))
    hr = cat()[:300, :450]
    candidate = placed(tmp_path, hr, smaller(hr, (225, 150)), Match(translation(9, -5) @ truth, 5 * MIN_INLIERS))
    assert not is_registered(candidate)
    found = register_coarsely(candidate, keep_better=True, method=Method.TRANSFORM)
    assert found.scores.correlation > 0.9
    assert error(found.match.matrix, truth, (450, 300)) < 0.5


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("windows", [(1, 0), (-2, 1), (0, -3)])
def test_on_a_repetitive_pattern_the_hypothesis_of_the_best_correlation_is_taken(
    tmp_path: Path, windows: tuple[int, int], is_mirrored: bool
) -> None:
    hr = facade()
    truth = resize_matrix((900, 600), (300, 200))
    lr = smaller(hr, (300, 200))
    if is_mirrored:
        hr, truth = hr[:, ::-1], truth @ mirroring((900, 600))
    beside = translation(20 * windows[0], 20 * windows[1]) @ truth
    candidate = placed(tmp_path, hr, lr, Match(beside, MIN_INLIERS), is_mirrored)
    assert is_registered(candidate)
    assert may_be_ambiguous(candidate, Method.TRANSFORM)
    assert error(disambiguate(candidate, Method.TRANSFORM).match.matrix, truth, (900, 600)) < 0.05


def test_a_perspective_that_few_features_started_is_disambiguated(tmp_path: Path) -> None:
    hr = cat()[:300, :450]
    tilted = np.array([[1, 0.02, 0], [0, 1.03, 0], [4e-4, 2e-4, 1]])
    truth = resize_matrix((450, 300), (225, 150)) @ tilted
    lr = cv2.warpPerspective(cv2.GaussianBlur(hr, (0, 0), 0.8), truth, (180, 130))
    wrong = np.array([[1, 0, 0], [0, 1, 0], [2e-4, -1e-4, 1]]) @ truth
    candidate = placed(tmp_path, hr, lr, Match(wrong, CERTAIN_INLIERS - 1))
    assert may_be_ambiguous(candidate, Method.WARP)
    found = disambiguate(candidate, Method.WARP)
    assert error(found.match.matrix, truth, (450, 300)) < 0.05


def test_a_pair_is_disambiguated_before_it_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hr, truth = facade(), resize_matrix((900, 600), (300, 200))
    beside = Match(translation(20, 0) @ truth, MIN_INLIERS)
    proposal = placed(tmp_path, hr, smaller(hr, (300, 200)), beside).proposal
    monkeypatch.setattr(candidates, "match", lambda *_: beside)
    (pair,) = evaluate_best([proposal], PairSettings()).pairs
    assert error(pair.match.matrix, truth, (900, 600)) < 0.05


@pytest.mark.parametrize(("start", "inliers"), [((0, 0), MIN_INLIERS), ((1, 0), MANY_INLIERS), ((1, 0), None)])
def test_what_correlates_well_or_has_many_inliers_is_not_ambiguous(
    tmp_path: Path, start: tuple[int, int], inliers: int | None
) -> None:
    hr = facade()
    matrix: Matrix = translation(20 * start[0], 20 * start[1]) @ resize_matrix((900, 600), (300, 200))
    candidate = placed(tmp_path, hr, smaller(hr, (300, 200)), Match(matrix, inliers))
    assert not may_be_ambiguous(candidate, Method.TRANSFORM)
