"""Rounds of proposing, evaluating and choosing: what the main thread does between listing the files and the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, RICH, Fingerprint, Recipe
from twimager.options import Options, Search, Truncated
from twimager.pairing.copies import representatives
from twimager.pairing.decide import MATCHING, decide
from twimager.pairing.read import Run, read_each, remembered
from twimager.propose import by_hash
from twimager.propose.by_frame import Frames
from twimager.propose.proposal import Proposal
from twimager.report.ledger import Report
from twimager.run.writer import Writer

if TYPE_CHECKING:
    from twimager.propose.by_features import FeatureIndex

# So many features of images that are read again may fill the memory, 144 bytes each; but each image keeps the least.
RICH_IN_ALL = 8_000_000
LEAST_RICH = 400


class Again(NamedTuple):
    """Images in which more features are to be found; without those that are known of them."""

    lrs: list[Fingerprint]
    hrs: list[Fingerprint]


def pair(run: Run, lr_paths: list[Path], hr_paths: list[Path], writer: Writer) -> Again | None:
    """Read, propose, evaluate, choose and write, in rounds: the same frames, by features, mirrored.

    Return what is left then and worth another round, by more features, for which these are forgotten first.
    """
    options, report = run.report.options, run.report
    by_frame = options.search is Search.AUTO and not options.all_matches
    of_lr = LIGHT_LR._replace(truncated=options.truncated is Truncated.KEEP)
    of_hr = LIGHT_HR._replace(truncated=of_lr.truncated, srgb=not options.keep_icc)
    lrs = read_each(run, "LR", lr_paths, of_lr.without_features if by_frame else of_lr)
    frames = Frames(lrs, options.distance) if by_frame else None
    hrs = read_each(run, "HR", hr_paths, of_hr, frames)
    run.count_unsupported()
    if frames:
        proposals = frames.propose(hrs)
        if not decide(run, proposals, writer):
            return None
        lrs, hrs = _with_features(run, lrs, of_lr), _with_features(run, hrs, of_hr)
        left = {lr.path for lr in lrs}
        run.progress.expect(MATCHING * sum(of_one_lr[0].lr.path in left for of_one_lr in proposals if of_one_lr))
    near: list[list[Proposal]] = [[] for _ in lrs]
    if options.search is not Search.FEATURES:
        near, report.near_hashes = by_hash.propose(lrs, hrs, options.distance)
    if options.search is Search.HASH:
        decide(run, near, writer)
        return None
    return _pair_by_features(run, lrs, hrs, near, writer) if lrs else None


def _pair_by_features(
    run: Run, lrs: list[Fingerprint], hrs: list[Fingerprint], near: Sequence[list[Proposal]], writer: Writer
) -> Again | None:
    """Go on with images whose features are known, as `pair` does; `near` are the HRs near each LR's hashes."""
    # Imported here, as FAISS takes its time.
    from twimager.propose.by_features import FeatureIndex

    with run.progress.stage("searching"):
        index = FeatureIndex(hrs, run.report.options.jobs)
        proposals = _new(run.report, [index.propose(lrs), near])
    if not decide(run, proposals, writer):
        return None
    nearby = {of_one_lr[0].lr.path: of_one_lr for of_one_lr in near if of_one_lr}
    left = _left(run, lrs)
    run.progress.expect(MATCHING * len(left))
    if not left or not decide(run, _mirrored(run, index, left, nearby), writer):
        return None
    left = _left(run, left)
    return _worth_more(run, index, left) if left else None


def pair_again(run: Run, again: Again, writer: Writer) -> None:
    """Read images again for more features; propose, evaluate, choose and write."""
    from twimager.propose.by_features import FeatureIndex

    options, count = run.report.options, len(again.lrs) + len(again.hrs)
    run.progress.expect(count + MATCHING * len(again.lrs))
    with run.progress.stage("reading again"):
        features = min(RICH.features, max(LEAST_RICH, RICH_IN_ALL // count))
        recipe = RICH._replace(features=features, truncated=options.truncated is Truncated.KEEP)
        lrs = _described(run, again.lrs, recipe)
        hrs = _described(run, again.hrs, recipe._replace(srgb=not options.keep_icc))
    with run.progress.stage("searching again"):
        index = FeatureIndex(hrs, options.jobs)
        proposals = _new(run.report, [index.propose(lrs, mirror=mirror) for mirror in _mirrorings(options)])
    decide(run, proposals, writer)


def _with_features(run: Run, images: Sequence[Fingerprint], recipe: Recipe) -> list[Fingerprint]:
    """Return the images that are in no pair, features and all."""
    left = _left(run, images)
    hashed = [image for image in left if image.features is None]
    run.progress.expect(len(hashed))
    if hashed:
        # It takes a tenth of a second, in which other workers find features already.
        run.pool.submit(import_module, "faiss")
    with run.progress.stage("finding features"):
        found = {image.path: image for image in _described(run, hashed, recipe)}
    return [found.get(image.path, image) for image in left if image.path in found or image.features is not None]


def _left(run: Run, images: Sequence[Fingerprint]) -> list[Fingerprint]:
    """Return the images that are in no pair, one of each content."""
    return representatives(images, run.report.copies, run.report.decided_paths)


def _mirrored(
    run: Run, index: FeatureIndex, left: Sequence[Fingerprint], near: Mapping[Path, list[Proposal]]
) -> list[list[Proposal]]:
    """Propose the HRs near an LR's hashes, as others of its choice may be taken, and mirror images."""
    sources: list[Iterable[list[Proposal]]] = [[near.get(lr.path, []) for lr in left]]
    if run.report.options.mirror:
        sources.append(index.propose(left, mirror=True))
    with run.progress.stage("searching again"):
        return _new(run.report, sources)


def _worth_more(run: Run, index: FeatureIndex, left: Sequence[Fingerprint]) -> Again:
    """Name these LRs and all HRs that are likely for one of them, mirrored or not."""
    with run.progress.stage("searching again"):
        wide = chain.from_iterable(
            index.propose(left, mirror=mirror, wide=True) for mirror in _mirrorings(run.report.options)
        )
        likely = {proposal.hr.path: proposal.hr for of_one_lr in wide for proposal in of_one_lr}
        hrs = sorted(_left(run, list(likely.values())), key=lambda hr: hr.path)
        return Again([lr.without_features for lr in left], [hr.without_features for hr in hrs])


def _mirrorings(options: Options) -> tuple[bool, ...]:
    return (False, True) if options.mirror else (False,)


def _new(report: Report, sources: Iterable[Iterable[list[Proposal]]]) -> list[list[Proposal]]:
    """Return what several sources propose, each a list an LR, but for what is decided; forget what is to be retried."""
    done = report.decided_paths
    certain = {pair.proposal.key for pair in report.rejected_pairs if pair.match and pair.match.is_certain}
    proposals = [
        [
            proposal._replace(hr=hr)
            for proposal in chain(*of_one_lr)
            if proposal.key not in certain
            for hr in representatives([proposal.hr], report.copies, done)
        ]
        for of_one_lr in zip(*sources, strict=True)
    ]
    report.forget(proposal.key for of_one_lr in proposals for proposal in of_one_lr)
    return proposals


def _described(run: Run, images: Sequence[Fingerprint], recipe: Recipe) -> list[Fingerprint]:
    """Return images with their features; without those that can't be read any more."""
    results = remembered(run, [image.path for image in images], recipe, hashed=images)
    return [image for image in results if isinstance(image, Fingerprint)]
