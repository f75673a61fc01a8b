"""The main job: two folders in, pairs out.

List both folders; read, propose, evaluate and select (`pairing.rounds`, by `read`, `propose/`, `pairing.evaluate` and
`pairing.decide`); write (`run.writer`); report (`report/`).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.errors import Interrupted, require
from twimager.fingerprint.cache import Store
from twimager.fingerprint.mask import Masks, read_masks, size_by_header
from twimager.geometry import Size
from twimager.image.files import require_files
from twimager.image.folders import are_videos, videos_among
from twimager.options import Options, Search, VideoSettings
from twimager.output import layout
from twimager.output.atomic import write_files
from twimager.output.database import require_lmdb, write_database
from twimager.output.lock import LOCK
from twimager.output.names import Names
from twimager.output.shards import Shards, shared
from twimager.pairing.decide import MATCHING, Decider
from twimager.pairing.evaluate import evaluate_all, evaluate_best
from twimager.pairing.read import Reader
from twimager.pairing.rounds import find_pairs
from twimager.pairing.workers import Evaluators
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
    from twimager.run.dask_client import DaskWorkers
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
    lr_paths, hr_paths = (
        [path for path in _files(flag, folder, options, console) if path not in without]
        for flag, folder in (("--lr", options.lr), ("--hr", options.hr))
    )
    videos = are_videos(lr_paths), are_videos(hr_paths)
    _require_fitting(options, videos)
    masks = read_masks(options.read, lr_paths, hr_paths, _size)
    given = {"--lr_mask": options.read.lr_mask, "--hr_mask": options.read.hr_mask}
    inputs = {"--lr": lr_paths, "--hr": hr_paths} | {flag: [path] for flag, path in given.items() if path}
    with (
        _cluster(options, (lr_paths, hr_paths), console) as cluster,
        keep_journal(options, inputs) as journal,
        ExitStack() as stack,
    ):
        if journal.ended:
            return journal.ended
        ledger = Ledger(console)
        film: Film | None = None
        try:
            if any(videos):
                # Imported here, as SciPy takes its time, and few runs are of videos.
                from twimager.run.film import open_film
                from twimager.run.stills import open_stills

                opened = open_film if all(videos) else open_stills
                film = stack.enter_context(opened(lr_paths, hr_paths, options, console, ledger))
                lr_paths, hr_paths = film.wanted
            paths = (film.lrs, film.hrs) if film else (lr_paths, hr_paths)
            _find_and_write(paths, options, console, journal, ledger, masks=masks, film=film, cluster=cluster)
        except KeyboardInterrupt:
            ledger.interrupted = True
            journal.discard_unfinished()
        journal.require_files()
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


def _require_fitting(options: Options, videos: tuple[bool, bool]) -> None:
    """Raise UsageError if what the options need is not there, or they do not go with videos, or with images."""
    if options.run.debug:
        viewer.require_display("--debug")
    if options.run.lmdb:
        require_lmdb()
    if not any(videos):
        require(
            options.video == VideoSettings(), "--frames, --per_shot, --clips and what belongs to them are for videos"
        )
        return
    require_av()
    require(not options.run.scheduler, "--scheduler: videos are paired on one machine; folders of images on a cluster")
    search, usual = options.propose.search, VideoSettings()
    require(search is Search.AUTO, f"--search {search.value}: frames of videos are paired by their time map")
    of_two = usual.frames, usual.per_shot, usual.every, usual.clips
    chosen = options.video.frames, options.video.per_shot, options.video.every, options.video.clips
    choice = "--frames, --per_shot, --every, --clips: with stills, these are the choice"
    require(all(videos) or chosen == of_two, choice)


def _size(path: Path) -> Size | None:
    return video_size(path) if videos_among([path]) else size_by_header(path)


@contextmanager
def _cluster(options: Options, paths: tuple[list[Path], list[Path]], console: Console) -> Iterator[DaskWorkers | None]:
    """Yield the workers of a Dask cluster, if `--scheduler` names one."""
    if options.run.scheduler is None:
        yield None
        return
    # Imported here, as Dask takes its time, and need not be installed.
    from twimager.run.dask_client import connected

    with connected(options.run.scheduler, options, *paths, console) as cluster:
        yield cluster


def _files(flag: str, place: Path, options: Options, console: Console) -> list[Path]:
    """Return the files of a side: those of a folder, or the video that is named."""
    if place.is_file():
        return [place]
    return require_files([place], options.read.recursive, console.warn, f"{flag}: ", videos=True)


def _find_and_write(
    paths: tuple[list[Path], list[Path]],
    options: Options,
    console: Console,
    journal: Journal,
    ledger: Ledger,
    *,
    masks: Masks,
    film: Film | None = None,
    cluster: DaskWorkers | None = None,
) -> None:
    """Find pairs among the LRs and HRs and write them, until no more are to be written; enter what came of it."""
    if film:
        lr, hr = film.roots(options)
        options = replace(options, lr=lr, hr=hr)
    names = Names(options, *paths)
    wanted = sum(map(len, film.wanted)) if film else len(paths[0])
    # Without --save the store only serves --resume: that it can't be kept is a detail.
    stored, warn = (options.run.save, console.warn) if options.run.save else (journal.store, console.detail)
    evaluate = evaluate_all if options.select.all_matches else evaluate_best
    with (
        _shards(options, journal, cluster) as shards,
        console.progress(4 * wanted if film else sum(map(len, paths)), ledger.seconds) as progress,
        nullcontext(cluster) if cluster else worker_pool(options.run.jobs, inline=options.run.debug) as workers,
        Store(stored, warn) as store,
        Evaluators(workers, partial(evaluate, settings=options.pair)) as evaluators,
    ):
        progress.expect(MATCHING * wanted)
        reader = Reader(workers, console, progress, store=store, ledger=ledger, shards=shards)
        decider = Decider(reader, evaluators, options.pair, options.select.all_matches)
        with Writer(workers, names, options, ledger, console, journal=journal, seen=reader.seen) as writer:
            if film:
                found = film.pairs(options, reader, decider, masks=masks, settle=writer.finish)
            else:
                found = find_pairs(*paths, options, reader, decider, masks=masks)
            if options.write.split:
                # Imported here, as FAISS takes its time, and few runs split.
                from twimager.pairing.splitting import split_pairs

                found = split_pairs(islice(found, options.select.limit), options, reader, masks)
            if film and options.video.clips:
                from twimager.run.clips import with_clips

                found = with_clips(found, film, options, reader, has_clip=writer.has_clip, settle=writer.finish)
            for pair in found:
                if not writer.accept(pair):
                    break
            writer.finish()
    if cluster:
        journal.discard_unfinished()  # of workers that were killed
    for stage, spent in ledger.seconds.items():
        console.detail(f"{stage}: {spent:.1f} s")


@contextmanager
def _shards(options: Options, journal: Journal, cluster: DaskWorkers | None) -> Iterator[Shards | None]:
    """Yield the folder that the workers of a cluster share; None where there are none, or nothing is written."""
    dest = options.run.dest
    if not (cluster and journal.store and dest):
        yield None
        return
    cluster.expect(journal.store.with_name(LOCK))
    with shared(dest, options.run.follow_dest_links) as shards:
        yield shards


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
