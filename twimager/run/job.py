"""The whole job: two folders in, pairs out.

`run` is the job. `pairing.rounds` finds the pairs, `pairing.evaluate` evaluates what is proposed for an LR.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from twimager.errors import Interrupted, Reason, Rejection
from twimager.fingerprint.cache import Store
from twimager.image.files import require_files
from twimager.options import Options
from twimager.output import layout
from twimager.output.atomic import write_files
from twimager.output.names import Names
from twimager.pairing.decide import MATCHING
from twimager.pairing.read import Run
from twimager.pairing.rounds import pair, pair_again
from twimager.pairing.workers import Evaluators
from twimager.report.ledger import RejectedImage, Report
from twimager.report.summary import Outcome, summarize
from twimager.report.tables import documents
from twimager.run.journal import Journal, keep_journal
from twimager.run.writer import Writer
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool
from twimager.windows import viewer


def run(options: Options, console: Console) -> Outcome:
    """Find, align, verify and write the pairs; return what is to be said of it.

    Raises
    ------
    TwimagerError
        If the folders do not fit, nothing can be written to DEST (any more), or the run is interrupted.
    """
    layout.check_folders(options)
    if options.debug:
        viewer.require_display("--debug")
    lr_paths, hr_paths = (
        require_files([folder], options.recursive, console.warn, f"{flag}: ")
        for flag, folder in (("--lr", options.lr), ("--hr", options.hr))
    )
    with keep_journal(options, {"--lr": lr_paths, "--hr": hr_paths}) as journal:
        if journal.ended:
            return journal.ended
        report = Report(options, console.detail)
        try:
            _do(report, lr_paths, hr_paths, console, journal)
        except KeyboardInterrupt:
            report.interrupted = True
            journal.discard_unfinished()
        journal.require_files()
        _account_for_unpaired(report, lr_paths, hr_paths)
        write_files(documents(report, console.warn), journal.run, replace=True, dest=options.unlinked_dest)
        if report.interrupted:
            raise Interrupted(resumable=not options.dry)
        outcome = Outcome(report.exit_code, summarize(report))
        if not report.aborted:
            journal.end(outcome)
        return outcome


def _do(report: Report, lr_paths: list[Path], hr_paths: list[Path], console: Console, journal: Journal) -> None:
    """Find and write; the report has what came of it, as far as it came."""
    options = report.options
    names = Names(options, lr_paths, hr_paths)
    work = len(lr_paths) + len(hr_paths) + MATCHING * len(lr_paths)
    # What is kept for going on only is no loss: a user who asked for nothing need not hear that it can't be.
    kept, warn = (options.save, console.warn) if options.save else (journal.store, console.detail)
    with console.progress(work) as progress, worker_pool(options.jobs, inline=options.debug) as pool:
        report.seconds = progress.seconds
        with Store(kept, warn) as store, Evaluators(pool, options) as evaluators:
            this = Run(pool, report, console, progress, store, evaluators, {}, Counter())
            with Writer(pool, names, report, console, journal=journal, seen=this.seen) as writer:
                if again := pair(this, lr_paths, hr_paths, writer):
                    pair_again(this, again, writer)
    for stage, seconds in report.seconds.items():
        console.detail(f"{stage}: {seconds:.1f} s")


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
    # One of several copies was evaluated for all.
    judged, alike = ({copy for path in paths for copy in report.copies.get(path, (path,))} for paths in (judged, alike))
    for side, paths in (("LR", lr_paths), ("HR", hr_paths)):
        for path in (path for path in paths if path not in accounted_for):
            if cut_short and (side == "HR" or path not in judged):
                rejection = Rejection(Reason.NOT_REACHED, stop)
            elif path in alike:
                rejection = Rejection(Reason.NO_PARTNER)
            else:
                rejection = Rejection(Reason.NOTHING_SIMILAR)
            report.rejected_images.append(RejectedImage(side, path, rejection))
