"""The test films' own truth: where their LR frames lie in their HR frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks import films
from twimager.geometry import transform_points, translation

HR, LR = (960, 540), (360, 288)


@pytest.mark.parametrize("kind", films.KINDS, ids=lambda kind: kind.name)
def test_a_film_lies_in_the_other_as_its_truth_says(kind: films.Kind) -> None:
    spot = np.array([[400.0, 300.0]])
    frame = np.zeros((HR[1], HR[0], 3), np.uint8)
    cv2.circle(frame, (400, 300), 12, (255, 255, 255), -1)
    lr = cv2.resize(kind.look(frame, 0), LR, interpolation=cv2.INTER_AREA)
    x, y = transform_points(films.true_matrix(kind, LR, HR), spot)[0].astype(int)
    part = lr[y - 12 : y + 13, x - 12 : x + 13, 1].astype(float) - lr[y - 12, x - 12, 1]
    rows, columns = np.indices(part.shape)
    found = np.array([(columns * part).sum() + (x - 12) * part.sum(), (rows * part).sum() + (y - 12) * part.sum()])
    assert np.allclose(found / part.sum(), transform_points(films.true_matrix(kind, LR, HR), spot)[0], atol=0.02)


def test_misalignment_is_in_lr_pixels() -> None:
    true = films.true_matrix(films.KINDS[0], LR, HR)
    assert films.misalignment(translation(0.3, -0.4) @ true, true, (0, 0, *LR)) == pytest.approx(0.5)
