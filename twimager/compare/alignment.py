"""Align two pictures, of which neither is known to be the LR: as pairs are aligned and verified, or by a template."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twimager.align.matching import CERTAIN_INLIERS
from twimager.compare.crop import is_whole
from twimager.compare.template import SAME, correlation_at, match_template, snap_to_whole_pixels
from twimager.errors import Reason, Rejection
from twimager.fingerprint.fingerprint import RICH, Fingerprint
from twimager.geometry import Matrix, translation
from twimager.image.pixels import Gray, frame_size
from twimager.options import AlignSettings, Gates, Method, PairSettings
from twimager.pairing.evaluate import evaluate_best
from twimager.pairs import VerifiedPair
from twimager.propose.proposal import Proposal, Source

# A small crop of a large picture is to be found too, and time is not short: for two pictures, not for thousands.
THOROUGH = RICH._replace(side=800, features=2000, srgb=True)
# What is aligned here may differ by more than a pair of a data set: retouched, in other colours. Unrelated pictures
# agree in half of the bits, and in up to 70 % where one is registered by its pixels.
AGREEMENT = 80.0
# Pictures that overlap by less than this share of either one's frame are not aligned.
MIN_OVERLAP = 0.05
SETTINGS = PairSettings(AlignSettings(Method.WARP), Gates(threshold=AGREEMENT, min_overlap=MIN_OVERLAP))


class Alignment(NamedTuple):
    """How one picture lies on another.

    Attributes
    ----------
    matrix : (3, 3), takes pixels of the first picture's file to pixels of the second's
    found_by : "features", "hash", or "template": cut out, at whole pixels
    inliers : features that agree with it
    correlation : of the locally normalised pixels, -1..1; at whole pixels, of those themselves
    mirrored : whether the one is the other's mirror image
    """

    matrix: Matrix
    found_by: str
    inliers: int
    correlation: float
    mirrored: bool


def align(first: Fingerprint, second: Fingerprint, gray: tuple[Gray, Gray]) -> Alignment | Rejection:
    """Align two pictures, either as the LR; shifts by whole pixels to the pixel. Return why not if nothing aligns them.

    `gray` are both files' whole frames, (h, w) uint8 each.
    """
    registered = _register(first, second)
    if isinstance(registered, Alignment):
        registered = registered._replace(matrix=snap_to_whole_pixels(registered.matrix, *gray))
        correlation = correlation_at(*gray, registered.matrix)
        is_shift = is_whole(registered.matrix, frame_size(gray[0]))
        registered = registered._replace(correlation=correlation) if is_shift else registered
        # Many features say that one of them was resized: no template will fit.
        if (is_shift and correlation >= SAME) or (not is_shift and registered.inliers >= CERTAIN_INLIERS):
            return registered
    cut = _by_template(*gray)
    if cut is None or (isinstance(registered, Alignment) and cut.correlation <= correlation):
        return registered
    return cut


def _by_template(first: Gray, second: Gray) -> Alignment | None:
    """Align by matching the smaller picture as a template with the larger."""
    inside = first.size <= second.size
    small, large = (first, second) if inside else (second, first)
    shift = match_template(small, large)
    if shift is None:
        return None
    matrix = shift if inside else np.asarray(np.linalg.inv(shift), np.float64)
    return Alignment(matrix, "template", 0, correlation_at(small, large, shift), mirrored=False)


def _register(first: Fingerprint, second: Fingerprint) -> Alignment | Rejection:
    """Match, refine and verify, with either as the LR; of both alignments return that of higher similarity."""
    pairs: list[VerifiedPair] = []
    rejection = Rejection(Reason.FEW_MATCHES)
    for lr, hr in ((first, second), (second, first)):
        features = [Proposal(lr, hr, Source.FEATURES, mirrored) for mirrored in (False, True)]
        evaluation = evaluate_best([*features, Proposal(lr, hr, Source.HASH)], SETTINGS)
        pairs += evaluation.pairs[:1]
        if reasons := [pair.rejection for pair in evaluation.rejected]:
            rejection = max(reasons, key=lambda why: why.reason is not Reason.FEW_MATCHES)
    if not pairs:
        return rejection
    best = max(pairs, key=lambda pair: pair.scores.similarity)
    lr, hr = best.proposal.images
    matrix = translation(*lr.picture[:2]) @ best.match.matrix @ translation(-hr.picture.x, -hr.picture.y)
    if lr is first:
        matrix = np.asarray(np.linalg.inv(matrix), np.float64)
    return Alignment(
        matrix / matrix[2, 2], best.proposal.source.value, best.match.inliers or 0, best.scores.correlation,
        best.proposal.mirrored,
    )  # fmt: skip
