"""Compare the candidates for a query with it, and rank them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Matrix
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.encode import encode
from twimager.image.pixels import limited
from twimager.options import Format
from twimager.search.collection import same_pixels
from twimager.search.scores import SimilarityScores, similarity_scores, working_colors
from twimager.similarity.detectors import Detector, Features
from twimager.similarity.embedding import Embedding, Network, cosine_similarity

THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 200, 80


@dataclass(frozen=True)
class Criteria:
    """By what pictures are compared with a query, and which of them are hits.

    Attributes
    ----------
    top : how many hits at most
    min_score : what each must reach, 0..1
    weights : what SSIM, features and colours count in the score, and last the network, if there is one
    detector : whose features are compared
    mirror : whether mirror images are looked for where nothing else shows the query
    network : whose embeddings are compared, if there is one
    thumbnails : whether hits have thumbnails
    """

    top: int = 5
    min_score: float = 0.0
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    detector: Detector = Detector.SIFT
    mirror: bool = True
    network: Network | None = None
    thumbnails: bool = False


@dataclass(frozen=True, eq=False)
class Alignment:
    """How a picture lies on the query, verified.

    Attributes
    ----------
    matrix : (3, 3), takes pixels of the picture to pixels of the query
    inliers : how many features agree with it
    overlap : share, 0..1, of the query's frame or of the picture's that is in both, whichever is greater
    mirrored : whether the one is the other's mirror image
    """

    matrix: Matrix
    inliers: int
    overlap: float
    mirrored: bool


@dataclass(frozen=True, eq=False)
class Hit:
    """A picture that shows the query or, without an alignment, only looks like it.

    `copies` are other files of the same pixels, `thumbnail` is a small JPEG, empty without thumbnails.
    """

    image: Fingerprint
    copies: tuple[Path, ...]
    scores: SimilarityScores
    score: float
    alignment: Alignment | None
    thumbnail: bytes

    @property
    def rank(self) -> tuple[bool, float, tuple[str, ...]]:
        """Sort key, best first: what is aligned, by score times overlap, then the others by score."""
        overlap = self.alignment.overlap if self.alignment else 1.0
        return self.alignment is None, -self.score * overlap, self.image.path.parts


class Ranking(NamedTuple):
    """The hits, and files that could not be read (any more), and why."""

    hits: list[Hit]
    unread: dict[Path, Rejection]


class Candidate(NamedTuple):
    """Images that may be copies of each other, and how the first lies on the query."""

    images: Sequence[Fingerprint]
    alignment: Alignment | None


class Query(NamedTuple):
    """A query: its fingerprint, its working image in colour, the features found in that, and its embedding."""

    image: Fingerprint
    colors: WorkingImage
    features: Features
    embedding: Embedding | None


def is_reference(query: Fingerprint, image: Fingerprint) -> bool:
    """Tell whether the query is the LR of the two: what has fewer pixels shows what both can show."""
    return query.size[0] * query.size[1] <= image.size[0] * image.size[1]


def score_candidate(candidate: Candidate, query: Query, criteria: Criteria) -> Ranking:
    """Compare a candidate's images with the query, each that is not a copy of another."""
    hits, unread = list[Hit](), dict[Path, Rejection]()
    for copies in same_pixels(candidate.images, unread):
        try:
            colors = working_colors(copies[0])
            scores = _scores(copies[0], colors, query, candidate.alignment, criteria)
        except UnreadableImage as error:
            unread[copies[0].path] = Rejection(error.reason, str(error))
            continue
        except LIBRARY_ERRORS as error:
            unread[copies[0].path] = Rejection(Reason.FAILED, complaint(error))
            continue
        others = tuple(image.path for image in copies[1:])
        score, small = scores.mean(criteria.weights), thumbnail(colors) if criteria.thumbnails else b""
        hits.append(Hit(copies[0], others, scores, score, candidate.alignment, small))
    return Ranking(hits, unread)


def _scores(
    image: Fingerprint, colors: WorkingImage, query: Query, alignment: Alignment | None, criteria: Criteria
) -> SimilarityScores:
    """Compare a picture with the query, on the grid of the one that is the reference."""
    matrix = alignment.matrix if alignment else None
    if is_reference(query.image, image):
        scores = similarity_scores(colors, query.colors, matrix, criteria.detector, query.features)
    else:
        back = None if matrix is None else inverse(matrix)
        scores = similarity_scores(query.colors, colors, back, criteria.detector, None)
    theirs = embedding(colors, criteria)
    if theirs is None or query.embedding is None:
        return scores
    return replace(scores, model=max(0.0, cosine_similarity(query.embedding, theirs)))


def embedding(colors: WorkingImage, criteria: Criteria) -> Embedding | None:
    """Return the network's embedding of a picture in colour, None if there is no network."""
    return criteria.network.embed(colors.gray) if criteria.network else None


def thumbnail(colors: WorkingImage) -> bytes:
    """Return a small JPEG of a picture in colour."""
    return encode(limited(colors.gray, THUMBNAIL_SIDE), Format.JPG, THUMBNAIL_QUALITY)


def inverse(matrix: Matrix) -> Matrix:
    """Return the inverse (3, 3) of a transform."""
    return np.asarray(np.linalg.inv(matrix), np.float64)
