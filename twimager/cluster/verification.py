"""Ask geometry which images show the same picture: groups fall apart, or together, by what can be aligned."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from twimager.cluster.clustering import Labels, members_of, renumbered
from twimager.cluster.image_cache import call_back
from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint, Recipe, working_image
from twimager.geometry import covered_share
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.files import shrink
from twimager.options import Options
from twimager.pairing.evaluate import evaluate
from twimager.pairing.evaluation import circumstances, failure
from twimager.pairing.read import Run
from twimager.pairs import VerifiedPair
from twimager.propose.proposal import Proposal, Source
from twimager.verify.overlay import GOOD_CORRELATION

# Of two copies of one picture, one at least shows so much of what the other one does: neighbours in a panorama do not.
MIN_SHARE = 0.6
# The other one may be a detail of a third of its width and height, no smaller: of a logo, say.
LEAST_SHARE = 0.1
# So many members of a group, the largest, are compared with all others. Who is tied to none of them is no member.
HUBS = 8
# Pictures without features are the same if no pixel of their copies of this side differs by more than so many levels:
# JPEG leaves 4.
PLAIN_SIDE = 64
PLAIN_LEVELS = 8
# How it is kept whether two images are tied.
KNOWN = {"yes": True, "no": False}


class _Task(NamedTuple):
    """A proposal, and what is kept of its images' views and of an earlier run's answer."""

    proposal: Proposal
    views: tuple[bytes | None, ...]
    known: bool | None


class _Bonds:
    """Which images are tied together, directly or through others."""

    def __init__(self, images: Sequence[Fingerprint]) -> None:
        self._parents = list(range(len(images)))
        self._places = {image.path: place for place, image in enumerate(images)}

    def group(self, image: Fingerprint) -> int:
        place = self._places[image.path]
        while self._parents[place] != place:
            self._parents[place] = self._parents[self._parents[place]]
            place = self._parents[place]
        return place

    def tie(self, proposal: Proposal) -> None:
        first, second = sorted(map(self.group, proposal.images))
        self._parents[second] = first

    def holds(self, proposal: Proposal) -> bool:
        first, second = map(self.group, proposal.images)
        return first == second


def regrouped(run: Run, images: Sequence[Fingerprint], labels: Labels, recipe: Recipe) -> Labels:
    """Return the groups (n,) of images that alignments tie together.

    Members of one group by `labels` are compared with its largest ones; then the largest of what is together by now
    with those for which its features vote, also mirrored. Whether two images are tied depends on them alone, so that
    the groups depend neither on the order nor on the number of workers.
    """
    bonds = _Bonds(images)
    groups = [sorted((images[place] for place in members), key=_by_size) for members in members_of(labels)]
    with run.progress.stage("aligning groups"):
        for number in range(HUBS):
            _tie(run, bonds, _with_hub(bonds, groups, number), recipe)
    # Imported here, as FAISS takes its time.
    from twimager.propose.by_features import FeatureIndex

    for mirror in (False, True):
        largest: dict[int, Fingerprint] = {}
        for image in sorted(images, key=_by_size):
            largest.setdefault(bonds.group(image), image)
        asking = sorted(largest.values(), key=lambda image: image.path)
        run.progress.expect(len(asking))
        with run.progress.stage("aligning others"):
            voted = FeatureIndex(asking, run.report.options.jobs).propose(asking, mirror=mirror, others=True)
            _tie(run, bonds, map(_upright, chain.from_iterable(run.progress.counted(voted))), recipe)
    return renumbered(np.array([bonds.group(image) for image in images], np.intp))


def _by_size(image: Fingerprint) -> tuple[int, object]:
    return -image.size[0] * image.size[1], image.path


def _with_hub(bonds: _Bonds, groups: Iterable[Sequence[Fingerprint]], number: int) -> Iterator[Proposal]:
    """Propose to each group's next hub all that none before is tied to."""
    for group in groups:
        parts = {bonds.group(image): image for image in reversed(group)}
        hubs = sorted(parts.values(), key=_by_size)
        if number < len(hubs) - 1:
            hub = hubs[number]
            yield from (Proposal(image, hub, Source.HASH) for image in hubs[number + 1 :])


def _upright(proposal: Proposal) -> Proposal:
    """Return a proposal that takes the larger picture onto the smaller one."""
    hr, lr = sorted(proposal.images, key=_by_size)
    return proposal._replace(lr=lr, hr=hr)


def _tie(run: Run, bonds: _Bonds, proposals: Iterable[Proposal], recipe: Recipe) -> None:
    """Have all proposals evaluated whose images are not tied yet, and tie those that pass."""
    options = _gates(run.report.options)
    waiting = deque[tuple[_Task, str]]()

    def tasks() -> Iterator[_Task]:
        for proposal in proposals:
            if bonds.holds(proposal):
                continue
            paths = [image.path for image in proposal.images]
            under = f"tie {recipe} {circumstances(options, [proposal])}"
            known = KNOWN.get(run.store.evaluation(paths, under) or "")
            views: tuple[bytes | None, ...] = (None, None)
            if recipe.resize < 1 and known is None:
                views = tuple(run.store.view(path, run.seen[path], recipe) for path in paths)
            waiting.append((_Task(proposal, views, known), under))
            yield waiting[-1][0]

    for tied in run.in_order(partial(_are_tied, options=options, recipe=recipe), tasks()):
        task, under = waiting.popleft()
        if isinstance(tied, Rejection):
            if tied.reason is Reason.FAILED:
                run.console.warn(f"{task.proposal.lr.path} - {task.proposal.hr.path}: {tied}")
            continue
        if tied:
            bonds.tie(task.proposal)
        if task.known is None:
            paths = [image.path for image in task.proposal.images]
            run.store.keep_evaluation(paths, under, "yes" if tied else "no")


def _gates(options: Options) -> Options:
    """Return the main job's options that stand for what two copies of a picture must pass."""
    return Options(options.lr, options.hr, dry=True, all_matches=True, min_overlap=LEAST_SHARE, jobs=options.jobs)


def _are_tied(task: _Task, options: Options, recipe: Recipe) -> bool | Rejection:
    """Tell whether an alignment shows that two images hold the same picture, or why that can't be told."""
    if task.known is not None:
        return task.known
    proposal = task.proposal
    try:
        if recipe.resize < 1:
            for image, packed in zip(proposal.images, task.views, strict=True):
                call_back(image.path, packed, recipe)
        evaluation = evaluate([proposal], options)
        if evaluation.pairs:
            return _shares_enough(evaluation.pairs[0])
        if failed := failure(evaluation):
            return failed
        return proposal.source is Source.HASH and _equally_plain(proposal)
    except UnreadableImage as error:
        return Rejection(error.reason, str(error))
    except LIBRARY_ERRORS as error:
        return Rejection(Reason.FAILED, complaint(error))


def _shares_enough(pair: VerifiedPair) -> bool:
    lr, hr = pair.proposal.images
    back = np.asarray(np.linalg.inv(pair.match.matrix), np.float64)
    shares = pair.scores.coverage, covered_share(back, lr.size, hr.size)
    return pair.scores.correlation >= GOOD_CORRELATION and max(shares) >= MIN_SHARE and min(shares) >= LEAST_SHARE


def _equally_plain(proposal: Proposal) -> bool:
    """Tell whether two pictures are the same, as plain ones may be that nothing can be aligned by."""
    first, second = (
        shrink(working_image(image).gray, (PLAIN_SIDE, PLAIN_SIDE)).astype(np.float32) for image in proposal.images
    )
    return bool(abs(first - second).max() <= PLAIN_LEVELS)
