"""Of HRs that show the same, which is the better one: for its detail, and for its tones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twimager.align.matching import Match
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import scaling
from twimager.pairs import Candidate
from twimager.propose.proposal import Proposal, Source
from twimager.select.rivals import COLOR_TRADE, TONE_NOISE, rank_rivals
from twimager.verify.overlay import make_overlay
from twimager.verify.scores import Scores

PICTURE = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)


def candidate(name: str, side: int = 192, **measured: float) -> Candidate:
    """An HR that shows the LR exactly."""
    lr, hr = WorkingImage(PICTURE, (96, 96)), WorkingImage(PICTURE, (side, side))
    images = Fingerprint(Path("lr"), (96, 96), (0,)), Fingerprint(Path(name), (side, side), (0,))
    matrix = scaling(96 / side)
    overlay = make_overlay(hr, lr, matrix)
    assert overlay
    made = Candidate(Proposal(*images, Source.FRAME), Match(matrix, None), Scores(0.9, 1.0), overlay, hr, lr)
    return made._replace(**measured)


def ranked(*candidates: Candidate) -> list[str]:
    return [one.proposal.hr.path.name for one in rank_rivals(candidates, 0.1)[0]]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (candidate("b", 200), candidate("a", 192)),
        (candidate("b", 192), candidate("a", 384, detail=0.5)),
        (candidate("b", 192), candidate("a", 384, detail=0.6)),
        (candidate("b", fineness=0.2), candidate("a", fineness=0.05)),
        (candidate("b", tone_distance=5.0), candidate("a", tone_distance=9.0)),
    ],
)
def test_the_better_one_is_first(better: Candidate, worse: Candidate) -> None:
    assert ranked(better, worse) == ranked(worse, better) == ["b", "a"]


def test_tones_that_are_hardly_apart_leave_equals_equal() -> None:
    equals = [candidate(name, tone_distance=5 + apart) for name, apart in (("a", 0.9 * TONE_NOISE), ("b", 0.0))]
    assert [one.score_gap for one in rank_rivals(equals, 0.1)[0]] == [0, 0]
    apart = rank_rivals([candidate("a", tone_distance=5.0), candidate("b", tone_distance=5 + TONE_NOISE + 2)], 0.1)[0]
    assert apart[1].score_gap == pytest.approx(2 / COLOR_TRADE)
