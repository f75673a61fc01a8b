"""Score an overlay, and test its scores against the gates that a pair must pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import Reason, Rejection
from twimager.fingerprint.phash import HASHED_FROM, hash_waves
from twimager.geometry import Size
from twimager.image.pixels import frame_size
from twimager.options import Partial
from twimager.verify.agreement import Agreement
from twimager.verify.overlay import LOCAL_SIDE, Overlay, correlation

# 1,500 couples of unrelated photographs, frame on frame, stayed below 0.14; true pairs, some faded and noisy, reach
# 0.47 and more.
MIN_CORRELATION = 0.3
# Aligned by their features alone, true pairs rarely stay below; those that do are registered by their pixels.
GOOD_CORRELATION = 0.6
# Aligned by their features, pairs of which up to 45 % is covered have more, and are not to be pulled towards what
# covers them; those whose features agreed by chance had 0.15 at most.
PARTLY_CORRELATED = 0.25
# After the first steps of that, 43 of 44 misaligned pairs that it registered had 0.15 or more; 99 of 117 that showed
# something else had less than this, and take no more steps.
PROMISING_CORRELATION = 0.1
# The hashes of what both show have the square of this many bits.
REHASH_SIDE = 16
# A bit is decided by noise where the HR's wave is less than so many standard deviations of that from the median: of the
# others, 92 % and more are equal in 80 LRs with grain of 10 to 20 levels, of all bits 85 % and more. Without noise all
# bits count, and where fewer than so many of them are decided by the picture.
BEYOND_NOISE, LEAST_DECIDED = 1.5, 0.5
# Residual shifts are measured on tiles of this side. A tile of less response is left out, as is one of a larger shift:
# there it is the blocks of a strong JPEG compression that match.
TILE_SIDE = 48
MIN_RESPONSE = 0.15
LEAST_COUNTING = 0.5
MAX_TILE_SHIFT = 6.0
# In pixels of the LR's working image. Smoothly distorted pictures, aligned by an affine transform, and 1,500 pairs of
# all kinds stay below 1.75; a wrong transform of a mirrored picture, of which much agrees by chance, has 2.3.
MAX_RESIDUAL_SHIFT = 2.0
# The local contrast of a pixel is that of a square around it: of pixels so near to what differs it is left out.
LEFT_OUT = LOCAL_SIDE // 2
# What is written with a mask agrees in so much of what both show, and is as alike there as what is registered; where
# unrelated pictures are alike by chance, most correlate less.
LEAST_AGREED = 0.1
# What is cut differs in no more than this: dust and small logos, for which a picture is not cut.
WORTH_CUTTING = 0.01


@dataclass(frozen=True)
class Scores:
    """How alike an LR and its aligned HR are; None where it was not measured.

    Attributes
    ----------
    correlation : zero-mean normalised correlation of the locally normalised luma of what both show, -1..1; once it is
        known where they differ, without that
    coverage : share of the LR frame that the HR covers, 0..1
    hash_agreement : equal bits of the 256-bit pHashes of what both show, in the same tones, where they agree, out of
        those that the LR's noise does not decide; percent
    residual_shift : shift that is left between LR and HR, the median over tiles, in LR pixels
    color_distance : mean CIE Delta E of the local colours of what both show, exposure and white balance fitted
    agreed, different, unjudged : the shares of what both show in which they agree, the LR shows something else, and
        neither shows anything above the noise, 0..1
    contradicted : the share of it, in one place, in which the LR lacks what the HR shows, 0..1
    """

    correlation: float
    coverage: float
    hash_agreement: float | None = None
    residual_shift: float | None = None
    color_distance: float | None = None
    agreed: float | None = None
    different: float | None = None
    unjudged: float | None = None
    contradicted: float | None = None

    @property
    def similarity(self) -> float:
        """Correlation times the share it is of: of two HRs that show the same, that has more which shows more of it."""
        return self.correlation * self.agreeing

    @property
    def agreeing(self) -> float:
        """The share (0..1) of the LR frame that the HR covers and does not differ in."""
        return self.coverage * (1 - (self.different or 0))


def coarse_scores(overlay: Overlay) -> Scores:
    """Return correlation and coverage alone, which tell pictures of different things apart."""
    return Scores(overlay.correlation, overlay.coverage)


def score(overlay: Overlay, lr_size: Size, found: Agreement) -> Scores:
    """Return all scores of an overlay but that of its colours.

    Parameters
    ----------
    overlay : of two gray pictures
    lr_size : (width, height) of the full LR
    found : the agreement of what both show

    Examples
    --------
    An HR that lies two pixels too far right:

    >>> from twimager.fingerprint.working_image import WorkingImage
    >>> from twimager.geometry import translation
    >>> from twimager.verify.agreement import agreement
    >>> from twimager.verify.overlay import make_overlay
    >>> from twimager.verify.scores import score
    >>> noise = np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8)
    >>> image = WorkingImage(cv2.GaussianBlur(noise, (0, 0), 1), (100, 100))
    >>> overlay = make_overlay(image, image, translation(2, 0))
    >>> both = [overlay.common.cut(gray) for gray in (overlay.hr, overlay.lr)]
    >>> scores = score(overlay, (100, 100), agreement(*both))
    >>> scores.coverage, round(scores.residual_shift, 1)
    (0.98, 2.0)
    """
    contrasts, counts = overlay.contrasts, _counting(found, overlay.common[2:])
    shift = tile_shift(*contrasts, counts)
    return Scores(
        overlay.correlation if counts is None else correlation(*(contrast[counts] for contrast in contrasts)),
        overlay.coverage,
        hash_agreement=_hash_agreement(found),
        residual_shift=None if shift is None else shift * lr_size[0] / frame_size(overlay.lr)[0],
        agreed=found.agreed,
        different=found.different,
        unjudged=found.unjudged,
        contradicted=found.contradicted,
    )


def _hash_agreement(found: Agreement) -> float:
    """Return how many bits of both hashes are equal, in percent of those that the LR's noise does not decide."""
    waves = [hash_waves(picture, REHASH_SIDE) for picture in (found.fitted, found.lr)]
    equal = (waves[0] > 0) == (waves[1] > 0)
    noise = HASHED_FROM * REHASH_SIDE * math.sqrt(found.grain / found.lr.size)
    decided = abs(waves[0]) >= BEYOND_NOISE * noise
    return 100 * float((equal[decided] if decided.mean() >= LEAST_DECIDED else equal).mean())


def failed_gate(
    scores: Scores,
    threshold: float,
    min_overlap: float,
    *,
    max_residual_shift: float = math.inf,
    max_color_distance: float | None = None,
    max_difference: float = 1.0,
    partial: Partial = Partial.NONE,
) -> Rejection | None:
    """Return the first gate that the scores do not pass, or None; what was not measured passes.

    Parameters
    ----------
    threshold : of the hash agreement, in percent
    min_overlap : of the coverage, 0..1
    max_residual_shift : in LR pixels
    max_color_distance : CIE Delta E; None: any
    max_difference : of the share that is contradicted, 0..1
    partial : what becomes of a pair of which a part shows something else
    """
    if scores.coverage < min_overlap:
        return Rejection(Reason.OVERLAP, f"{scores.coverage:.2f} of the LR frame, at least {min_overlap:.2f}")
    if scores.correlation < MIN_CORRELATION:
        return Rejection(Reason.CORRELATION, f"correlation {scores.correlation:.2f}, at least {MIN_CORRELATION:.2f}")
    if scores.hash_agreement is not None and scores.hash_agreement < threshold:
        return Rejection(Reason.HASH, f"{scores.hash_agreement:.1f} % of the bits agree, at least {threshold:g} %")
    if scores.residual_shift is not None and scores.residual_shift > max_residual_shift:
        return Rejection(Reason.RESIDUAL, f"{scores.residual_shift:.2f} LR pixels, at most {max_residual_shift:.2f}")
    return _differs_too_much(scores, min_overlap, max_difference, partial) or _recolored(scores, max_color_distance)


def _recolored(scores: Scores, max_color_distance: float | None) -> Rejection | None:
    color = scores.color_distance
    if color is None or max_color_distance is None or color <= max_color_distance:
        return None
    return Rejection(Reason.COLOR, f"Delta E {color:.1f}, at most {max_color_distance:g}")


def _differs_too_much(scores: Scores, min_overlap: float, max_difference: float, partial: Partial) -> Rejection | None:
    """Return why too much differs: the LR lacks something that the HR shows, and there is no mask, or too little left.

    What is cut shows next to nothing else, be it contradicted or not.
    """
    different, agreed, contradicted = scores.different, scores.agreed, scores.contradicted
    if different is None or agreed is None or contradicted is None:
        return None
    if contradicted <= max_difference and (partial is not Partial.CUT or different <= WORTH_CUTTING):
        return None
    enough = scores.agreeing >= min_overlap and agreed >= LEAST_AGREED and scores.correlation >= GOOD_CORRELATION
    if enough and partial.keeps_all:
        return None
    more = f", {percent(agreed)} the same"
    if enough:
        more = "; --partial mask keeps the rest" if partial is Partial.CUT else "; --partial keeps the rest"
    return Rejection(Reason.DIFFERENT, f"{percent(different)} of the LR shows something else{more}")


def percent(share: float) -> str:
    """Return a share in percent, with a digit after the point below 10.

    Examples
    --------
    >>> from twimager.verify.scores import percent
    >>> percent(0.268), percent(0.0123)
    ('27 %', '1.2 %')
    """
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f} %"


def tile_shift(a: NDArray[np.float32], b: NDArray[np.float32], counts: NDArray[np.bool_] | None = None) -> float | None:
    """Return the median shift, in pixels, between tiles of two pictures; None if no tile has a clear one.

    By phase correlation [1]_, each tile weighted by its response: of the two that a small LR has, one may be next to
    flat.

    Parameters
    ----------
    a, b : (h, w) float32, of one shape, locally normalised
    counts : (h, w) bool, the pixels that most of a tile must be of; None: all

    References
    ----------
    .. [1] Kuglin and Hines, "The phase correlation image alignment method", 1975

    Examples
    --------
    >>> from twimager.verify.scores import tile_shift
    >>> noise = np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)
    >>> round(tile_shift(noise, np.roll(noise, 2, axis=1)), 1)
    2.0
    """
    side = min(TILE_SIDE, *a.shape)
    window = cv2.createHanningWindow((side, side), cv2.CV_32F)
    valid = np.ones(a.shape, bool) if counts is None else counts
    tiles = zip(_tiles(a, side), _tiles(b, side), _tiles(valid, side), strict=True)
    measured = (cv2.phaseCorrelate(*pair, window) for *pair, counting in tiles if counting.mean() >= LEAST_COUNTING)
    with_response = ((math.hypot(x, y), response) for (x, y), response in measured)
    found = sorted(one for one in with_response if one[0] < MAX_TILE_SHIFT and one[1] > MIN_RESPONSE)
    if not found:
        return None
    shifts, weights = np.array(found).T
    return float(shifts[np.searchsorted(weights.cumsum(), weights.sum() / 2)])


def _counting(found: Agreement, size: Size) -> NDArray[np.bool_] | None:
    """Return which pixels of what both show, (h, w), are of nothing that differs; None: all, or none of them."""
    if not found.differs.any():
        return None
    differs = cv2.resize(found.differs.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    near = cv2.dilate(differs, np.ones((2 * LEFT_OUT + 1, 2 * LEFT_OUT + 1), np.uint8))
    counts = near == 0
    return counts if counts.any() else None


def _tiles(picture: NDArray[Any], side: int) -> Iterator[NDArray[Any]]:
    """Yield the whole tiles of a picture, row by row."""
    height, width = picture.shape
    for top, left in product(range(0, height - side + 1, side), range(0, width - side + 1, side)):
        yield picture[top : top + side, left : left + side]
