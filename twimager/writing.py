"""Take chosen pairs: ask the viewer, keep to the limit, have the files written, record what was."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future
from pathlib import Path

import cv2

from twimager import viewer
from twimager.console import Console
from twimager.destination import Names, UnwritableName, write_files
from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.images import decode, encode
from twimager.options import Options
from twimager.rendering import render_hr, render_lr
from twimager.report import Record, Report, numbers
from twimager.scheduling import AHEAD
from twimager.selection import VerifiedPair, reject


class Writer:
    """Takes pairs while its block lasts; what is in flight at its end is waited for."""

    def __init__(self, pool: Executor, names: Names, report: Report, console: Console) -> None:
        self._pool, self._names, self._report, self._console = pool, names, report, console
        self._in_flight: deque[tuple[Record, Future[Rejection | None]]] = deque()

    def accept(self, pair: VerifiedPair) -> bool:
        """Write a pair; tell whether more are wanted."""
        options = self._report.options
        if not self._has_room():
            return False
        if options.debug and not self._approved(pair):
            return not self._report.aborted
        outputs = self._names.outputs(pair.proposal.lr.path, pair.proposal.hr.path)
        if options.dry:
            self._report.accept(Record(pair, None, None))
        else:
            self._in_flight.append((Record(pair, *outputs), self._pool.submit(write_pair, pair, *outputs, options)))
        while len(self._in_flight) > AHEAD * options.jobs:
            self._collect()
        return self._has_room()

    def _has_room(self) -> bool:
        """Tell whether the limit allows another pair; where it is the last, wait for those not yet written."""
        limit = self._report.options.limit
        while limit is not None and len(self._report.pairs) + len(self._in_flight) >= limit:
            if not self._in_flight:
                return False
            self._collect()
        return True

    def _approved(self, pair: VerifiedPair) -> bool:
        proposal, options = pair.proposal, self._report.options
        title = f"{proposal.hr.path.name}  |  {proposal.lr.path.name}  |  {numbers(pair)}"
        try:
            lr = decode(render_lr(pair, options))
            answer = viewer.ask(lr, render_hr(pair, options), title)
        except UnreadableImage as error:
            self._report.turn_down(reject(pair, Rejection(Reason.NOT_WRITTEN, str(error))))
            return False
        self._report.aborted = answer is viewer.Answer.ABORT
        if answer is viewer.Answer.SKIP:
            self._report.turn_down(reject(pair, Rejection(Reason.SKIPPED)))
        return answer is viewer.Answer.ACCEPT

    def _collect(self) -> None:
        """Wait for the oldest write and record what came of it."""
        record, future = self._in_flight.popleft()
        failure = future.result()
        if failure is None:
            self._report.accept(record)
        else:
            self._console.warn(f"{record.pair.proposal.hr.path}: {failure}")
            self._report.turn_down(reject(record.pair, failure))

    def finish(self) -> None:
        """Wait for what is in flight."""
        while self._in_flight:
            self._collect()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()
        if self._report.options.debug:
            viewer.close()


def write_pair(
    pair: VerifiedPair, lr_output: Path | None, hr_output: Path | None, options: Options
) -> Rejection | None:
    """Worker task: render a pair and write its files; None means done."""
    try:
        files = {lr_output: render_lr(pair, options)} if lr_output else {}
        if hr_output:
            files[hr_output] = encode(render_hr(pair, options), options.format, options.quality)
        write_files(files)
    except (UnreadableImage, UnwritableName) as error:
        return Rejection(Reason.NOT_WRITTEN, str(error))
    except cv2.error as error:
        return Rejection(Reason.NOT_WRITTEN, error.err)
    return None
