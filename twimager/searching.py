"""Find a picture in a collection: propose, align, verify as the main job does, then compare and rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twimager.collection import Collection, same_pixels
from twimager.detectors import Detector
from twimager.embedding import Embedding, cosine_similarity
from twimager.errors import Rejection, UnreadableImage
from twimager.fingerprints import LIGHT_HR, LIGHT_LR, Copy, Fingerprint, Recipe, limited
from twimager.geometry import Matrix, covered_share
from twimager.images import Pixels, encode
from twimager.options import Format, Method, Options
from twimager.proposals import CANDIDATES, Proposal
from twimager.resemblance import Resemblance, compare, working_colors
from twimager.scheduling import AHEAD, in_order
from twimager.tasks import examine

# As the main job remembers an LR and an HR, so that --save serves both.
OF_QUERY: Recipe = LIGHT_LR._replace(srgb=True)
OF_IMAGE: Recipe = LIGHT_HR._replace(srgb=True)
# So much of one of two pictures must be seen in the other: in less, chance aligns what has nothing in common.
MIN_SHOWN = 0.1
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 200, 80
# Every picture that passes is an answer; a picture may be taken of a picture.
OPTIONS = Options(Path(), Path(), dry=True, method=Method.WARP, all_matches=True, min_overlap=0.0)


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
    embed : what a network makes of a picture, asked by one thread at a time; None if there is none
    thumbnails : whether small copies of what is found are made
    """

    top: int = 5
    min_score: float = 0.0
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    detector: Detector = Detector.SIFT
    mirror: bool = True
    embed: Callable[[Pixels], Embedding] | None = None
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


class _Task(NamedTuple):
    """Images that may be copies of each other, and where the first lies on the query."""

    images: Sequence[Fingerprint]
    place: Place | None


class _Query(NamedTuple):
    """A query, its copy in colour, and what a network made of that."""

    image: Fingerprint
    seen: Copy
    embedding: Embedding | None


def search(query: Fingerprint, collection: Collection, wanted: Wanted, pool: Executor, jobs: int) -> Answer:
    """Look for a picture in a collection, by `jobs` workers of `pool`; its own file is no answer.

    Raises UnreadableImage if the query can't be read any more.
    """
    most, ahead = max(CANDIDATES, wanted.top) + 1, AHEAD * jobs
    proposals = collection.propose(query, most)
    places = list(in_order(pool, locate, proposals, ahead))
    if wanted.mirror and not any(places):
        mirrored = collection.propose_mirrored(query, most)
        proposals, places = proposals + mirrored, places + list(in_order(pool, locate, mirrored, ahead))
    tasks = _chosen([_Task(collection.others(p.hr, query), q) for p, q in zip(proposals, places, strict=True)], wanted)
    seen = working_colors(query)
    judge = partial(_judge, query=_Query(query, seen, _embedding(seen, wanted)), wanted=wanted)
    answers = in_order(pool, judge, tasks, ahead)
    found, unread = list[Found](), dict[Path, Rejection]()
    for answer in answers:
        found += [one for one in answer.found if one.score >= wanted.min_score]
        unread |= answer.unread
    return Answer(sorted(found, key=lambda one: one.rank)[: wanted.top], unread)


def locate(proposal: Proposal) -> Place | None:
    """Align and verify one picture and the query, the smaller of them being the reference; None if that fails."""
    query, image = proposal.lr, proposal.hr
    turned = not _is_reference(query, image)
    pairs, _ = examine([proposal._replace(lr=image, hr=query) if turned else proposal], OPTIONS)
    if not pairs:
        return None
    matrix = pairs[0].match.matrix
    back = _inverse(matrix)
    if turned:
        matrix, back = back, matrix
    shown = max(covered_share(matrix, image.size, query.size), covered_share(back, query.size, image.size))
    return Place(matrix, pairs[0].match.inliers, shown, proposal.mirrored) if shown >= MIN_SHOWN else None


def _is_reference(query: Fingerprint, image: Fingerprint) -> bool:
    """Tell whether the query is what the picture is laid on: what has fewer pixels shows what both can show."""
    return query.size[0] * query.size[1] <= image.size[0] * image.size[1]


def _chosen(tasks: Sequence[_Task], wanted: Wanted) -> list[_Task]:
    """Return the pictures that have a place, each once, then the likest of the others until there are enough."""
    placed = {task.images[0].path: task for task in reversed(tasks) if task.place}
    others = {task.images[0].path: task for task in tasks if task.images[0].path not in placed}
    likest = sorted(placed.values(), key=lambda task: (-task.place.shown, -task.place.inliers) if task.place else ())
    return [*likest[: max(CANDIDATES, wanted.top)], *list(others.values())[: max(0, wanted.top - len(placed))]]


def _judge(task: _Task, query: _Query, wanted: Wanted) -> Answer:
    """Compare pictures with the query, each that is not a copy of another."""
    found, unread = list[Found](), dict[Path, Rejection]()
    for copies in same_pixels(task.images, unread):
        try:
            shown = working_colors(copies[0])
        except UnreadableImage as error:
            unread[copies[0].path] = Rejection(error.reason, str(error))
            continue
        resemblance = _compared(copies[0], shown, query, task.place, wanted)
        others = tuple(image.path for image in copies[1:])
        score, small = resemblance.score(wanted.weights), thumbnail(shown) if wanted.thumbnails else b""
        found.append(Found(copies[0], others, resemblance, score, task.place, small))
    return Answer(found, unread)


def _compared(image: Fingerprint, shown: Copy, query: _Query, place: Place | None, wanted: Wanted) -> Resemblance:
    """Compare a picture with the query, on the grid of the one that is the reference."""
    matrix = place.matrix if place else None
    if _is_reference(query.image, image):
        resemblance = compare(shown, query.seen, matrix, wanted.detector)
    else:
        back = None if matrix is None else _inverse(matrix)
        resemblance = compare(query.seen, shown, back, wanted.detector)
    embedding = _embedding(shown, wanted)
    if embedding is None or query.embedding is None:
        return resemblance
    return replace(resemblance, model=max(0.0, cosine_similarity(query.embedding, embedding)))


def _embedding(copy: Copy, wanted: Wanted) -> Embedding | None:
    return wanted.embed(copy.gray) if wanted.embed else None


def thumbnail(copy: Copy) -> bytes:
    """Return a small JPEG of a colour copy."""
    return encode(limited(copy.gray, THUMBNAIL_SIDE), Format.JPG, THUMBNAIL_QUALITY)


def _inverse(matrix: Matrix) -> Matrix:
    return np.asarray(np.linalg.inv(matrix), np.float64)
