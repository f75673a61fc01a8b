"""Write selected pairs in workers, after the window of `--debug` and up to the limit, and enter them in the ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from twimager.errors import DELETED, Reason, Rejection, TwimagerError, UnreadableImage
from twimager.fingerprint.stamp import Stamp, stamp
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.encode import encode
from twimager.options import Format, Options
from twimager.output.atomic import UnwritableName, write_files
from twimager.output.clips import ClipFiles, WrittenFrame, frames_of
from twimager.output.layout import JOURNALS
from twimager.output.mask import render_mask
from twimager.output.names import NOT_WRITTEN, Names, Outputs
from twimager.output.render import encoded_hr, output_size, render_lr, rendering_bytes
from twimager.output.tiles import Tile, render_tiles, tile_bytes, tiles_of
from twimager.pairing.clips import differing_frame
from twimager.pairs import VerifiedPair, reject
from twimager.report.ledger import Ledger
from twimager.report.records import Record
from twimager.run.journal import Journal
from twimager.run.marks import Mark, Marks, are_intact, mark
from twimager.runtime.console import Console
from twimager.runtime.memory import budget
from twimager.runtime.pool import Workers
from twimager.windows import viewer
from twimager.windows.pair_preview import preview

# Seconds that an interrupted run waits for the pairs being written. Few take longer; what is lost can be done again.
SETTLING = 1.0


class Writer:
    """Writes pairs while its block lasts; one that ends early waits for what is in flight for a moment only."""

    def __init__(
        self, workers: Workers, names: Names, options: Options, ledger: Ledger, console: Console, *, journal: Journal,
        seen: Mapping[Path, Stamp | None],
    ) -> None:  # fmt: skip
        """`seen` are the stamps that the images had when they were read."""
        self._workers, self._names, self._options, self._ledger = workers, names, options, ledger
        self._console, self._journal = console, journal
        self._seen = seen
        self._write = partial(write_pair, options=options)
        self._in_flight: deque[tuple[Record, Future[Written | Rejection]]] = deque()

    def accept(self, pair: VerifiedPair) -> bool:
        """Write a pair; return whether another one may follow."""
        if not self._has_room():
            return False
        images = pair.proposal.lr.path, pair.proposal.hr.path
        if self._journal.is_deleted(*images):
            self._ledger.reject(reject(pair, Rejection(Reason.SKIPPED, DELETED)))
            return True
        options, known = self._options.run, self._journal.marks(*images)
        if options.debug and not known and not self._approved(pair):
            return not self._ledger.aborted
        if options.dry and not (self._options.write.tile or pair.clip):
            self._ledger.accept(Record(pair))
        else:
            self._submit(pair, known)
        while len(self._in_flight) > self._workers.ahead(self._write):
            self._collect()
        return self._has_room()

    def _submit(self, pair: VerifiedPair, known: Marks) -> None:
        images = pair.proposal.lr.path, pair.proposal.hr.path
        split = pair.part.split if pair.part else ""
        outputs = NOT_WRITTEN if self._options.run.dry else self._names.outputs(*images, split)
        # Frames of clips are files of this run, some of which are made twice.
        seen = {} if pair.clip else {path: self._seen.get(path) for path in images}
        rendered = pair._replace(proposal=pair.proposal.without_features)
        job = Job(rendered, outputs, seen, known, self._journal.run, self._journal.replace)
        in_parts = self._options.write.tile or pair.clip
        record = Record(pair, NOT_WRITTEN if in_parts else outputs, self._journal.is_accepted(*images))
        self._in_flight.append((record, self._workers.submit(self._write, job, _crashed)))

    def has_clip(self, pair: VerifiedPair) -> bool:
        """Return whether an earlier run has written the clip of a pair, and all of it is there."""
        known = self._journal.marks(pair.proposal.lr.path, pair.proposal.hr.path)
        return bool(known) and _written_before(Job(pair, NOT_WRITTEN, {}, known, "", False), self._options) is not None

    def _has_room(self) -> bool:
        """Return whether the limit allows another pair; near it, wait for those not yet written."""
        limit = self._options.select.limit
        while limit is not None and len(self._ledger) + len(self._in_flight) >= limit:
            if not self._in_flight:
                return False
            self._collect()
        return True

    def _approved(self, pair: VerifiedPair) -> bool:
        try:
            action = viewer.read_action(preview(pair, self._options))
        except (UnreadableImage, *LIBRARY_ERRORS) as error:
            why = str(error) if isinstance(error, UnreadableImage) else complaint(error)
            self._fail(pair, Rejection(Reason.NOT_WRITTEN, why))
            return False
        self._ledger.aborted = action is viewer.Action.ABORT
        if action is viewer.Action.SKIP:
            self._ledger.reject(reject(pair, Rejection(Reason.SKIPPED)))
        return action is viewer.Action.ACCEPT

    def _collect(self) -> None:
        """Wait for the oldest write and enter its result."""
        _, future = self._in_flight[0]
        written = future.result()
        record, _ = self._in_flight.popleft()
        if isinstance(written, Rejection):
            if written.reason in (Reason.NO_TILE, Reason.CLIP):
                self._ledger.reject(reject(record.pair, written)._replace(agreement=record.pair.agreement))
            else:
                self._fail(record.pair, written)
            return
        self._journal.enter(record.pair.proposal.lr.path, record.pair.proposal.hr.path, written.marks)
        self._ledger.accept(replace(record, tiles=tuple(written.tiles), clip=tuple(written.clip)))

    def _fail(self, pair: VerifiedPair, why: Rejection) -> None:
        """Enter and name a pair that could not be shown or written."""
        self._console.warn(f"{pair.proposal.hr.path}: {why}")
        self._ledger.reject(reject(pair, why))

    def finish(self) -> None:
        """Wait for all that is in flight."""
        while self._in_flight:
            self._collect()

    def _settle(self) -> None:
        """Record what is written already or will be in a moment; the rest is not waited for, as the run has to end."""
        futures = [future for _, future in self._in_flight if not future.cancel()]
        wait(futures, SETTLING)
        for record, future in self._in_flight:
            if future.done() and not future.cancelled() and not future.exception():
                self._in_flight = deque([(record, future)])
                with suppress(TwimagerError):  # a journal that can't be written any more, maybe
                    self._collect()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._settle()
        if self._options.run.debug:
            viewer.close()


class Job(NamedTuple):
    """What there is to know for writing a pair.

    Attributes
    ----------
    outputs : where the files go
    seen : the stamps that the images had when they were read
    known : the files as an earlier run wrote them
    run, replace : as `write_files` has them
    """

    pair: VerifiedPair
    outputs: Outputs
    seen: Mapping[Path, Stamp | None]
    known: Marks
    run: str
    replace: bool


class Written(NamedTuple):
    """The files of a pair that was written, and its tiles, or its clip's frames; with `--dry` these alone."""

    marks: Marks
    tiles: Sequence[Tile] = ()
    clip: Sequence[WrittenFrame] = ()


def _crashed(_: Job, why: str) -> Rejection:
    return Rejection(Reason.NOT_WRITTEN, why)


def write_pair(job: Job, options: Options) -> Written | Rejection:
    """Worker task: render a pair and write its files, unless that is done already; return what is written."""
    if before := _written_before(job, options):
        return before
    try:
        return _write_clip(job, options) if job.pair.clip else _write_pair(job, options)
    except (UnreadableImage, UnwritableName) as error:
        return Rejection(Reason.NOT_WRITTEN, str(error))
    except LIBRARY_ERRORS as error:
        return Rejection(Reason.NOT_WRITTEN, complaint(error))


def _write_pair(job: Job, options: Options) -> Written | Rejection:
    pair = job.pair
    with budget.admit(rendering_bytes(pair, options.pair.framing, options.write) + tile_bytes(pair, options)):
        render = render_tiles if options.write.tile else _rendered
        made = render(pair, job.outputs, options)
    if isinstance(made, Rejection):
        return made
    tiles, files = made
    for path, seen in job.seen.items():
        if stamp(path) != seen:
            return Rejection(Reason.NOT_WRITTEN, f"{path} has changed while the job went on")
    _write(files, job, options)
    return Written({path: mark(data) for path, data in files.items()}, tiles)


def _write_clip(job: Job, options: Options) -> Written | Rejection:
    """Verify the frames of a pair's clip, and make and write its files one by one: all appear, or none."""
    frames, marks = frames_of(job.pair, options), dict[Path, Mark]()
    with budget.admit(rendering_bytes(job.pair, options.pair.framing, options.write)):
        if failure := differing_frame(job.pair, options.pair):
            return failure
        _write(ClipFiles(job.pair, frames, options, lambda path, data: marks.update({path: mark(data)})), job, options)
    return Written(marks, clip=frames)


def _write(files: Mapping[Path, bytes], job: Job, options: Options) -> None:
    if not options.run.dry:
        staging = options.run.dest and options.run.dest / JOURNALS
        write_files(files, job.run, job.replace, options.run.unlinked_dest, staging)


def _written_before(job: Job, options: Options) -> Written | None:
    """Return what an earlier run has written of a pair, None if that is not there any more, or not all of it."""
    if job.pair.clip:
        frames = frames_of(job.pair, options)
        written = {path for frame in frames for path in frame.outputs.paths}
        is_whole = bool(job.known) and written == job.known.keys() and are_intact(job.known)
        return Written(job.known, clip=frames) if is_whole else None
    tiles = [tile for tile in tiles_of(job.pair, job.outputs, options) if tile.outputs.paths <= job.known.keys()]
    expected = {path for tile in tiles for path in tile.outputs.paths} if options.write.tile else job.outputs.paths
    is_whole = bool(job.known) and expected == job.known.keys() and are_intact(job.known)
    return Written(job.known, tiles) if is_whole else None


def _rendered(pair: VerifiedPair, outputs: Outputs, options: Options) -> tuple[list[Tile], dict[Path, bytes]]:
    """Return no tiles, and the files of a pair that is written whole."""
    framing, write = options.pair.framing, options.write
    files = {outputs.lr: render_lr(pair, write, framing.partial)} if outputs.lr else {}
    if outputs.hr:
        files[outputs.hr] = encoded_hr(pair, framing, write)
    if outputs.mask:
        files[outputs.mask] = encode(render_mask(pair, output_size(pair.window, framing.scale)), Format.PNG)
    return [], files
