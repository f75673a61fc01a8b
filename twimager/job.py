"""The whole job: two folders in, pairs out.

`run` is the job; below it, in order, what the main thread does. What workers do for it is in `tasks`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from twimager import destination, viewer
from twimager.console import Console, Progress
from twimager.errors import Reason, Rejection, UsageError
from twimager.fingerprints import LIGHT_HR, LIGHT_LR, RICH, Fingerprint, Recipe
from twimager.images import list_files
from twimager.options import Options, Search
from twimager.proposals import Proposal, hashes
from twimager.report import RejectedImage, Report
from twimager.scheduling import AHEAD, in_order, worker_pool
from twimager.selection import Ballot
from twimager.store import Store, stamp
from twimager.tasks import Case, File, examine, preload, remember
from twimager.verdicts import Verdict, circumstances, is_final, to_text
from twimager.writing import Writer

# How many times the work of reading an image it is to match an LR and to write its pair.
MATCHING = 2.0
# So many features of images that are read again may fill the memory, 144 bytes each; but each image keeps the least.
RICH_IN_ALL = 8_000_000
LEAST_RICH = 400

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    pass

T = TypeVar("T")
R = TypeVar("R")


def run(options: Options, console: Console) -> Report:
    """Find, align, verify and write the pairs; return what was done and what was turned down.

    Raises
    ------
    TwimagerError
        If the folders do not fit, or nothing can be written to DEST (any more).
    """
    destination.check_folders(options)
    if options.debug:
        viewer.require_display()
    lr_paths, hr_paths = _list("--lr", options.lr, options), _list("--hr", options.hr, options)
    destination.prepare(options)
    report = Report(options, console.detail)
    names = destination.Names(options, lr_paths, hr_paths)
    work = len(lr_paths) + len(hr_paths) + MATCHING * len(lr_paths)
    with console.progress(work) as progress, worker_pool(options.jobs, inline=options.debug) as pool:
        pool.submit(preload)
        with Store(options.save, console.warn) as store, Writer(pool, names, report, console) as writer:
            this = _Run(pool, report, console, progress, store)
            lrs = _read(this, "LR", lr_paths, LIGHT_LR)
            hrs = _read(this, "HR", hr_paths, LIGHT_HR._replace(srgb=not options.keep_icc))
            _pair(this, lrs, hrs, writer)
    _account_for_unpaired(report, lrs, hrs)
    report.seconds = progress.seconds
    for stage, seconds in progress.seconds.items():
        console.detail(f"{stage}: {seconds:.1f} s")
    return report


def _list(flag: str, folder: Path, options: Options) -> list[Path]:
    paths = list_files(folder, options.recursive)
    if not paths:
        below = "" if options.recursive else " (--recursive looks into its folders too)"
        raise UsageError(f"{flag}: there are no files in {folder}{below}")
    return paths


class _Run(NamedTuple):
    """What goes through the whole job."""

    pool: Executor
    report: Report
    console: Console
    progress: Progress
    store: Store

    def in_order(self, task: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Have workers do a task for everything, a few ahead of the reader."""
        return in_order(self.pool, task, tasks, AHEAD * self.report.options.jobs)


def _read(run: _Run, side: str, paths: list[Path], recipe: Recipe) -> list[Fingerprint]:
    """Fingerprint every file of a side; those that can't be read go to the report."""
    found = []
    with run.progress.stage(f"reading {side}"):
        for path, result in zip(paths, _remembered(run, paths, recipe), strict=True):
            if isinstance(result, Rejection):
                run.report.rejected_images.append(RejectedImage(side, path, result))
                run.console.warn(f"{path}: {result}")
            else:
                found.append(result)
    return found


def _remembered(run: _Run, paths: Iterable[Path], recipe: Recipe) -> Iterator[Fingerprint | Rejection]:
    """Fingerprint every file that the store does not know."""
    files = deque[File]()

    def looked_up() -> Iterator[File]:
        for path in paths:
            seen = stamp(path)
            files.append(File(path, seen, run.store.get(path, seen, recipe)))
            yield files[-1]

    for result in run.progress.counted(run.in_order(partial(remember, recipe=recipe), looked_up())):
        file = files.popleft()
        if file.known is None and isinstance(result, Fingerprint):
            run.store.keep(result, file.seen, recipe)
        yield result


def _pair(run: _Run, lrs: Sequence[Fingerprint], hrs: Sequence[Fingerprint], writer: Writer) -> None:
    """Propose, examine, choose and write; then what is left once more, mirrored, and by more features."""
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
    again = [(lr, by_hash) for lr, by_hash in zip(lrs, near, strict=True) if lr.path not in report.decided_paths]
    if not again:
        return
    run.progress.expect(MATCHING * len(again))
    with run.progress.stage("searching again"):
        sources = [by_hash for _, by_hash in again], index.propose([lr for lr, _ in again], mirror=True)
        proposals = _new(report, sources if options.mirror else sources[:1])
    if not _decide(run, proposals, writer):
        return
    left = [lr for lr, _ in again if lr.path not in report.decided_paths]
    mirrorings = (False, True) if options.mirror else (False,)
    with run.progress.stage("searching again"):
        wide = chain.from_iterable(index.propose(left, mirror=mirror, wide=True) for mirror in mirrorings)
        named = {proposal.hr.path: proposal.hr for of_one_lr in wide for proposal in of_one_lr}
        left_hrs = [named[path] for path in sorted(named.keys() - report.decided_paths)]
    run.progress.expect(len(left) + len(left_hrs) + MATCHING * len(left))
    with run.progress.stage("reading again"):
        features = min(RICH.features, max(LEAST_RICH, RICH_IN_ALL // (len(left) + len(left_hrs) + 1)))
        left, left_hrs = (_read_again(run, images, features) for images in (left, left_hrs))
    with run.progress.stage("searching again"):
        index = FeatureIndex(left_hrs, options.jobs)
        proposals = _new(report, [index.propose(left, mirror=mirror) for mirror in mirrorings])
    _decide(run, proposals, writer)


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


def _read_again(run: _Run, images: Sequence[Fingerprint], features: int) -> list[Fingerprint]:
    """Fingerprint images of one side for so many features."""
    if not images:
        return []
    recipe = RICH._replace(features=features, srgb=images[0].srgb)
    richer = _remembered(run, [image.path for image in images], recipe)
    return [image for image in richer if isinstance(image, Fingerprint)]


def _decide(run: _Run, proposals: Iterable[Sequence[Proposal]], writer: Writer) -> bool:
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


def _verdicts(run: _Run, tasks: Sequence[Sequence[Proposal]]) -> Iterator[Verdict]:
    """Have every LR's proposals examined that the store has no verdict on."""
    cases = deque[tuple[list[Path], str, Case]]()

    def looked_up() -> Iterator[Case]:
        for of_one_lr in tasks:
            images = [of_one_lr[0].lr.path, *(proposal.hr.path for proposal in of_one_lr)]
            under = circumstances(run.report.options, of_one_lr)
            cases.append((images, under, Case(of_one_lr, run.store.verdict(images, under))))
            yield cases[-1][-1]

    results = run.in_order(partial(examine, options=run.report.options), looked_up())
    for verdict in results:
        images, under, case = cases.popleft()
        if run.report.options.save and case.known is None and is_final(verdict):
            run.store.keep_verdict(images, under, to_text(verdict, case.proposals))
        yield verdict


def _account_for_unpaired(report: Report, lrs: Sequence[Fingerprint], hrs: Sequence[Fingerprint]) -> None:
    """Say of every image that is in no pair why not."""
    stop = "aborted" if report.aborted else f"limit of {report.options.limit}"
    cut_short = report.aborted or len(report.pairs) == report.options.limit
    paired = report.paired_paths
    judged = {image.path for pair in report.rejected_pairs for image in pair.proposal.images}
    alike = {
        image.path for pair in report.rejected_pairs if pair.rejection.reason is not Reason.FEW_MATCHES
        for image in pair.proposal.images
    }  # fmt: skip
    for side, images in (("LR", lrs), ("HR", hrs)):
        for path in (image.path for image in images if image.path not in paired):
            if cut_short and (side == "HR" or path not in judged):
                rejection = Rejection(Reason.NOT_REACHED, stop)
            elif path in alike:
                rejection = Rejection(Reason.NO_PARTNER)
            else:
                rejection = Rejection(Reason.NOTHING_SIMILAR)
            report.rejected_images.append(RejectedImage(side, path, rejection))
