"""The best image of each cluster: that with the most pixels, of those the sharpest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from twimager.cluster.clustering import Labels, members_of
from twimager.cluster.clusters import Cluster
from twimager.errors import UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.working_image import picture
from twimager.image.decode import LIBRARY_ERRORS
from twimager.image.pixels import Pixels, to_8_bit, to_gray
from twimager.pairing.read import Reader

# Of equally large images, those with no less than this share of the sharpest one's sharpness are as sharp.
AS_SHARP = 0.9
# Bytes a pixel that measuring takes: the gray, blurred and derived, 4 bytes each.
SHARPNESS_BYTES = 17


def sharpness(pixels: Pixels) -> float:
    """Return how sharp a picture is: the variance of its Laplacian, blurred by a pixel, as a share of its own variance.

    Of 30 photographs a blur of 0.6 pixels took a quarter to two fifths of it; JPEG, from quality 95 down to 30, and
    colour casts changed it by 9 % at most. Without the blur, the noise that JPEG adds would pass for details.

    Parameters
    ----------
    pixels : (h, w) or (h, w, 3), uint8 or uint16
    """
    gray = to_8_bit(to_gray(pixels)).astype(np.float32)
    return float(cv2.Laplacian(cv2.GaussianBlur(gray, (0, 0), 1), cv2.CV_32F).var() / (gray.var() + 1))


def best_first(reader: Reader, images: Sequence[Fingerprint], labels: Labels) -> list[Cluster]:
    """Return the clusters, the largest first, the best member of each in front, the others by path.

    Parameters
    ----------
    images : n images
    labels : (n,), the number of each one's cluster
    """
    grouped = [[images[index] for index in members] for members in members_of(labels)]
    largest = [members if len(members) == 1 else _largest(members) for members in grouped]
    measured = [image for members in largest if len(members) > 1 for image in members]
    sharp = dict(zip((image.path for image in measured), _sharpness(reader, measured), strict=True))
    ordered = []
    for members, candidates in zip(grouped, largest, strict=True):
        least = AS_SHARP * max(sharp.get(image.path, 0) for image in candidates)
        best = min(
            (image for image in candidates if sharp.get(image.path, 0) >= least),
            key=lambda image: (-_bytes(reader, image), image.path),
        )
        ordered.append([best, *sorted((image for image in members if image is not best), key=lambda i: i.path)])
    ordered.sort(key=lambda members: (-len(members), min(image.path for image in members)))
    return [Cluster(number, members) for number, members in enumerate(ordered, start=1)]


def _bytes(reader: Reader, image: Fingerprint) -> int:
    seen = reader.seen[image.path]
    return seen.bytes if seen else 0


def _largest(members: Sequence[Fingerprint]) -> list[Fingerprint]:
    most = max(image.size[0] * image.size[1] for image in members)
    return [image for image in members if image.size[0] * image.size[1] == most]


def _sharpness(reader: Reader, images: Sequence[Fingerprint]) -> Iterator[float]:
    """Yield how sharp each image is, 0 if it can't be read; what an earlier run has stored is not measured."""
    stored = [_number(reader.store.evaluation([image.path], "sharpness")) for image in images]
    reader.progress.expect(len(images))
    with reader.progress.stage("comparing sharpness"):
        measured = reader.workers.map_shards(_measured, zip(images, stored, strict=True))
        for image, before, value in zip(images, stored, reader.progress.counted(measured), strict=True):
            if before is None and value is not None:
                reader.store.keep_evaluation([image.path], "sharpness", repr(value))
            yield value or 0.0


def _number(text: str | None) -> float | None:
    """Return the sharpness that was stored as text; None if that is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _measured(task: tuple[Fingerprint, float | None]) -> float | None:
    image, stored = task
    try:
        if stored is not None:
            return stored
        with picture(image, more=SHARPNESS_BYTES) as pixels:
            return sharpness(pixels)
    except (UnreadableImage, *LIBRARY_ERRORS):
        return None
