"""Rounds of proposing, examining and choosing: what the main thread does between listing the files and the report."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from twimager.console import Console, Progress
from twimager.errors import Reason, Rejection
from twimager.examiners import Examiners
from twimager.fingerprints import RICH, Fingerprint, Recipe
from twimager.images import is_animated
from twimager.options import Search
from twimager.proposals import Proposal, hashes
from twimager.report import Note, RejectedImage, Report
from twimager.scheduling import AHEAD, in_order
from twimager.selection import Ballot
from twimager.store import Stamp, Store, stamp
from twimager.tasks import File, remember
from twimager.verdicts import Verdict, circumstances, from_text, is_final, to_text
from twimager.writing import Writer

if TYPE_CHECKING:
    from twimager.proposals.features import FeatureIndex

# How many times the work of reading an image it is to match an LR and to write its pair.
MATCHING = 2.0
# So many features of images that are read again may fill the memory, 144 bytes each; but each image keeps the least.
RICH_IN_ALL = 8_000_000
LEAST_RICH = 400
FIRST_PICTURE = "holds several pictures; the first is used"

T = TypeVar("T")
R = TypeVar("R")


class Run(NamedTuple):
    """What goes through the whole job.

    `seen` is what each file was like before it was read, `strangers` how many files there are of kinds that are no
    images, by their extension.
    """

    pool: Executor
    report: Report
    console: Console
    progress: Progress
    store: Store
    examiners: Examiners
    seen: dict[Path, Stamp | None]
    strangers: Counter[str]

    def in_order(self, task: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Have workers do a task for everything, a few ahead of the reader."""
        return in_order(self.pool, task, tasks, AHEAD * self.report.options.jobs)

    def tell(self, path: Path, rejection: Rejection) -> None:
        """Name a file that can't be read; of each kind of file that is no image, the first only."""
        if rejection.reason is Reason.UNSUPPORTED:
            self.strangers[path.suffix.lower()] += 1
            if self.strangers[path.suffix.lower()] > 1:
                return
        self.console.warn(f"{path}: {rejection}")

    def count_strangers(self) -> None:
        """Say how many more files of each kind there were."""
        for kind, number in sorted(self.strangers.items()):
            if number > 1:
                what = f"files *{kind}" if kind else "files without an extension"
                self.console.warn(f"{number - 1} more {what}: {Reason.UNSUPPORTED.value}")


def read(run: Run, side: str, paths: list[Path], recipe: Recipe) -> list[Fingerprint]:
    """Fingerprint every file of a side; those that can't be read go to the report."""
    return take(run, side, paths, remembered(run, paths, recipe))


def take(run: Run, side: str, paths: Sequence[Path], results: Iterable[Fingerprint | Rejection]) -> list[Fingerprint]:
    """Return the fingerprints among the results of reading these files; what can't be read goes to the report."""
    found = []
    with run.progress.stage(f"reading {side}"):
        for path, result in zip(paths, results, strict=True):
            if isinstance(result, Rejection):
                run.report.rejected_images.append(RejectedImage(side, path, result))
                run.tell(path, result)
                continue
            found.append(result)
            if is_animated(path):
                run.report.notes.append(Note(path, FIRST_PICTURE))
                run.console.note(f"{path}: {FIRST_PICTURE}")
    return found


def remembered(run: Run, paths: Iterable[Path], recipe: Recipe) -> Iterator[Fingerprint | Rejection]:
    """Yield what is remembered of every file, in their order; those that the store does not know are read."""
    files = deque[File]()

    def looked_up() -> Iterator[File]:
        for path in paths:
            run.seen[path] = seen = stamp(path)
            files.append(File(path, seen, run.store.get(path, seen, recipe)))
            yield files[-1]

    for result in run.progress.counted(run.in_order(partial(remember, recipe=recipe), looked_up())):
        file = files.popleft()
        if file.known is None and isinstance(result, Fingerprint):
            run.store.keep(result, file.seen, recipe)
        yield result


def pair(run: Run, lrs: Sequence[Fingerprint], hrs: Sequence[Fingerprint], writer: Writer) -> None:
    """Propose, examine, choose and write; what is left goes through two more rounds, mirrored, and by more features."""
    options, report = run.report.options, run.report
    near: list[list[Proposal]] = [[] for _ in lrs]
    if options.search is not Search.FEATURES:
        near, report.near_hashes = hashes.propose(lrs, hrs, options.distance)
    if options.search is Search.HASH:
        _decide(run, near, writer)
        return
    # Imported here, as FAISS takes its time.
    from twimager.proposals.features import FeatureIndex

    with run.progress.stage("searching"):
        index = FeatureIndex(hrs, options.jobs)
        proposals = [[*voted, *by_hash] for voted, by_hash in zip(index.propose(lrs), near, strict=True)]
    if not _decide(run, proposals, writer):
        return
    left = _left(run, lrs)
    run.progress.expect(MATCHING * len(left))
    nearby = {of_one_lr[0].lr.path: of_one_lr for of_one_lr in near if of_one_lr}
    if not left or not _decide(run, _mirrored(run, index, left, nearby), writer):
        return
    left = _left(run, left)
    if left:
        _decide(run, _by_more_features(run, index, left), writer)


def _left(run: Run, lrs: Sequence[Fingerprint]) -> list[Fingerprint]:
    """Return the LRs that are in no pair."""
    done = run.report.decided_paths
    return [lr for lr in lrs if lr.path not in done]


def _mirrored(
    run: Run, index: FeatureIndex, left: Sequence[Fingerprint], near: Mapping[Path, list[Proposal]]
) -> list[list[Proposal]]:
    """Propose the HRs near an LR's hashes, as others of its choice may be taken, and mirror images."""
    sources: list[Iterable[list[Proposal]]] = [[near.get(lr.path, []) for lr in left]]
    if run.report.options.mirror:
        sources.append(index.propose(left, mirror=True))
    with run.progress.stage("searching again"):
        return _new(run.report, sources)


def _by_more_features(run: Run, index: FeatureIndex, left: Sequence[Fingerprint]) -> list[list[Proposal]]:
    """Propose HRs, mirrored or not, by many features, for which these LRs and all likely HRs are read again."""
    from twimager.proposals.features import FeatureIndex

    options = run.report.options
    mirrorings = (False, True) if options.mirror else (False,)
    with run.progress.stage("searching again"):
        wide = chain.from_iterable(index.propose(left, mirror=mirror, wide=True) for mirror in mirrorings)
        named = {proposal.hr.path: proposal.hr for of_one_lr in wide for proposal in of_one_lr}
        likely = [named[path] for path in sorted(named.keys() - run.report.decided_paths)]
    run.progress.expect(len(left) + len(likely) + MATCHING * len(left))
    with run.progress.stage("reading again"):
        features = min(RICH.features, max(LEAST_RICH, RICH_IN_ALL // (len(left) + len(likely))))
        lrs, hrs = (_read_again(run, images, features) for images in (left, likely))
    with run.progress.stage("searching again"):
        richer = FeatureIndex(hrs, options.jobs)
        return _new(run.report, [richer.propose(lrs, mirror=mirror) for mirror in mirrorings])


def _new(report: Report, sources: Iterable[Iterable[list[Proposal]]]) -> list[list[Proposal]]:
    """Return what several sources propose, each a list an LR, but for what is decided; forget what is to be retried."""
    done = report.decided_paths
    certain = {pair.proposal.key for pair in report.rejected_pairs if pair.match and pair.match.is_certain}
    proposals = [
        [proposal for proposal in chain(*of_one_lr) if proposal.hr.path not in done and proposal.key not in certain]
        for of_one_lr in zip(*sources, strict=True)
    ]
    report.forget(proposal.key for of_one_lr in proposals for proposal in of_one_lr)
    return proposals


def _read_again(run: Run, images: Sequence[Fingerprint], features: int) -> list[Fingerprint]:
    """Fingerprint images of one side for so many features."""
    if not images:
        return []
    recipe = RICH._replace(features=features, srgb=images[0].srgb)
    richer = remembered(run, [image.path for image in images], recipe)
    return [image for image in richer if isinstance(image, Fingerprint)]


def _decide(run: Run, proposals: Iterable[Sequence[Proposal]], writer: Writer) -> bool:
    """Examine every LR's proposals and write what can be decided as soon as it can; tell whether more is wanted."""
    tasks = [of_one_lr for of_one_lr in proposals if of_one_lr]
    ballot = Ballot(tasks)
    verdicts = run.progress.counted(_verdicts(run, tasks), MATCHING)
    with run.progress.stage("matching"):
        for of_one_lr, (choices, rejected) in zip(tasks, verdicts, strict=True):
            run.report.turn_down(*rejected)
            chosen, taken = (choices, []) if run.report.options.all_matches else ballot.hear(of_one_lr, choices)
            run.report.turn_down(*taken)
            if not all(writer.accept(pair) for pair in chosen):
                return False
        writer.finish()
    return True


def _verdicts(run: Run, tasks: Sequence[Sequence[Proposal]]) -> Iterator[Verdict]:
    """Have every LR's proposals examined that the store has no verdict on."""
    cases = [_Case(run, of_one_lr) for of_one_lr in tasks]
    found = run.examiners.examine([case.proposals for case in cases if case.known is None])
    for case in cases:
        if case.known:
            yield from_text(case.known, case.proposals)
            continue
        verdict = next(found)
        if run.store.keeps and is_final(verdict):
            run.store.keep_verdict(case.images, case.under, to_text(verdict, case.proposals))
        yield verdict


class _Case:
    """One LR's proposals, under what circumstances they are examined, and what an earlier run made of them, as text."""

    def __init__(self, run: Run, proposals: Sequence[Proposal]) -> None:
        self.proposals = proposals
        self.images = [proposals[0].lr.path, *(proposal.hr.path for proposal in proposals)]
        self.under = circumstances(run.report.options, proposals)
        self.known = run.store.verdict(self.images, self.under)
