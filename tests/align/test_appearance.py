"""Least squares over the pixels of a picture."""

from __future__ import annotations

import numpy as np
import pytest

from twimager.align.appearance import CHUNK, gram_matrix, weighted_least_squares


@pytest.mark.parametrize("pixels", [CHUNK - 1, CHUNK, 2 * CHUNK, 3 * CHUNK + 7])
def test_however_many_pixels_there_are_each_counts_once(pixels: int) -> None:
    rng = np.random.default_rng(pixels)
    a, b = rng.integers(-9, 9, (2, 5, pixels)).astype(np.float32)
    assert np.array_equal(gram_matrix(a, b), a.astype(np.float64) @ b.T.astype(np.float64))


def test_a_mixture_is_separated_whatever_has_zero_weight() -> None:
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(3, 2 * CHUNK + 5)).astype(np.float32)
    mixture = np.array([2, -1, 0.5], np.float32)
    observed, weights = mixture @ columns, np.ones(columns.shape[1], np.float32)
    observed[::3], weights[::3] = 1000, 0
    assert weighted_least_squares(columns, observed, weights)[0] == pytest.approx(mixture, abs=1e-5)
