"""The whole job: two folders in, pairs out.

`run` is the job; below it, in order, what the main thread does and the tasks that workers do for it. A task is a
plain function of picklable arguments to a picklable result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twimager import destination, viewer
from twimager.console import Console
from twimager.errors import Reason, Rejection, UnreadableImage, UsageError
from twimager.fingerprints import Fingerprint, fingerprint, working_copy
from twimager.images import list_files
from twimager.matching import match
from twimager.options import Options
from twimager.proposals.hashes import Proposal, propose
from twimager.rendering import common_area, output_window
from twimager.report import RejectedImage, Report
from twimager.scheduling import AHEAD, in_order, worker_pool
from twimager.selection import RejectedPair, VerifiedPair, select, settle_rivals
from twimager.verification import Overlay, flaw, overlay, score
from twimager.writing import Writer


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
    with worker_pool(options.jobs, inline=options.debug) as pool:
        lrs = _read(pool, "LR", lr_paths, report, console)
        hrs = _read(pool, "HR", hr_paths, report, console)
        proposals = propose(lrs, hrs, options.distance)
        _pair(pool, proposals, names, report, console)
    _account_for_unpaired(report, lrs, hrs, proposals)
    return report


def _list(flag: str, folder: Path, options: Options) -> list[Path]:
    paths = list_files(folder, options.recursive)
    if not paths:
        below = "" if options.recursive else " (--recursive looks into its folders too)"
        raise UsageError(f"{flag}: there are no files in {folder}{below}")
    return paths


def _read(pool: Executor, side: str, paths: list[Path], report: Report, console: Console) -> list[Fingerprint]:
    """Fingerprint every file of a side; those that can't be read go to the report."""
    found = []
    with console.bar(f"reading {side}", len(paths)) as bar:
        results = in_order(pool, remember, paths, AHEAD * report.options.jobs)
        for path, result in zip(paths, results, strict=True):
            bar.step()
            if isinstance(result, Fingerprint):
                found.append(result)
            else:
                report.rejected_images.append(RejectedImage(side, path, result))
                console.warn(f"{path}: {result}")
    return found


def _pair(
    pool: Executor, proposals: Sequence[Proposal], names: destination.Names, report: Report, console: Console
) -> None:
    """Examine all proposals, choose, and write: group by group, as no choice in one concerns another."""
    options = report.options
    groups = grouped(proposals)
    tasks = [of_one_lr for group in groups for of_one_lr in group]
    results = in_order(pool, partial(examine, options=options), tasks, AHEAD * options.jobs)
    with (
        console.bar("matching", len(tasks)) as bar,
        Writer(pool, names, report, console) as writer,
    ):
        for group in groups:
            choices = []
            for _ in group:
                kept, rejected = next(results)
                bar.step()
                choices.append(kept)
                report.turn_down(*rejected)
            chosen, taken = select(choices)
            report.turn_down(*taken)
            if not all(writer.accept(pair) for pair in chosen):
                break


def _account_for_unpaired(
    report: Report, lrs: Sequence[Fingerprint], hrs: Sequence[Fingerprint], proposals: Sequence[Proposal]
) -> None:
    """Say of every image that is in no pair why not."""
    stop = "aborted" if report.aborted else f"limit of {report.options.limit}"
    cut_short = report.aborted or len(report.pairs) == report.options.limit
    paired = {i.path for record in report.pairs for i in (record.pair.proposal.lr, record.pair.proposal.hr)}
    proposed = {image.path for proposal in proposals for image in (proposal.lr, proposal.hr)}
    judged = {image.path for pair in report.rejected_pairs for image in (pair.proposal.lr, pair.proposal.hr)}
    for side, images in (("LR", lrs), ("HR", hrs)):
        for path in (image.path for image in images if image.path not in paired):
            if path not in proposed:
                rejection = Rejection(Reason.NOTHING_SIMILAR)
            elif cut_short and path not in judged:
                rejection = Rejection(Reason.NOT_REACHED, stop)
            else:
                rejection = Rejection(Reason.NO_PARTNER)
            report.rejected_images.append(RejectedImage(side, path, rejection))


def grouped(proposals: Sequence[Proposal]) -> list[list[list[Proposal]]]:
    """Split proposals into groups that share no image, each a list of lists with the proposals of one LR."""
    numbers: dict[Path, int] = {}
    edges = [[numbers.setdefault(p.lr.path, len(numbers)), numbers.setdefault(p.hr.path, len(numbers))]
             for p in proposals]  # fmt: skip
    if not edges:
        return []
    rows, columns = np.array(edges).T
    _, labels = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(numbers),) * 2))
    groups: dict[int, dict[Path, list[Proposal]]] = defaultdict(lambda: defaultdict(list))
    for proposal, row in zip(proposals, rows, strict=True):
        groups[int(labels[row])][proposal.lr.path].append(proposal)
    return [list(group.values()) for group in groups.values()]


def remember(path: Path) -> Fingerprint | Rejection:
    """Worker task: fingerprint a file."""
    try:
        return fingerprint(path)
    except UnreadableImage as error:
        return Rejection(Reason.UNREADABLE, str(error))


def examine(proposals: Sequence[Proposal], options: Options) -> tuple[list[VerifiedPair], list[RejectedPair]]:
    """Worker task: match and verify all proposals of one LR; return those it would have, in order, and the others."""
    outcomes = [verify(proposal, options) for proposal in proposals]
    rejected = [outcome for outcome in outcomes if isinstance(outcome, RejectedPair)]
    candidates = [outcome for outcome in outcomes if not isinstance(outcome, RejectedPair)]
    kept, look_alikes = settle_rivals(candidates)
    return kept, rejected + look_alikes


def verify(proposal: Proposal, options: Options) -> tuple[VerifiedPair, Overlay] | RejectedPair:
    """Match one proposal and put it through every gate."""
    lr, hr = proposal.lr, proposal.hr
    found = match(hr, lr, options.method)
    if isinstance(found, Rejection):
        return RejectedPair(proposal, found)
    try:
        laid = overlay(working_copy(hr.path), working_copy(lr.path), found.matrix, hr.size, lr.size)
    except UnreadableImage as error:
        return RejectedPair(proposal, Rejection(Reason.UNREADABLE, str(error)), found)
    common = common_area(found.matrix, hr.size, lr.size, options.scale)
    if laid is None or common is None:
        return RejectedPair(proposal, Rejection(Reason.OVERLAP, "next to nothing in common"), found)
    scores = score(laid, found.matrix, hr.size, lr.size)
    failure = flaw(scores, options.threshold, options.min_overlap)
    window = failure or output_window(common, lr.size, options)
    if isinstance(window, Rejection):
        return RejectedPair(proposal, window, found, scores)
    return VerifiedPair(proposal, found, scores, common, window), laid
