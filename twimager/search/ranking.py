"""Compare pictures that may be a query with it: how alike they are, and which of them are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint, WorkingImage, limited
from twimager.geometry import Matrix
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.files import encode
from twimager.options import Format
from twimager.search.collection import same_pixels
from twimager.search.scores import Resemblance, compare, working_colors
from twimager.similarity.detectors import Detector, Features
from twimager.similarity.embedding import Embedding, Network, cosine_similarity

THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 200, 80


@dataclass(frozen=True)
class Wanted:
    """What is to be found, and how it is judged.

    Attributes
    ----------
    top : how many pictures at most
    min_score : what each must reach, 0..1
    weights : what SSIM, features and colours count in the score, and last the network, if there is one
    detector : whose features are compared
    mirror : whether mirror images are looked for where nothing else shows the query
    network : whose embeddings are compared, if there is one
    thumbnails : whether small copies of what is found are made
    """

    top: int = 5
    min_score: float = 0.0
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    detector: Detector = Detector.SIFT
    mirror: bool = True
    network: Network | None = None
    thumbnails: bool = False


@dataclass(frozen=True, eq=False)
class Place:
    """How a picture lies on the query, verified.

    `matrix` takes pixels of the picture to pixels of the query; `inliers` features say so; `shown` is the share, 0..1,
    of the query's or of the picture's frame that is in both, whichever is greater.
    """

    matrix: Matrix
    inliers: int
    shown: float
    mirrored: bool


@dataclass(frozen=True, eq=False)
class Found:
    """A picture that shows the query or, without a place, only looks like it.

    `copies` are other files of the same pixels, `thumbnail` is a small JPEG, empty if none was wanted.
    """

    image: Fingerprint
    copies: tuple[Path, ...]
    resemblance: Resemblance
    score: float
    place: Place | None
    thumbnail: bytes

    @property
    def rank(self) -> tuple[bool, float, tuple[str, ...]]:
        """Sort key, best first: what has a place, then by score, of which a part of a picture has a part."""
        shown = self.place.shown if self.place else 1.0
        return self.place is None, -self.score * shown, self.image.path.parts


class Answer(NamedTuple):
    """What was found, the best first, and files that could not be read (any more), and why."""

    found: list[Found]
    unread: dict[Path, Rejection]


class Task(NamedTuple):
    """Images that may be copies of each other, and where the first lies on the query."""

    images: Sequence[Fingerprint]
    place: Place | None


class Query(NamedTuple):
    """A query, its copy in colour, the features found in that, and what a network made of it."""

    image: Fingerprint
    seen: WorkingImage
    features: Features
    embedding: Embedding | None


def is_reference(query: Fingerprint, image: Fingerprint) -> bool:
    """Tell whether the query is what the picture is laid on: what has fewer pixels shows what both can show."""
    return query.size[0] * query.size[1] <= image.size[0] * image.size[1]


def judge(task: Task, query: Query, wanted: Wanted) -> Answer:
    """Compare pictures with the query, each that is not a copy of another."""
    found, unread = list[Found](), dict[Path, Rejection]()
    for copies in same_pixels(task.images, unread):
        try:
            shown = working_colors(copies[0])
            resemblance = _compared(copies[0], shown, query, task.place, wanted)
        except UnreadableImage as error:
            unread[copies[0].path] = Rejection(error.reason, str(error))
            continue
        except LIBRARY_ERRORS as error:
            unread[copies[0].path] = Rejection(Reason.FAILED, complaint(error))
            continue
        others = tuple(image.path for image in copies[1:])
        score, small = resemblance.score(wanted.weights), thumbnail(shown) if wanted.thumbnails else b""
        found.append(Found(copies[0], others, resemblance, score, task.place, small))
    return Answer(found, unread)


def _compared(
    image: Fingerprint, shown: WorkingImage, query: Query, place: Place | None, wanted: Wanted
) -> Resemblance:
    """Compare a picture with the query, on the grid of the one that is the reference."""
    matrix = place.matrix if place else None
    if is_reference(query.image, image):
        resemblance = compare(shown, query.seen, matrix, wanted.detector, query.features)
    else:
        back = None if matrix is None else inverse(matrix)
        resemblance = compare(query.seen, shown, back, wanted.detector, None)
    theirs = embedding(shown, wanted)
    if theirs is None or query.embedding is None:
        return resemblance
    return replace(resemblance, model=max(0.0, cosine_similarity(query.embedding, theirs)))


def embedding(copy: WorkingImage, wanted: Wanted) -> Embedding | None:
    """Return what the network makes of a colour copy, None if there is no network."""
    return wanted.network.embed(copy.gray) if wanted.network else None


def thumbnail(copy: WorkingImage) -> bytes:
    """Return a small JPEG of a colour copy."""
    return encode(limited(copy.gray, THUMBNAIL_SIDE), Format.JPG, THUMBNAIL_QUALITY)


def inverse(matrix: Matrix) -> Matrix:
    """Return the matrix that leads back."""
    return np.asarray(np.linalg.inv(matrix), np.float64)
