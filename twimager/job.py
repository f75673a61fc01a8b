"""The whole job: two folders in, pairs out.

`run` is the job; below it, in order, what the main thread does. What workers do for it is in `tasks`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

from twimager import destination, viewer
from twimager.console import Console, Progress
from twimager.errors import Interrupted, Reason, Rejection, UsageError
from twimager.fingerprints import LR_FEATURE_SIDE, Fingerprint, Recipe
from twimager.images import is_animated, list_files
from twimager.journal import Journal, Outcome, keep_journal
from twimager.options import Options, Search
from twimager.proposals import Proposal, hashes
from twimager.report import Note, RejectedImage, Report
from twimager.scheduling import AHEAD, in_order, worker_pool
from twimager.selection import Ballot
from twimager.store import Stamp, Store, stamp
from twimager.tasks import Case, File, examine, preload, remember
from twimager.verdicts import Verdict, circumstances, is_final, to_text
from twimager.writing import Writer

# How many times the work of reading an image it is to match an LR and to write its pair.
MATCHING = 2.0
FIRST_PICTURE = "holds several pictures; the first is used"

T = TypeVar("T")
R = TypeVar("R")


def run(options: Options, console: Console) -> Outcome:
    """Find, align, verify and write the pairs; return what is to be said of it.

    Raises
    ------
    TwimagerError
        If the folders do not fit, nothing can be written to DEST (any more), or the run is interrupted.
    """
    destination.check_folders(options)
    if options.debug:
        viewer.require_display()
    lr_paths, hr_paths = _list("--lr", options.lr, options, console), _list("--hr", options.hr, options, console)
    with keep_journal(options, {"--lr": lr_paths, "--hr": hr_paths}) as journal:
        if journal.ended:
            return journal.ended
        report = Report(options, console.detail)
        try:
            _do(report, lr_paths, hr_paths, console, journal)
        except KeyboardInterrupt:
            report.interrupted = True
            journal.discard_unfinished()
        _account_for_unpaired(report, lr_paths, hr_paths)
        path = destination.report_path(options)
        if path:
            destination.write_files({path: report.to_json().encode()}, journal.run, replace=True)
        if report.interrupted:
            raise Interrupted(resumable=not options.dry)
        outcome = Outcome(report.exit_code, report.summary(path))
        if not report.aborted:
            journal.end(outcome)
        return outcome


def _do(report: Report, lr_paths: list[Path], hr_paths: list[Path], console: Console, journal: Journal) -> None:
    """Find and write; the report has what came of it, as far as it came."""
    options = report.options
    names = destination.Names(options, lr_paths, hr_paths)
    work = len(lr_paths) + len(hr_paths) + MATCHING * len(lr_paths)
    # What is kept for going on only is no loss: a user who asked for nothing need not hear that it can't be.
    kept, warn = (options.save, console.warn) if options.save else (journal.store, console.detail)
    with console.progress(work) as progress, worker_pool(options.jobs, inline=options.debug) as pool:
        report.seconds = progress.seconds
        pool.submit(preload)
        with Store(kept, warn) as store:
            this = _Run(pool, report, console, progress, store, {}, Counter())
            with Writer(pool, names, report, console, journal=journal, seen=this.seen) as writer:
                lrs = _read(this, "LR", lr_paths, Recipe(feature_side=LR_FEATURE_SIDE))
                hrs = _read(this, "HR", hr_paths, Recipe(srgb=not options.keep_icc))
                this.count_strangers()
                _pair(this, lrs, hrs, writer)
    for stage, seconds in report.seconds.items():
        console.detail(f"{stage}: {seconds:.1f} s")


def _list(flag: str, folder: Path, options: Options, console: Console) -> list[Path]:
    try:
        paths = list_files(folder, options.recursive, console.warn)
    except OSError as error:
        raise UsageError(f"{flag}: {folder} can't be looked into: {error.strerror}") from error
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


def _read(run: _Run, side: str, paths: list[Path], recipe: Recipe) -> list[Fingerprint]:
    """Fingerprint every file of a side that the store does not know; those that can't be read go to the report."""
    found, files = [], deque[File]()

    def looked_up() -> Iterator[File]:
        for path in paths:
            run.seen[path] = seen = stamp(path)
            files.append(File(path, seen, run.store.get(path, seen, recipe)))
            yield files[-1]

    with run.progress.stage(f"reading {side}"):
        results = run.progress.counted(run.in_order(partial(remember, recipe=recipe), looked_up()))
        for result in results:
            file = files.popleft()
            if isinstance(result, Rejection):
                run.report.rejected_images.append(RejectedImage(side, file.path, result))
                run.tell(file.path, result)
                continue
            found.append(result)
            if is_animated(file.path):
                run.report.notes.append(Note(file.path, FIRST_PICTURE))
                run.console.note(f"{file.path}: {FIRST_PICTURE}")
            if file.known is None:
                run.store.keep(result, file.seen, recipe)
    return found


def _pair(run: _Run, lrs: Sequence[Fingerprint], hrs: Sequence[Fingerprint], writer: Writer) -> None:
    """Propose, examine, choose and write; then once more with what is left, more thoroughly and mirrored too."""
    options = run.report.options
    by_hash: list[list[Proposal]] = [[] for _ in lrs]
    if options.search is not Search.FEATURES:
        by_hash, run.report.near_hashes = hashes.propose(lrs, hrs, options.distance)
    if options.search is Search.HASH:
        _decide(run, by_hash, writer)
        return
    # Imported here, as FAISS takes its time.
    from twimager.proposals.features import FeatureIndex

    with run.progress.stage("searching"):
        index = FeatureIndex(hrs, options.jobs)
        votes = run.progress.counted(index.propose(lrs), work=0)
        proposals = [[*voted, *near] for voted, near in zip(votes, by_hash, strict=True)]
    if not _decide(run, proposals, writer):
        return
    done = run.report.decided_paths
    left, unheard = [], []
    for lr, near in zip(lrs, by_hash, strict=True):
        if lr.path not in done:
            left.append(lr)
            unheard.append(near)
    searches = [index.propose(left, thorough=True)]
    if options.mirror:
        searches.append(index.propose(left, mirror=True, thorough=True))
    run.progress.expect(MATCHING * len(left))
    with run.progress.stage("searching again"):
        found = [unheard, *(list(run.progress.counted(search, work=0)) for search in searches)]
    tried = {pair.proposal.key for pair in run.report.rejected_pairs}
    again = (chain(*of_one_lr) for of_one_lr in zip(*found, strict=True))
    fresh = [[p for p in voted if p.hr.path not in done and p.key not in tried] for voted in again]
    _decide(run, fresh, writer)


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
        if run.store.keeps and case.known is None and is_final(verdict):
            run.store.keep_verdict(images, under, to_text(verdict, case.proposals))
        yield verdict


def _account_for_unpaired(report: Report, lr_paths: list[Path], hr_paths: list[Path]) -> None:
    """Say of every image that is in no pair why not."""
    stop = "interrupted" if report.interrupted else "aborted" if report.aborted else f"limit of {report.options.limit}"
    cut_short = report.interrupted or report.aborted or len(report.pairs) == report.options.limit
    accounted_for = report.paired_paths | {image.path for image in report.rejected_images}
    judged = {image.path for pair in report.rejected_pairs for image in pair.proposal.images}
    alike = {
        image.path for pair in report.rejected_pairs if pair.rejection.reason is not Reason.FEW_MATCHES
        for image in pair.proposal.images
    }  # fmt: skip
    for side, paths in (("LR", lr_paths), ("HR", hr_paths)):
        for path in (path for path in paths if path not in accounted_for):
            if cut_short and (side == "HR" or path not in judged):
                rejection = Rejection(Reason.NOT_REACHED, stop)
            elif path in alike:
                rejection = Rejection(Reason.NO_PARTNER)
            else:
                rejection = Rejection(Reason.NOTHING_SIMILAR)
            report.rejected_images.append(RejectedImage(side, path, rejection))
