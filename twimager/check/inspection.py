"""Inspect one pair: a worker's task, of picklable arguments to a picklable result."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twimager.align.refinement import FINE, PyramidLevel, refine
from twimager.check.misalignment import Misalignment, misalignment
from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, Fingerprint
from twimager.fingerprint.working_image import precise_frame, precise_picture
from twimager.geometry import resize_matrix, translation
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.facts import FileFacts, file_facts
from twimager.image.files import read_bytes
from twimager.image.pixels import shrink
from twimager.options import AlignSettings, Framing, Method, PairSettings
from twimager.pairing.candidates import COMPARED_BYTES
from twimager.pairing.evaluate import evaluate_all
from twimager.pairing.read import File, read_fingerprint
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.propose.by_name import proposals
from twimager.report.records import how_far
from twimager.runtime.memory import budget
from twimager.verify.detail import fineness, is_enlarged

# The LR's shorter side on which the misalignment is measured, at most. On the working image's 320 pixels the shift of a
# photograph of 680 is known to 0.01 LR pixels, in full to 0.002.
MEASURED_SIDE = 1000
# Pairs off by no more LR pixels are measured from the plain resize on, from coarse to fine: dense patterns have
# other solutions within a pixel. Shifts of 50 photographs, by 0.25 to 3 pixels, are found to 0.0004 in the median and
# 0.016 in the worst; of blurred, noisy and compressed ones to 0.003 and 0.024.
NEAR_PLAIN = 5.0
LEVELS: tuple[PyramidLevel, ...] = (PyramidLevel(2, 6), PyramidLevel(1, 6), *FINE)
# Bytes a pixel that this takes: decoded and in gray, and where it is measured the derivatives by each parameter.
DECODED_BYTES, MEASURED_BYTES = 16, 100


class NamedPair(NamedTuple):
    """Two files of the same name."""

    name: str
    lr: Path
    hr: Path


class Inspected(NamedTuple):
    """What is known of a pair; what was not computed is None.

    Attributes
    ----------
    unreadable : why one of the files, or both, can't be read, by its path
    facts : what the files are like, the LR's and the HR's
    outcome : what the main job makes of it
    misalignment : what is left
    enlarged : whether the HR shows no more than the LR
    fineness : how strong the finest detail of the HR reduced to the LR's grid is, in that of the LR
    """

    pair: NamedPair
    unreadable: dict[Path, Rejection]
    facts: tuple[FileFacts, FileFacts] | None = None
    outcome: VerifiedPair | RejectedPair | None = None
    misalignment: Misalignment | None = None
    enlarged: bool | None = None
    fineness: float | None = None

    @property
    def scale(self) -> Fraction | None:
        """HR pixels to an LR pixel, where that is the same whole number across and down."""
        return self.facts and whole_scale(*(one.size for one in self.facts))

    @property
    def hr(self) -> Fingerprint | None:
        """The HR's fingerprint."""
        return self.outcome and self.outcome.proposal.hr


def whole_scale(lr: tuple[int, int], hr: tuple[int, int]) -> Fraction | None:
    """Return how many times as large as an LR an HR is, both (width, height); None if that is no whole number.

    Examples
    --------
    >>> from twimager.check.inspection import whole_scale
    >>> whole_scale((100, 50), (400, 200)), whole_scale((100, 50), (401, 200))
    (Fraction(4, 1), None)
    """
    scale = Fraction(hr[0], lr[0])
    return scale if scale.denominator == 1 and lr[1] * scale == hr[1] else None


def inspect(pair: NamedPair) -> Inspected:
    """Read both files of a pair in full and measure it."""
    lr, hr = (
        read_fingerprint(File(path), recipe._replace(srgb=True))
        for path, recipe in ((pair.lr, LIGHT_LR), (pair.hr, LIGHT_HR))
    )
    unreadable = {path: one for path, one in ((pair.lr, lr), (pair.hr, hr)) if isinstance(one, Rejection)}
    if isinstance(lr, Rejection) or isinstance(hr, Rejection):
        return Inspected(pair, unreadable)
    try:
        return _measured(pair, lr, hr)
    except UnreadableImage as error:  # changed or gone since it was read
        return Inspected(pair, {pair.hr: Rejection(error.reason, str(error))})
    except LIBRARY_ERRORS as error:
        return Inspected(pair, {pair.hr: Rejection(Reason.FAILED, complaint(error))})


def _measured(pair: NamedPair, lr: Fingerprint, hr: Fingerprint) -> Inspected:
    known = Inspected(pair, {}, (_facts(lr), _facts(hr)))
    outcome = _evaluated(lr, hr, known.scale)
    known = known._replace(outcome=_without_features(outcome))
    if isinstance(outcome, RejectedPair):
        return known
    known = known._replace(misalignment=_misalignment(outcome))
    if known.scale is None:
        return known
    with budget.admit(COMPARED_BYTES * math.prod(hr.frame[2:])):
        large, small = precise_frame(hr), precise_frame(lr)
        ratio = fineness(shrink(large, lr.frame[2:])) / max(fineness(small), 1e-6)
        return known._replace(enlarged=is_enlarged(large, small), fineness=ratio)


def _facts(image: Fingerprint) -> FileFacts:
    with budget.admit_file(image.path) as admit:
        admit(0)
        return file_facts(read_bytes(image.path), image.frame[2:], 8 * image.depth, image.opaque is not None)


def _evaluated(lr: Fingerprint, hr: Fingerprint, scale: Fraction | None) -> VerifiedPair | RejectedPair:
    """Return what the main job makes of two files that are each other's only proposal."""
    proposed = proposals(lr, [hr])
    if lr.is_flat or hr.is_flat:
        return RejectedPair(proposed[0], Rejection(Reason.FLAT))
    settings = PairSettings(AlignSettings(Method.WARP), framing=Framing(scale or Framing().scale))
    found = evaluate_all(proposed, settings)
    return found.pairs[0] if found.pairs else max(found.rejected, key=how_far)


def _without_features(outcome: VerifiedPair | RejectedPair) -> VerifiedPair | RejectedPair:
    lr, hr = outcome.proposal.images
    return outcome._replace(proposal=outcome.proposal._replace(lr=lr.without_features, hr=hr.without_features))


def _misalignment(pair: VerifiedPair) -> Misalignment:
    """Return how far a verified pair is from its plain resize, refined on the files' own pixels."""
    lr, hr = pair.proposal.images
    to_frame, from_frame = translation(*lr.picture[:2]), translation(-hr.picture.x, -hr.picture.y)
    sizes = hr.frame[2:], lr.frame[2:]
    start = pair.match.matrix
    levels: tuple[PyramidLevel, ...] = FINE
    if misalignment(to_frame @ start @ from_frame, *sizes).mean <= NEAR_PLAIN:
        start = np.linalg.inv(to_frame) @ resize_matrix(*sizes) @ np.linalg.inv(from_frame)
        levels = LEVELS
    measured = math.prod(lr.size) * min(1, MEASURED_SIDE / min(lr.size)) ** 2
    need = DECODED_BYTES * sum(map(math.prod, sizes)) + MEASURED_BYTES * measured
    with budget.admit(int(need)), precise_picture(lr) as small, precise_picture(hr) as large:
        matrix = refine(start, large, small.limited(MEASURED_SIDE), Method.WARP, levels)
    return misalignment(to_frame @ matrix @ from_frame, *sizes)
