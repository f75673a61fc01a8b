"""The main job: two folders in, pairs out.

List both folders; read, propose, evaluate and select (`pairing.rounds`, by `read`, `propose/`, `pairing.evaluate` and
`pairing.decide`); write (`run.writer`); report (`report/`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from twimager.errors import Interrupted, Reason, Rejection, require
from twimager.fingerprint.cache import Store
from twimager.fingerprint.mask import Masks, read_masks, size_by_header
from twimager.image.files import require_files
from twimager.image.folders import of_videos, videos_among
from twimager.options import Options, Search
from twimager.output import layout
from twimager.output.atomic import write_files
from twimager.output.database import require_lmdb, write_database
from twimager.output.names import Names
from twimager.pairing.decide import MATCHING, Decider
from twimager.pairing.evaluate import evaluate_all, evaluate_best
from twimager.pairing.read import Reader
from twimager.pairing.rounds import find_pairs
from twimager.pairing.workers import Evaluators
from twimager.pairs import VerifiedPair
from twimager.report.ledger import Ledger
from twimager.report.records import Report
from twimager.report.summary import Outcome, summarize
from twimager.report.tables import documents
from twimager.report.thumbnails import make_thumbnails
from twimager.run.journal import Journal
from twimager.run.resume import keep_journal
from twimager.run.writer import Writer
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool
from twimager.video.container import require_av, video_size
from twimager.windows import viewer

if TYPE_CHECKING:
    from twimager.run.film import Film


def run(options: Options, console: Console, without: Container[Path] = ()) -> Outcome:
    """Find, align, verify and write the pairs; return the outcome.

    Parameters
    ----------
    without : files that are passed over

    Raises
    ------
    TwimagerError
        If the folders do not fit, nothing can be written to DEST (any more), or the run is interrupted.
    """
    layout.check_folders(options)
    if options.run.debug:
        viewer.require_display("--debug")
    if options.run.lmdb:
        require_lmdb()
    lr_paths, hr_paths = (
        [path for path in _files(flag, folder, options, console) if path not in without]
        for flag, folder in (("--lr", options.lr), ("--hr", options.hr))
    )
    videos = of_videos(lr_paths, hr_paths)
    if videos:
        require_av()
        search = options.propose.search
        require(search is Search.AUTO, f"--search {search.value}: frames of videos are paired by their time map")
    masks = read_masks(options.read, lr_paths, hr_paths, video_size if videos else size_by_header)
    given = {"--lr_mask": options.read.lr_mask, "--hr_mask": options.read.hr_mask}
    inputs = {"--lr": lr_paths, "--hr": hr_paths} | {flag: [path] for flag, path in given.items() if path}
    with keep_journal(options, inputs) as journal, ExitStack() as stack:
        if journal.ended:
            return journal.ended
        ledger = Ledger(console)
        film: Film | None = None
        try:
            if videos:
                film = _opened((lr_paths, hr_paths), options, console, ledger, stack)
                lr_paths, hr_paths = film.lrs, []
            paths = (film.lrs, film.hrs) if film else (lr_paths, hr_paths)
            _find_and_write(paths, options, console, journal, ledger, masks=masks, film=film)
        except KeyboardInterrupt:
            ledger.interrupted = True
            journal.discard_unfinished()
        journal.require_files()
        # Of videos, most HR frames are none that an LR could have had.
        ledger.account_for_unpaired(lr_paths, hr_paths, _stopped(ledger, options), options.pair.gates.max_difference)
        report = ledger.report(options)
        if film:
            report = replace(report, moments=film.moments, films=film.films)
        if not report.stopped:
            _write_databases(report, console, journal.run)
        made = documents(report, console.warn, make_thumbnails(options.run.jobs, console))
        made |= film.documents(options) if film else {}
        write_files(made, journal.run, replace=True, dest=options.run.unlinked_dest)
        if ledger.interrupted:
            raise Interrupted(resumable=not options.run.dry)
        outcome = Outcome(report.exit_code, summarize(report))
        if not ledger.aborted:
            journal.end(outcome)
            if film:
                film.discard_all(options.video.keep_frames)
        return outcome


def _files(flag: str, place: Path, options: Options, console: Console) -> list[Path]:
    """Return the files of a side: those of a folder, or the video that is named."""
    if place.is_file():
        return [place]
    return require_files([place], options.read.recursive, console.warn, f"{flag}: ", videos=True)


def _opened(
    paths: tuple[list[Path], list[Path]], options: Options, console: Console, ledger: Ledger, stack: ExitStack
) -> Film:
    """Return what is to be paired of videos; those that can't be read are entered. A dry run's files are temporary."""
    # Imported here, as SciPy takes its time, and few runs are of videos.
    from twimager.run.film import open_film

    if options.run.dest and not options.run.dry:
        folder = options.run.dest / layout.JOURNALS
    else:
        folder = Path(stack.enter_context(TemporaryDirectory()))
    lrs, hrs = map(videos_among, paths)
    film = open_film(lrs, hrs, options, console, folder)
    for side, videos in (("LR", lrs), ("HR", hrs)):
        unreadable = set(videos) & set(film.matched.unreadable)
        ledger.reject_images(side, {video: Rejection(Reason.UNREADABLE, "no video") for video in sorted(unreadable)})
    return film


def _find_and_write(
    paths: tuple[list[Path], list[Path]],
    options: Options,
    console: Console,
    journal: Journal,
    ledger: Ledger,
    *,
    masks: Masks,
    film: Film | None = None,
) -> None:
    """Find pairs among the LRs and HRs and write them, until no more are to be written; enter what came of it."""
    if film:
        options = replace(options, lr=film.folder / "lr", hr=film.folder / "hr")
    names = Names(options, *paths)
    lrs, hrs = map(len, paths)
    # Without --save the store only serves --resume: that it can't be kept is a detail.
    stored, warn = (options.run.save, console.warn) if options.run.save else (journal.store, console.detail)
    evaluate = evaluate_all if options.select.all_matches else evaluate_best
    with (
        console.progress(4 * lrs if film else lrs + hrs, ledger.seconds) as progress,
        worker_pool(options.run.jobs, inline=options.run.debug) as pool,
        Store(stored, warn) as store,
        Evaluators(
            pool, options.run.jobs, partial(evaluate, settings=options.pair), processes=not options.run.debug
        ) as evaluators,
    ):
        progress.expect(MATCHING * lrs)
        reader = Reader(pool, options.run.jobs, console, progress, store=store, ledger=ledger)
        decider = Decider(reader, evaluators, options.pair, options.select.all_matches)
        with Writer(pool, names, options, ledger, console, journal=journal, seen=reader.seen) as writer:
            if film:
                found = _found_in(film, options, reader, decider, masks=masks, settle=writer.finish)
            else:
                found = find_pairs(*paths, options, reader, decider, masks=masks)
            if options.write.split:
                # Imported here, as FAISS takes its time, and few runs split.
                from twimager.pairing.splitting import split_pairs

                found = split_pairs(islice(found, options.select.limit), options, reader, masks)
            for pair in found:
                if not writer.accept(pair):
                    break
            writer.finish()
    for stage, spent in ledger.seconds.items():
        console.detail(f"{stage}: {spent:.1f} s")


def _found_in(
    film: Film, options: Options, reader: Reader, decider: Decider, *, masks: Masks, settle: Callable[[], None]
) -> Iterator[VerifiedPair]:
    """Yield the pairs of a film by batches of frames, whose files are deleted once `settle` has had pairs written.

    A pan over what stands still is the same picture shifted, in any frame: the map of time knows better than alignment
    which one it is. The frames around that are only tried where it brings no pair. For `--split`, which compares all
    pairs at the end, files are kept until then; those of what is in no pair until the report shows them.
    """
    for batch in film.batches():
        decoded = set[Path]()
        for first, last in ((0, 1), (1, None)):
            partners = {lr: hrs[first:last] for lr, hrs in batch.items() if lr not in reader.ledger.taken}
            frames = list(dict.fromkeys([*partners, *chain(*partners.values())]))
            reader.progress.expect((2 * len(frames) + MATCHING * len(partners)) * (first > 0))
            with reader.progress.stage("extracting frames"):
                there = set(reader.progress.counted(film.extract(frames, reader.pool, reader.console.warn)))
            decoded |= there
            lrs, hrs = ([path for path in paths if path in there] for paths in (partners, frames[len(partners) :]))
            yield from find_pairs(lrs, hrs, options, reader, decider, masks=masks, partners=partners)
            settle()
            if not (options.video.keep_frames or options.write.split):
                film.discard(set(frames) & reader.ledger.taken)
        lost = [lr for lr, hrs in batch.items() if lr not in decoded or decoded.isdisjoint(hrs)]
        undecoded = Rejection(Reason.UNREADABLE, "it or its HR frames can't be decoded")
        reader.ledger.reject_images("LR", dict.fromkeys(lost, undecoded))


def _write_databases(report: Report, console: Console, run: str) -> None:
    """Make the databases of all files that were written, if there are to be any."""
    folders = layout.databases(report.options)
    if not folders:
        return
    written = [path for record in report.pairs for path in record.files]
    dest, unlinked_dest = report.options.run.dest, report.options.run.unlinked_dest
    assert dest
    with console.progress(len(folders)) as progress, progress.stage("making databases"):
        for folder in progress.counted(folders):
            files = [path for path in written if path.parent == folder.with_suffix("")]
            if files:
                write_database(folder, files, run, unlinked_dest, dest / layout.JOURNALS)


def _stopped(ledger: Ledger, options: Options) -> str:
    """Return what ended a run early, empty if nothing did."""
    if ledger.interrupted:
        return "interrupted"
    if ledger.aborted:
        return "aborted"
    return f"limit of {options.select.limit}" if len(ledger) == options.select.limit else ""
