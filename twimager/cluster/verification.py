"""Verify clusters by geometry: those images stay or come together that can be aligned with each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from twimager.cluster.clustering import Labels, members_of, renumber
from twimager.cluster.image_cache import restore_decoded
from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint, Recipe
from twimager.fingerprint.working_image import working_image
from twimager.geometry import covered_share
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.pixels import shrink
from twimager.options import Gates, PairSettings
from twimager.pairing.evaluate import evaluate_all
from twimager.pairing.evaluation import cache_key, failure
from twimager.pairing.read import Reader
from twimager.pairs import VerifiedPair
from twimager.propose.proposal import Proposal, Source
from twimager.verify.scores import GOOD_CORRELATION

# Of two copies of one picture, one at least shows so much of what the other one does: neighbours in a panorama do not.
MIN_SHARE = 0.6
# The other one may be a detail of a third of its width and height, no smaller: of a logo, say.
LEAST_SHARE = 0.1
SETTINGS = PairSettings(gates=Gates(min_overlap=LEAST_SHARE))
# So many members of a cluster, the largest, are compared with all others. What matches none of them is no member.
REPRESENTATIVES = 8
# Pictures without features are the same if no pixel of their copies of this side differs by more than so many levels:
# JPEG leaves 4.
FLAT_SIDE = 64
FLAT_LEVELS = 8
# How it is stored whether two images match.
STORED = {"yes": True, "no": False}


class _Task(NamedTuple):
    """A proposal, its images as an earlier run has kept them, decoded, and whether that run has matched them."""

    proposal: Proposal
    decoded: tuple[bytes | None, ...]
    matched: bool | None


class _Matches:
    """Which images match, directly or by way of others: disjoint sets of their paths (union-find)."""

    def __init__(self, images: Sequence[Fingerprint]) -> None:
        self._sets: DisjointSet[Path] = DisjointSet(image.path for image in images)

    def root(self, image: Fingerprint) -> Path:
        """Return the path that stands for all images which match this one."""
        return self._sets[image.path]

    def add(self, proposal: Proposal) -> None:
        """Take it that the two images of a proposal match."""
        self._sets.merge(*(image.path for image in proposal.images))

    def __contains__(self, proposal: Proposal) -> bool:
        return self._sets.connected(*(image.path for image in proposal.images))


def verify_clusters(reader: Reader, images: Sequence[Fingerprint], labels: Labels, recipe: Recipe) -> Labels:
    """Return the clusters (n,) of n images that match: that can be aligned, directly or by way of others.

    Members of one cluster by `labels` (n,) are compared with its largest ones; then the largest of what matches by now
    with those for which its features vote, also mirrored. Whether two images match depends on them alone, so that the
    clusters depend neither on the order nor on the number of workers.
    """
    matches = _Matches(images)
    clusters = [sorted((images[index] for index in members), key=_by_size) for members in members_of(labels)]
    with reader.progress.stage("aligning groups"):
        for number in range(REPRESENTATIVES):
            _match_all(reader, matches, _with_representative(matches, clusters, number), recipe)
    # Imported here, as FAISS takes its time.
    from twimager.propose.by_features import FeatureIndex

    for mirror in (False, True):
        largest: dict[Path, Fingerprint] = {}
        for image in sorted(images, key=_by_size):
            largest.setdefault(matches.root(image), image)
        queries = sorted(largest.values(), key=lambda image: image.path)
        reader.progress.expect(len(queries))
        with reader.progress.stage("aligning others"):
            voted = FeatureIndex(queries, reader.workers.jobs).propose(queries, mirror=mirror, exclude_self=True)
            _match_all(reader, matches, map(_upright, chain.from_iterable(reader.progress.counted(voted))), recipe)
    indices = {image.path: index for index, image in enumerate(images)}
    return renumber(np.array([indices[matches.root(image)] for image in images], np.intp))


def _by_size(image: Fingerprint) -> tuple[int, object]:
    return -image.size[0] * image.size[1], image.path


def _with_representative(
    matches: _Matches, clusters: Iterable[Sequence[Fingerprint]], number: int
) -> Iterator[Proposal]:
    """Propose for each cluster's representative of this number all that match none before it."""
    for cluster in clusters:
        parts = {matches.root(image): image for image in reversed(cluster)}
        largest = sorted(parts.values(), key=_by_size)
        if number < len(largest) - 1:
            yield from (Proposal(image, largest[number], Source.HASH) for image in largest[number + 1 :])


def _upright(proposal: Proposal) -> Proposal:
    """Return a proposal that takes the larger picture onto the smaller one."""
    hr, lr = sorted(proposal.images, key=_by_size)
    return proposal._replace(lr=lr, hr=hr)


def _match_all(reader: Reader, matches: _Matches, proposals: Iterable[Proposal], recipe: Recipe) -> None:
    """Evaluate all proposals whose images do not match yet, and add those that pass."""
    waiting = deque[tuple[_Task, str]]()

    def tasks() -> Iterator[_Task]:
        for proposal in proposals:
            if proposal in matches:
                continue
            paths = [image.path for image in proposal.images]
            key = f"match {recipe} {cache_key('all', SETTINGS, [proposal])}"
            matched = STORED.get(reader.store.evaluation(paths, key) or "")
            decoded: tuple[bytes | None, ...] = (None, None)
            if recipe.resize < 1 and matched is None:
                decoded = tuple(reader.store.decoded_image(path, reader.seen[path], recipe) for path in paths)
            waiting.append((_Task(proposal, decoded, matched), key))
            yield waiting[-1][0]

    for matched in reader.workers.map_shards(partial(_match, recipe=recipe), tasks()):
        task, key = waiting.popleft()
        if isinstance(matched, Rejection):
            if matched.reason is Reason.FAILED:
                reader.console.warn(f"{task.proposal.lr.path} - {task.proposal.hr.path}: {matched}")
            continue
        if matched:
            matches.add(task.proposal)
        if task.matched is None:
            paths = [image.path for image in task.proposal.images]
            reader.store.keep_evaluation(paths, key, "yes" if matched else "no")


def _match(task: _Task, recipe: Recipe) -> bool | Rejection:
    """Tell whether an alignment shows that two images hold the same picture, or why that can't be told."""
    if task.matched is not None:
        return task.matched
    proposal = task.proposal
    try:
        if recipe.resize < 1:
            for image, packed in zip(proposal.images, task.decoded, strict=True):
                restore_decoded(image.path, packed, recipe)
        evaluation = evaluate_all([proposal], SETTINGS)
        if evaluation.pairs:
            return _overlaps_enough(evaluation.pairs[0])
        if failed := failure(evaluation):
            return failed
        return proposal.source is Source.HASH and _equally_flat(proposal)
    except UnreadableImage as error:
        return Rejection(error.reason, str(error))
    except LIBRARY_ERRORS as error:
        return Rejection(Reason.FAILED, complaint(error))


def _overlaps_enough(pair: VerifiedPair) -> bool:
    lr, hr = pair.proposal.images
    back = np.asarray(np.linalg.inv(pair.match.matrix), np.float64)
    shares = pair.scores.coverage, covered_share(back, lr.size, hr.size)
    return pair.scores.correlation >= GOOD_CORRELATION and max(shares) >= MIN_SHARE and min(shares) >= LEAST_SHARE


def _equally_flat(proposal: Proposal) -> bool:
    """Tell whether two pictures are the same level by level, as flat ones may be that have nothing to align them by."""
    first, second = (
        shrink(working_image(image).gray, (FLAT_SIDE, FLAT_SIDE)).astype(np.float32) for image in proposal.images
    )
    return bool(abs(first - second).max() <= FLAT_LEVELS)
