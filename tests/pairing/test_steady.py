"""What the transforms of pairs have in common, and which pairs are aligned by it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.support.pictures import cat
from twimager.align.matching import Match
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR, Bars
from twimager.geometry import Matrix, Rect, resize_matrix, scaling, translation
from twimager.options import PairSettings
from twimager.pairing.by_parts import agreement_of
from twimager.pairing.candidates import overlaid
from twimager.pairing.registration import moved_to
from twimager.pairing.steady import LEAST, Pool, Pooled, is_affine, steadied
from twimager.pairing.verification import verify_registered
from twimager.pairs import VerifiedPair
from twimager.propose.proposal import Proposal, Source
from twimager.runtime.pool import worker_pool
from twimager.verify.scores import Scores

LR, HR = (225, 150), (450, 300)
TRUE = resize_matrix(HR, LR)
SETTINGS = PairSettings()


@pytest.fixture(scope="module")
def proposal(tmp_path_factory: pytest.TempPathFactory) -> Proposal:
    folder, hr = tmp_path_factory.mktemp("pair"), cat()[: HR[1], : HR[0]]
    cv2.imwrite(str(folder / "hr.png"), hr)
    cv2.imwrite(str(folder / "lr.png"), cv2.resize(hr, LR, interpolation=cv2.INTER_AREA))
    return Proposal(*(fingerprint(folder / f"{side}.png", LIGHT_HR) for side in ("lr", "hr")), Source.FEATURES)


def pair_of(proposal: Proposal, matrix: Matrix) -> VerifiedPair:
    candidate = overlaid(proposal, Match(matrix, 90))
    moved = moved_to(candidate, matrix)
    assert moved
    found = verify_registered(moved, agreement_of(moved), SETTINGS)
    assert isinstance(found, VerifiedPair)
    return found


def unverified(proposal: Proposal, matrix: Matrix) -> VerifiedPair:
    whole = Rect(0, 0, *LR)
    return VerifiedPair(proposal, Match(matrix, 90), Scores(0.9, 1.0), whole, whole)


def shifted(count: int, sigma: float) -> list[Matrix]:
    shifts = np.random.default_rng(0).normal(0, sigma, (count, 2))
    return [translation(*shift) @ TRUE for shift in shifts]


def pool_of(proposal: Proposal, *matrices: Matrix) -> Pool:
    pool = Pool(LR, HR)
    for shot, matrix in enumerate(matrices):
        pool.add(unverified(proposal, matrix), shot)
    return pool


def together(pool: Pool, *pairs: VerifiedPair) -> list[VerifiedPair]:
    with worker_pool(1, inline=True) as workers:
        return [one.pair for one in steadied([Pooled(pair, 0, pool) for pair in pairs], workers, SETTINGS)]


def test_the_pooled_transform_is_nearer_than_most_and_not_pulled_by_outliers(proposal: Proposal) -> None:
    pool = pool_of(proposal, *shifted(20, 0.01), *[translation(9, 0) @ TRUE] * 4, scaling(1.2) @ TRUE)
    assert pool.matrix is not None
    assert np.abs((pool.matrix @ np.linalg.inv(TRUE))[:2, 2]).max() < 0.008
    assert pool.weave is not None
    assert 0.005 < pool.weave < 0.02


def test_few_pairs_and_those_that_weave_have_nothing_in_common(proposal: Proposal) -> None:
    few, woven = pool_of(proposal, *shifted(LEAST - 1, 0.001)), pool_of(proposal, *shifted(30, 0.1))
    assert (few.weave, few.matrix, woven.matrix) == (None, None, None)
    assert woven.weave is not None
    assert 0.08 < woven.weave < 0.16


def test_pairs_are_aligned_by_their_pool_but_for_one_that_it_does_not_explain(proposal: Proposal) -> None:
    pairs = [pair_of(proposal, matrix) for matrix in shifted(12, 0.004)]
    pairs[3] = pairs[3]._replace(native_scale=0.7)
    moved = proposal._replace(lr=replace(proposal.lr, path=proposal.lr.path.with_name("moved.png")))
    elsewhere = np.roll(cv2.imread(str(proposal.lr.path)), 2, axis=1)
    cv2.imwrite(str(moved.lr.path), elsewhere)
    other = pair_of(moved, translation(2, 0) @ TRUE)
    aligned = together(Pool(LR, HR), *pairs, other)
    assert (aligned[-1].match.matrix == other.match.matrix).all()
    assert aligned[-1].weave == pytest.approx(2, abs=0.01)
    assert max(one.weave for one in aligned[:-1] if one.weave) < 0.02
    assert all(np.abs(one.match.matrix - TRUE).max() < 0.004 for one in aligned[:-1])
    assert len({one.match.matrix.tobytes() for one in aligned[:-1]}) == 1
    assert (aligned[3].native_scale, aligned[3].window) == (0.7, pairs[3].window)


def test_pairs_keep_their_own_transforms_where_the_pooled_one_explains_less(proposal: Proposal) -> None:
    right = pair_of(proposal, TRUE)
    pool = pool_of(proposal, *(translation(0.2, 0) @ matrix for matrix in shifted(30, 0.008)))
    assert pool.matrix is not None
    assert (together(pool, right)[0].match.matrix == TRUE).all()
    assert not pool.explains


def test_one_geometry_that_is_known_is_that_of_all_pairs_that_pass_the_gates_by_it(proposal: Proposal) -> None:
    sure, own = Pool(LR, HR, is_sure=True), shifted(12, 0.1)
    aligned = together(sure, *(pair_of(proposal, matrix) for matrix in own))
    assert len({one.match.matrix.tobytes() for one in aligned}) == 1
    assert np.abs(aligned[0].match.matrix - TRUE).max() < 0.1


def test_a_pooled_transform_that_many_agree_on_to_a_hair_is_that_of_most(proposal: Proposal) -> None:
    dragged = pair_of(proposal, translation(0.03, 0) @ TRUE)
    pool = pool_of(proposal, *shifted(30, 0.001))
    pool.losses.extend([0.02] * 30)
    assert np.abs(together(pool, dragged)[0].match.matrix - TRUE).max() < 0.001


@pytest.mark.parametrize(("in_shot", "is_steady"), [(0.004, True), (0.03, False)])
def test_what_compression_drags_along_is_told_from_weave_by_frames_of_one_shot(
    proposal: Proposal, in_shot: float, is_steady: bool
) -> None:
    rng, pool = np.random.default_rng(0), Pool(LR, HR)
    for shot in range(12):
        dragged = rng.normal(0, 0.02 if is_steady else 0, 2)
        for _ in range(2):
            pool.add(unverified(proposal, translation(*dragged + rng.normal(0, in_shot, 2)) @ TRUE), shot)
    assert (pool.matrix is not None, pool.explains) == (is_steady, is_steady)


def test_bars_of_single_frames_make_no_difference(proposal: Proposal) -> None:
    barred = replace(proposal.lr, bars=Bars(0, 20, 0, 20), size=(LR[0], LR[1] - 40))
    inside = pool_of(proposal._replace(lr=barred), translation(0, -20) @ TRUE)
    assert np.allclose(pool_of(proposal, TRUE).places, inside.places)


def test_affine_transforms_alone_are_pooled(proposal: Proposal) -> None:
    perspective = TRUE.copy()
    perspective[2, 0] = 1e-5
    assert is_affine(unverified(proposal, TRUE))
    assert not is_affine(unverified(proposal, perspective))
