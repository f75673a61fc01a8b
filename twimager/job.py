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
from twimager.fingerprints import LIGHT_HR, LIGHT_LR, RICH, Fingerprint, Recipe
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
# So many features of images that are read again may fill the memory, 144 bytes each; but each image keeps the least.
RICH_IN_ALL = 8_000_000
LEAST_RICH = 400
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
                lrs = _read(this, "LR", lr_paths, LIGHT_LR)
                hrs = _read(this, "HR", hr_paths, LIGHT_HR._replace(srgb=not options.keep_icc))
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
    """Fingerprint every file of a side; those that can't be read go to the report."""
    found = []
    with run.progress.stage(f"reading {side}"):
        for path, result in zip(paths, _remembered(run, paths, recipe), strict=True):
            if isinstance(result, Rejection):
                run.report.rejected_images.append(RejectedImage(side, path, result))
                run.tell(path, result)
                continue
            found.append(result)
            if is_animated(path):
                run.report.notes.append(Note(path, FIRST_PICTURE))
                run.console.note(f"{path}: {FIRST_PICTURE}")
    return found


def _remembered(run: _Run, paths: Iterable[Path], recipe: Recipe) -> Iterator[Fingerprint | Rejection]:
    """Fingerprint every file that the store does not know."""
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
