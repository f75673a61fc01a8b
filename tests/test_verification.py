"""Every gate, and what correlation does and does not see."""

import cv2
import numpy as np
import pytest
from pictures import cat, picture

from twimager.errors import Reason
from twimager.geometry import scaling, translation
from twimager.verification import MIN_CORRELATION, Scores, correlation, flaw, overlay, score


def gray(name: str = "P1040518") -> np.ndarray:
    return np.asarray(cv2.cvtColor(picture(name), cv2.COLOR_BGR2GRAY)[:240, :320])


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (Scores(90.0, 0.9, 0.5), None),
        (Scores(89.9, 0.9, 0.5), Reason.HASH),
        (Scores(90.0, MIN_CORRELATION - 0.01, 0.5), Reason.CORRELATION),
        (Scores(90.0, 0.9, 0.29), Reason.OVERLAP),
    ],
)
def test_every_gate(scores: Scores, reason: Reason | None) -> None:
    found = flaw(scores, threshold=90, min_overlap=0.3)
    assert (found.reason if found else None) is reason


def test_correlation_sees_the_picture_not_its_tones() -> None:
    assert correlation(gray(), gray()) == pytest.approx(1)
    assert correlation(gray(), (gray() * 0.6 + 30).astype(np.uint8)) > 0.95
    assert correlation(gray(), gray("P1040771")) < MIN_CORRELATION
    assert correlation(gray(), np.full_like(gray(), 90)) == pytest.approx(0, abs=0.01)


def test_a_pair_is_scored_on_what_both_show() -> None:
    hr = cv2.cvtColor(cat(), cv2.COLOR_BGR2GRAY)[:288, :432]
    lr = cv2.resize(hr, (144, 96), interpolation=cv2.INTER_AREA)
    padded = cv2.copyMakeBorder(lr, 0, 0, 36, 0, cv2.BORDER_CONSTANT)
    matrix = translation(36, 0) @ scaling(1 / 3)
    laid = overlay(hr, padded, matrix, (432, 288), (180, 96))
    assert laid is not None
    found = score(laid, matrix, (432, 288), (180, 96))
    assert found.coverage == pytest.approx(0.8)
    assert found.agreement > 99
    assert found.correlation > 0.99


def test_what_has_next_to_nothing_in_common_is_no_overlay() -> None:
    assert overlay(gray(), gray(), translation(310, 0), (320, 240), (320, 240)) is None
