"""Tell look-alikes apart: partial correlation and unexplained variance of aligned HRs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import Picture, blurs, gaussian_blur, gram_matrix
from twimager.image.pixels import limited
from twimager.verify.overlay import COARSE_SIDE, Overlay

# A rival HR is not the LR's picture if the partial correlation of its difference from a better one with the LR is this:
# a true frame beat its neighbours in a clip by 0.2 and more; of 650 overlapping crops that show the whole LR as well,
# one was 0.28 better than the true one, which has more pixels, and none of the others more than 0.06.
DECISIVE = 0.1
# The same for frames that are aligned on small copies, and may be worse for that: by 0.25, then. Of 20 HRs that were
# registered worse by 0.5 or more by their features, 15 were as good as the best once registered by their pixels; the
# other frame of combed and blended LRs was worse by up to 0.7: none of those is rejected before that.
DECISIVE_UNREFINED = 0.8
# The same for refined HRs, on copies of less detail, in which a rival of the true one was off by up to 0.29.
DECISIVE_COARSE = 0.3
# Where the best candidate leads by no more than this on those copies, candidates are compared at full resolution: of
# 306 rivals among crops, two of a gap of 0.001 became the best. Deferred candidates are always compared so.
CLOSE_SCORE_GAP = 0.03
# A registered HR leaves less than this of its LR unexplained, but for 24 of 3,745 pairs, most of them with few
# features. Of 12 that lay on the wrong one of a pattern's repeats, with up to 25 inliers, it was 0.007 to 0.1.
MAX_UNEXPLAINED = 0.006
# Sigmas, in pixels, of the blurs before each: one removes noise, the other the details of small copies.
DENOISE_SIGMA, STRUCTURE_SIGMA = 1.0, 2.0
# If less than this share is left of the difference and of the LR, the rivals can't be told apart.
MIN_REMAINDER = 1e-5


def partial_correlation(first: Overlay, second: Overlay) -> float:
    """Return the partial correlation, -1..1, of an LR with the difference of two aligned HRs.

    Above 0 the first shows the LR's picture, below 0 the second. It is what remains after regressing out of both
    brightness, contrast, gamma, blur and a small affine motion. Neighbouring frames of a clip, whose plain correlations
    with the LR differ by less than those nuisances account for, are told apart with ease.

    Parameters
    ----------
    first, second : of one LR on one grid

    Returns
    -------
    0 where the two HRs have no part of the LR in common
    """
    common = first.common.intersection(second.common)
    if common is None:
        return 0.0
    a, b, lr = (gaussian_blur(common.cut(p).astype(np.float32), DENOISE_SIGMA) for p in (first.hr, second.hr, first.lr))
    gram = _residual_gram(cv2.addWeighted(a, 0.5, b, 0.5, 0), [a - b, lr])
    norm = math.sqrt(max(gram[0, 0] * gram[1, 1], 0))
    return float(gram[0, 1] / norm) if norm > MIN_REMAINDER else 0.0


def unexplained_variance(overlay: Overlay) -> float:
    """Return the share, 0..1, of an LR's variance, fine detail apart, that its HR does not explain.

    Brightness, contrast, gamma, blur and a small affine motion are regressed out.
    """
    small = (limited(overlay.common.cut(p), COARSE_SIDE).astype(np.float32) for p in (overlay.hr, overlay.lr))
    hr, lr = (gaussian_blur(p, STRUCTURE_SIGMA) for p in small)
    return float(_residual_gram(hr, [lr - lr.mean()])[0, 0])


def _residual_gram(mean: Picture, pictures: Sequence[Picture]) -> NDArray[np.float64]:
    """Return the Gram matrix, (n, n), of n pictures of length 1 after projecting out the nuisance regressors of `mean`.

    That is the Schur complement.
    """
    rows = [p.ravel() for p in (*_nuisance_regressors(mean), *pictures)]
    # In single precision, rows as alike as a picture and its blur would drown the difference of two frames.
    precise = np.stack(rows, dtype=np.float64)
    gram = gram_matrix(precise, precise)
    length = np.sqrt(gram.diagonal()) + 1e-9
    gram /= np.outer(length, length)
    n = len(pictures)
    nuisances, cross, own = gram[:-n, :-n], gram[:-n, -n:], gram[-n:, -n:]
    return np.asarray(own - cross.T @ np.linalg.lstsq(nuisances, cross, rcond=None)[0], np.float64)


def _nuisance_regressors(mean: Picture) -> list[Picture]:
    """Return what may be added to a picture while it stays the same picture: tone, blur, small affine motion."""
    height, width = mean.shape
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    tone = mean / 255
    derivatives = [cv2.Sobel(mean, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0)]
    motion = [image for derivative in derivatives for image in (derivative, derivative * x, derivative * y)]
    return [np.ones_like(mean), tone, tone * tone, tone * tone * tone, *blurs(mean), *motion]
