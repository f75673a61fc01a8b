"""A pair of which a part shows something else is registered by the rest, and by that alone."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.known_warp import error
from tests.pairing.test_registration import placed, smaller
from tests.support.pictures import cat, moving, picture
from twimager.align.matching import Match
from twimager.align.refinement import FINE
from twimager.errors import Reason
from twimager.geometry import resize_matrix, translation
from twimager.options import Framing, Method, PairSettings, Partial
from twimager.pairing.by_parts import (
    by_channels,
    cut_to_agreement,
    register_by_agreement,
    register_finely,
)
from twimager.pairing.registration import is_registered, register, register_coarsely
from twimager.pairing.verification import verify
from twimager.pairs import Candidate, RejectedPair, VerifiedPair

TRUTH = resize_matrix((450, 300), (300, 200))


def half_covered(folder: Path, off: float, inliers: int = 30) -> Candidate:
    """A candidate that is off by a fraction of a pixel, of an LR whose right 45 % show something else."""
    hr = cat()[:300, :450]
    lr = smaller(hr, (300, 200)).copy()
    lr[:, 165:] = smaller(picture("P1040102"), (300, 200))[:, 165:]
    return placed(folder, hr, lr, Match(translation(off, -off) @ TRUTH, inliers))


def off(candidate: Candidate) -> float:
    return error(candidate.match.matrix, TRUTH, (450, 300))


def test_what_covers_a_part_does_not_pull(tmp_path: Path) -> None:
    candidate = half_covered(tmp_path, 0.4)
    assert not is_registered(candidate)
    coarse = register_coarsely(candidate, keep_better=False, method=Method.TRANSFORM)
    assert off(coarse) < 2 * off(candidate)
    found, agreeing = register_by_agreement(register_finely(candidate, Method.TRANSFORM), Method.TRANSFORM)
    assert off(found) < 0.03
    assert agreeing.different == pytest.approx(0.45, abs=0.04)
    assert found.lr is candidate.lr


def test_a_pair_that_agrees_is_refined_as_ever(tmp_path: Path) -> None:
    hr = cat()[:300, :450]
    candidate = placed(tmp_path, hr, smaller(hr, (300, 200)), Match(translation(0.4, 0.4) @ TRUTH, 99))
    plain, finely = register(candidate, FINE, Method.TRANSFORM), register_finely(candidate, Method.TRANSFORM)
    assert (plain.match.matrix == finely.match.matrix).all()


def test_a_cut_overlay_covers_less(tmp_path: Path) -> None:
    candidate, found = register_by_agreement(
        register_finely(half_covered(tmp_path, 0), Method.TRANSFORM), Method.TRANSFORM
    )
    cut, left = cut_to_agreement(candidate, found)
    assert cut.overlay.common[2:] == pytest.approx((158, 200), abs=8)
    assert cut.overlay.coverage == pytest.approx(0.53, abs=0.03)
    assert left.different == 0
    again, same = cut_to_agreement(cut, left)
    assert (again, same) == (cut, left)


def test_a_covered_part_is_no_repetitive_pattern(tmp_path: Path) -> None:
    """A few features, and much that no transform explains: neither is a reason to give up the transform that fits."""
    settings = PairSettings(framing=Framing(partial=Partial.MASK))
    pair = verify(register_finely(half_covered(tmp_path, 0.3, inliers=9), Method.TRANSFORM), settings)
    assert isinstance(pair, VerifiedPair)
    assert error(pair.match.matrix, TRUTH, (450, 300)) < 0.03


def test_a_channel_explains_tones_but_no_watermark(tmp_path: Path) -> None:
    hr = cat()[:300, :450]
    red, marked = hr[..., 2], hr.copy()
    for row in range(0, 300, 60):
        cv2.putText(marked, "PREVIEW PREVIEW", (0, row), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (230, 230, 230), 3)
    for folder, one, lr, is_explained in (("tones", hr, red, True), ("mark", marked, hr, False)):
        (tmp_path / folder).mkdir()
        coarse = placed(tmp_path / folder, one, smaller(lr, (300, 200)), Match(TRUTH, 99))
        candidate, found = register_by_agreement(register_finely(coarse, Method.TRANSFORM), Method.TRANSFORM)
        mapped, better = by_channels(candidate, found, 0.006)
        assert (mapped is not candidate) == is_explained
        assert (better.contradicted <= 0.006) == is_explained


def jittery(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of 300 x 200 pixels whose lines are shifted by up to 4 pixels."""
    at, down = np.meshgrid(np.arange(300, dtype=np.float32), np.arange(200, dtype=np.float32))
    across = (at + 3 * np.sin(down / 5) + 1.5 * np.sin(down / 3.7 + 1)).astype(np.float32)
    return np.asarray(cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


@pytest.mark.parametrize("partial", [Partial.NONE, Partial.MASK])
def test_lines_that_jitter_are_of_no_other_moment(tmp_path: Path, partial: Partial) -> None:
    """By default the pair is kept as it is; where what differs is to be masked, what is off is.

    Jitter of up to 4 pixels moves the transform by a part of one.
    """
    hr = cat()[:300, :450]
    candidate = placed(tmp_path, hr, jittery(smaller(hr, (300, 200))), Match(TRUTH, 99))
    pair = verify(register_finely(candidate, Method.TRANSFORM), PairSettings(framing=Framing(partial=partial)))
    assert isinstance(pair, VerifiedPair)
    assert ((pair.scores.contradicted or 0) > 0.006) == (partial is Partial.MASK)
    assert (pair.agreement is not None) == (partial is Partial.MASK)
    assert error(pair.match.matrix, TRUTH, (450, 300)) < 1


def test_what_moves_between_lines_that_jitter_is_of_another_moment(tmp_path: Path) -> None:
    candidate = placed(tmp_path, moving(3), jittery(smaller(moving(6), (300, 200))), Match(TRUTH, 99))
    pair = verify(register_finely(candidate, Method.TRANSFORM), PairSettings())
    assert isinstance(pair, RejectedPair)
    assert pair.rejection.reason is Reason.DIFFERENT
