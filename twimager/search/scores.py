"""How similar two pictures are: in structure, in features, in colours, and the score that these make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np

from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.working_image import WORKING_SIDE, WorkingImage, small_colors
from twimager.geometry import Matrix
from twimager.image.pixels import Pixels, limited, to_gray
from twimager.similarity.detectors import Detector, Features, detect, match_features
from twimager.similarity.ssim import histogram_correlation, ssim
from twimager.verify.overlay import make_overlay

# Pictures that are not aligned are compared whole, squeezed into a square of this side.
SQUARE = 256
# Features are sought in copies of this shorter side, so many of them: on larger ones they tell no more of whether two
# pictures are alike, and take most of the time.
FEATURE_SIDE = 200
MOST_FEATURES = 300


@dataclass(frozen=True)
class SimilarityScores:
    """How similar two pictures are, each 0..1; a correlation below 0 counts as 0.

    Attributes
    ----------
    ssim : structural similarity of the gray pictures, of what both show where they are aligned
    features : share of the features, of the picture with fewer, that agree with one transform
    colors : correlation of the colour histograms
    model : cosine similarity of a network's embeddings of the whole pictures; None without a network
    """

    ssim: float
    features: float
    colors: float
    model: float | None = None

    def mean(self, weights: Sequence[float]) -> float:
        """Return the weighted mean, 0..1."""
        values = [value for value in astuple(self) if value is not None]
        return math.fsum(w * value for w, value in zip(weights, values, strict=True)) / math.fsum(weights)


def working_colors(image: Fingerprint) -> WorkingImage:
    """Return an image in colour, (h, w, 3) uint8, as large as its working image.

    Raises UnreadableImage.
    """
    return WorkingImage(small_colors(image, WORKING_SIDE), image.size)


def features_of(pixels: Pixels, detector: Detector) -> Features:
    """Return the features by which a picture, (h, w, 3), is compared."""
    return detect(limited(to_gray(pixels), FEATURE_SIDE), detector, MOST_FEATURES)


def similarity_scores(
    hr: WorkingImage, lr: WorkingImage, matrix: Matrix | None, detector: Detector, known: Features | None
) -> SimilarityScores:
    """Compare two pictures: what both show, on the LR's grid, or the whole of them where they are not aligned.

    Parameters
    ----------
    hr, lr : in colour, (h, w, 3) uint8, of any two sizes
    matrix : (3, 3), takes pixels of the full-size HR to pixels of the full-size LR; None if the two are not aligned
    known : the features of the whole LR, if those have been found already
    """
    overlay = None if matrix is None else make_overlay(hr, lr, matrix)
    if overlay is None:
        there, here, grids = hr.gray, lr.gray, _squares(hr.gray, lr.gray)
    else:
        there, here = grids = overlay.common.cut(overlay.hr), overlay.common.cut(overlay.lr)
    first, second = (to_gray(picture) for picture in grids)
    own = known if known and here.shape == lr.gray.shape else features_of(here, detector)
    share = match_features(features_of(there, detector), own).share
    values = ssim(first, second), share, histogram_correlation(there, here)
    return SimilarityScores(*(max(0.0, value) for value in values))


def _squares(hr: Pixels, lr: Pixels) -> tuple[Pixels, Pixels]:
    first, second = (np.asarray(cv2.resize(p, (SQUARE, SQUARE), interpolation=cv2.INTER_AREA)) for p in (hr, lr))
    return first, second
