"""What of an LR its HRs explain: which of two it shows, and what one leaves of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import Picture, blurred, blurs, products
from twimager.image.pixels import limited
from twimager.verify.overlay import COARSE_SIDE, Overlay

# A rival HR is not the LR's picture if its difference from a better one explains this much of the LR: a true frame
# beat its neighbours in a clip by 0.2 and more; of 650 overlapping crops that show the whole LR as well, one was 0.28
# better than the true one, which has more pixels, and none of the others more than 0.06.
DECISIVE = 0.1
# The same for frames that are aligned on small copies, and may be worse off for that: by 0.25, then. Of 20 HRs that
# their features had put in a place worse by 0.5 or more, 15 were as good as the best once put in place: none of those
# is turned down before that.
CLEAR = 0.5
# The same for HRs in place, by copies of less detail, in which a rival of the true one was off by up to 0.29.
PLAIN = 0.3
# Where the best candidate leads by no more than this on those copies, candidates are compared at full resolution: of
# 306 rivals among crops, two of a gap of 0.001 became the best. Deferred candidates are always compared so.
CLOSE_CALL = 0.03
# An HR in place leaves less than this of its LR unexplained: but for 24 of 3,745 pairs, most of them with few features.
# Of 12 that lay on the wrong one of a pattern's repeats, with up to 25 inliers, it was 0.007 to 0.1.
UNEXPLAINED = 0.006
# Deviations, in pixels, of the blurs before each: one quiets the noise, the other leaves no details of small copies.
QUIET, STRUCTURE = 1.0, 2.0
# Of what is known but for so small a share, there is nothing left to tell the rivals by.
NOTHING_LEFT = 1e-5


def partial_correlation(first: Overlay, second: Overlay) -> float:
    """Return which of two aligned HRs an LR shows: above 0 the first, below 0 the second, -1..1.

    It is the partial correlation of the LR with the difference of the two, after all that the LR may owe to
    brightness, contrast, gamma, blur and a small affine misalignment has been taken out of both. Neighbouring frames
    of a clip, whose plain correlations with the LR differ by less than those nuisances, are told apart with ease.
    Both overlays are of one LR on one grid; 0 where the two HRs have no part of it in common.
    """
    both = first.both.intersection(second.both)
    if both is None:
        return 0.0
    a, b, lr = (blurred(both.cut(p).astype(np.float32), QUIET) for p in (first.hr, second.hr, first.lr))
    rest = _rest(cv2.addWeighted(a, 0.5, b, 0.5, 0), [a - b, lr])
    norm = math.sqrt(max(rest[0, 0] * rest[1, 1], 0))
    return float(rest[0, 1] / norm) if norm > NOTHING_LEFT else 0.0


def unexplained_variance(overlay: Overlay) -> float:
    """Return the share (0..1) of an LR's variance, details apart, that its HR does not explain where it lies.

    All that the LR may owe to brightness, contrast, gamma, blur and a small affine misalignment is explained.
    """
    small = (limited(overlay.both.cut(p), COARSE_SIDE).astype(np.float32) for p in (overlay.hr, overlay.lr))
    hr, lr = (blurred(p, STRUCTURE) for p in small)
    return float(_rest(hr, [lr - lr.mean()])[0, 0])


def _rest(mean: Picture, pictures: Sequence[Picture]) -> NDArray[np.float64]:
    """Return the products of what of pictures, each of length 1, no combination of the nuisances of `mean` explains.

    That is the Schur complement, (n, n) for n pictures.
    """
    rows = [p.ravel() for p in (*_nuisances(mean), *pictures)]
    # In single precision, rows as alike as a picture and its blur would drown the difference of two frames.
    precise = np.stack(rows, dtype=np.float64)
    gram = products(precise, precise)
    length = np.sqrt(gram.diagonal()) + 1e-9
    gram /= np.outer(length, length)
    n = len(pictures)
    known, shared, own = gram[:-n, :-n], gram[:-n, -n:], gram[-n:, -n:]
    return np.asarray(own - shared.T @ np.linalg.lstsq(known, shared, rcond=None)[0], np.float64)


def _nuisances(mean: Picture) -> list[Picture]:
    """Return what may be added to a picture without its becoming another one."""
    height, width = mean.shape
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    bright = mean / 255
    slopes = [cv2.Sobel(mean, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0)]
    shift = [part for slope in slopes for part in (slope, slope * x, slope * y)]
    return [np.ones_like(mean), bright, bright * bright, bright * bright * bright, *blurs(mean), *shift]
