"""Compare two image files: scores, distances of hashes, matches of features, alignment and crop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from twimager.compare.alignment import THOROUGH, Alignment, align
from twimager.compare.crop import Crop, crop_of
from twimager.errors import Rejection
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import Matrix, Rect, Size, area_scale, common_rectangle, covered_share, resize_matrix
from twimager.image.decode import decoded
from twimager.image.pixels import Pixels, frame_size, limited, to_8_bit, to_gray
from twimager.image.warp import resample
from twimager.runtime.memory import budget
from twimager.similarity import ssim
from twimager.similarity.detectors import Detector, FeatureMatches, Features, detect, match_features
from twimager.similarity.embedding import Embedding, Network, cosine_similarity
from twimager.verify.color import color_difference

# Detectors look at copies with a shorter side of this at most, for so many features.
DETECTED_SIDE = 800
DETECTED = 2000
# Bytes a pixel that describing an image, and comparing it, take: colours as float32, mostly.
DESCRIBING, COMPARING = 16, 100
# imagehash's, with its defaults: 64 bits, of the colours 42.
HASHES: dict[str, Callable[[Image.Image], imagehash.ImageHash]] = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "ahash": imagehash.average_hash,
    "colorhash": imagehash.colorhash,
}


@dataclass(frozen=True, eq=False)
class ImageDescriptors:
    """The descriptors of an image file, computed once for all comparisons with others."""

    path: Path
    size: Size
    fingerprint: Fingerprint
    hashes: dict[str, imagehash.ImageHash]
    features: dict[Detector, Features]
    embedding: Embedding | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All results of comparing two images.

    Attributes
    ----------
    scores : by name; None where it could not be computed
    scored_on : "frames": both as they are, being of one size; "overlap": what both show, on the coarser one's grid;
        "resized": the larger one shrunk to the other's size, as they are not aligned
    scored_size : (width, height) of what was compared there
    hash_distances : in bits, by name
    feature_matches : by detector; None if this OpenCV does not have it
    alignment : of the first with the second, or why there is none
    crops : the part of the second that the first shows, and the other way round
    coverage : the share of the first that the second covers, and the other way round
    """

    first: ImageDescriptors
    second: ImageDescriptors
    scores: dict[str, float | None]
    scored_on: str
    scored_size: Size
    hash_distances: dict[str, int]
    feature_matches: dict[Detector, FeatureMatches | None]
    alignment: Alignment | Rejection
    crops: tuple[Crop | None, Crop | None]
    coverage: tuple[float, float]

    @property
    def scale(self) -> float | None:
        """How many pixels of the second one of the first is wide."""
        if isinstance(self.alignment, Rejection):
            return None
        return math.sqrt(abs(area_scale(self.alignment.matrix, self.first.size)))


def describe(path: Path, network: Network | None = None) -> ImageDescriptors:
    """Compute the descriptors of an image; raises UnreadableImage."""
    known = fingerprint(path, THOROUGH)
    with decoded(path, srgb=True, more=DESCRIBING) as frame:
        pixels = to_8_bit(frame)
        picture = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
        small = limited(to_gray(pixels), DETECTED_SIDE)
        return ImageDescriptors(
            path,
            frame_size(pixels),
            known,
            {name: take(picture) for name, take in HASHES.items()},
            {detector: detect(small, detector, DETECTED) for detector in Detector if detector.is_available},
            network.embed(pixels) if network else None,
        )


def compare(first: ImageDescriptors, second: ImageDescriptors) -> Comparison:
    """Compare two images; raises UnreadableImage."""
    with budget.admit(min(budget.limit, COMPARING * sum(math.prod(image.size) for image in (first, second)))):
        return _compare(first, second)


def _compare(first: ImageDescriptors, second: ImageDescriptors) -> Comparison:
    pixels = _pixels(first), _pixels(second)
    alignment = align(first.fingerprint, second.fingerprint, (to_gray(pixels[0]), to_gray(pixels[1])))
    crops: tuple[Crop | None, Crop | None] = (None, None)
    coverage = (0.0, 0.0)
    if isinstance(alignment, Alignment):
        back = np.asarray(np.linalg.inv(alignment.matrix), np.float64)
        crops = crop_of(alignment.matrix, first.size, second.size), crop_of(back, second.size, first.size)
        coverage = (
            covered_share(back, second.size, first.size),
            covered_share(alignment.matrix, first.size, second.size),
        )
    a, b, scored_on = _on_one_grid(*pixels, alignment)
    return Comparison(
        first, second, {**_scores(a, b, pixels), "cosine_similarity": _cosine(first, second)}, scored_on, frame_size(a),
        {name: int(value - second.hashes[name]) for name, value in first.hashes.items()},
        {detector: _matches(first, second, detector) for detector in Detector}, alignment, crops, coverage,
    )  # fmt: skip


def _pixels(image: ImageDescriptors) -> Pixels:
    with decoded(image.path, srgb=True) as frame:
        return to_8_bit(frame)


def _on_one_grid(a: Pixels, b: Pixels, alignment: Alignment | Rejection) -> tuple[Pixels, Pixels, str]:
    """Return both pictures in one shape, and by what that was done, as `Comparison.scored_on`."""
    if a.shape == b.shape:
        return a, b, "frames"
    sizes = frame_size(a), frame_size(b)
    if isinstance(alignment, Alignment):
        to_b = alignment.matrix
        if abs(area_scale(to_b, sizes[0])) > 1:
            shown = _overlap(b, a, np.asarray(np.linalg.inv(to_b), np.float64))[::-1]
        else:
            shown = _overlap(a, b, to_b)
        if shown:
            return shown[0], shown[1], "overlap"
    smaller = min(sizes, key=math.prod)
    fitted = [resample(p, resize_matrix(size, smaller), smaller) for p, size in zip((a, b), sizes, strict=True)]
    return fitted[0], fitted[1], "resized"


def _overlap(moved: Pixels, still: Pixels, matrix: Matrix) -> tuple[Pixels, ...]:
    """Return the overlap of both pictures, on the grid of the second, to which `matrix` takes the first; () if none."""
    size = frame_size(still)
    both: Rect | None = common_rectangle(matrix, frame_size(moved), size)
    return (both.cut(resample(moved, matrix, size)), both.cut(still)) if both else ()


def _scores(a: Pixels, b: Pixels, whole: tuple[Pixels, Pixels]) -> dict[str, float | None]:
    """Return the scores of two pictures of one shape; the histograms are those of the whole pictures."""
    return {
        "mse": ssim.mse(a, b),
        "l2_norm": ssim.l2_norm(a, b),
        "ssim": ssim.ssim(to_gray(a), to_gray(b)),
        "color_difference": color_difference(a, b),
        "color_difference_after_gain": color_difference(a, b, gain=True),
        "histogram_correlation": ssim.histogram_correlation(*whole),
    }


def _cosine(first: ImageDescriptors, second: ImageDescriptors) -> float | None:
    if first.embedding is None or second.embedding is None:
        return None
    return cosine_similarity(first.embedding, second.embedding)


def _matches(first: ImageDescriptors, second: ImageDescriptors, detector: Detector) -> FeatureMatches | None:
    if not detector.is_available:
        return None
    return match_features(first.features[detector], second.features[detector])
