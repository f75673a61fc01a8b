"""LRs of two moments: interlaced frames left as they are (combed), and frames blended of two."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from twimager.align.appearance import Picture, blurs, fit_appearance, gaussian_blur
from twimager.align.estimation import MEDIAN_TO_SIGMA
from twimager.fingerprint.combing import comb_share
from twimager.image.pixels import limited
from twimager.verify.discrimination import DENOISE_SIGMA
from twimager.verify.overlay import MIN_COMMON_SIDE, Overlay

# Blends are detected on this grid's shorter side, less a rim that blurs reach: with twice the pixels no more are.
BLEND_SIDE = 160
RIM = 4
# The HRs are compared where they differ by so many levels and standard deviations of what is left; noise and
# compression alone have fewer than so many of such pixels.
MIN_LEVELS, MIN_SIGMAS, MIN_PIXELS = 2.0, 8.0, 12
# The share of the lesser HR in a blend.
MIN_SHARE = 0.2
# There the blend leaves less than this of the better HR's error, and of the difference of the two. Of 39 blended and
# combed frames of a clip, both of whose HRs were candidates, it left at most 0.15 and 0.03; of 237 couples of HRs of
# single frames, some sharpened, blurred by motion or one field, 0.52 and more of the first.
MAX_LEFT, MAX_LEFT_OF_DIFFERENCE = 0.4, 0.15


class Blend(NamedTuple):
    """How an LR is made of two HRs where these differ.

    Attributes
    ----------
    share : of the first one, 0..1; the second one has the rest
    left : share of the better one's squared error that the blend leaves
    left_of_difference : the same of the squared difference of the two
    """

    share: float
    left: float
    left_of_difference: float

    @property
    def is_significant(self) -> bool:
        """Whether the LR is no single one of the two, nor anything else."""
        return (
            MIN_SHARE <= self.share <= 1 - MIN_SHARE
            and self.left < MAX_LEFT
            and self.left_of_difference < MAX_LEFT_OF_DIFFERENCE
        )


def combed_share(overlay: Overlay) -> float:
    """Return the share, 0..1, of an LR that is combed where its HR, tones and blur fitted, is not.

    Parameters
    ----------
    overlay : on the grid of the full LR
    """
    hr, lr = (overlay.common.cut(p).astype(np.float32) for p in (overlay.hr, overlay.lr))
    return comb_share(lr, fit_appearance(hr, lr, blurs(hr)).error)


def blend(first: Overlay, second: Overlay) -> Blend | None:
    """Return how an LR is blended of two HRs, by least squares; None where these differ in noise alone.

    Tones and blur of each are fitted to the LR; with the errors e1 and e2 then, LR - HR, a blend of the first one's
    share s has the error s e1 + (1 - s) e2.

    Parameters
    ----------
    first, second : of one LR on one grid

    Examples
    --------
    >>> from twimager.geometry import Rect
    >>> from twimager.verify.moments import blend
    >>> from twimager.verify.overlay import Overlay
    >>> noise = np.random.default_rng(0).normal(0, 900, (120, 160))
    >>> frame = np.clip(cv2.GaussianBlur(noise, (0, 0), 6) + 128, 0, 255).astype(np.float32)
    >>> other = frame.copy()
    >>> other[40:80, 60:100] = frame[40:80, 68:108]
    >>> lr, whole = 0.4 * frame + 0.6 * other, Rect(0, 0, 160, 120)
    >>> found = blend(*(Overlay(hr, lr, whole, 1.0) for hr in (frame, other)))
    >>> round(found.share, 1), found.is_significant
    (0.4, True)
    """
    common = first.common.intersection(second.common)
    if common is None or min(common.width, common.height) < MIN_COMMON_SIDE:
        return None
    pictures = (limited(common.cut(p), BLEND_SIDE).astype(np.float32) for p in (first.hr, second.hr, first.lr))
    hr, other, lr = (gaussian_blur(picture, DENOISE_SIGMA) for picture in pictures)
    errors = [fit_appearance(p, lr, blurs(p)).error[RIM:-RIM, RIM:-RIM] for p in (hr, other)]
    difference = errors[1] - errors[0]
    left = errors[1] - _share(errors[1], difference) * difference
    threshold = max(MIN_LEVELS, MIN_SIGMAS * MEDIAN_TO_SIGMA * float(np.median(abs(left))))
    differs = cv2.morphologyEx(
        (abs(difference) > threshold).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)
    )
    there = differs > 0
    if np.count_nonzero(there) < MIN_PIXELS:
        return None
    e1, e2, difference = (p[there] for p in (*errors, difference))
    share = _share(e2, difference)
    left_there = _power(e2 - share * difference)
    return Blend(share, left_there / max(min(_power(e1), _power(e2)), 1e-9), left_there / _power(difference))


def _share(error: Picture, difference: Picture) -> float:
    """Return how much of the difference is nearest to the error."""
    return float((error * difference).sum() / max(float((difference * difference).sum()), 1e-9))


def _power(values: Picture) -> float:
    return float((values * values).mean())
