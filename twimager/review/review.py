"""A report that is being reviewed: its pairs, and what becomes of them, at once in the files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from twimager.errors import DELETED, Reason, TwimagerError, UsageError
from twimager.fingerprint.cache import stamp
from twimager.output.layout import (
    META_INFO,
    PAGE,
    TABLE,
    UnwritableName,
    check_links,
    folded,
    own_files,
    remove_temporary,
    write_files,
)
from twimager.output.lock import lock
from twimager.report.reader import OwnFiles, caption, damaged, read_report, to_bytes
from twimager.report.schema import PairNumbers, PairRecord, RejectedImageRecord, RejectedPairRecord, ReportDocument
from twimager.report.tables import beside
from twimager.review.trash import Deletion, Trash
from twimager.run.journal_lines import Accepted, Deleted
from twimager.run.resume import reopened
from twimager.runtime.typed_json import dumps

# What is made of a report, and lies beside it as far as it was asked for.
OTHERS = (TABLE, PAGE, META_INFO)
# What a review's temporary files are called by, instead of a run: DEST is locked, there is no other one.
TEMPORARY = "review"


class Review:
    """A report that is being reviewed, for one thread, in a DEST that nobody else works in meanwhile.

    Every decision is in report.json before a method returns. The files of a deleted pair lie in a trash in DEST until
    the review is closed. What a review that was killed has left there can be undone in the next one.

    Attributes
    ----------
    report : where report.json is, without links
    document : what it says
    pairs : its pairs that are left, in its order
    home : DEST, where it is now
    deletions : what can be undone, the last one last
    """

    def __init__(self, report: Path, warn: Callable[[str], None] = lambda _: None) -> None:
        """Open a report for review; `warn` is told of what is passed over in the trash.

        Raises
        ------
        UsageError
            If it can't be read, is no report of this version, names outputs that are none of its DEST's, or DEST is in
            use or holds links where Twimager writes.
        TwimagerError
            If DEST can't be written to.
        """
        self.report = Path(os.path.realpath(report))
        self.document, self._files = _checked(report, self.report)
        self.home = self._files.home
        check_links([*own_files(self.home), *map(self.report.with_name, OTHERS)])
        self._lines: dict[int, tuple[Any, str]] = {}
        self._uses = Counter(name for pair in self.pairs for name in self._names(pair))
        with ExitStack() as stack, _failing(self.report):
            seen = stamp(self.report)
            stack.enter_context(lock(self.home))
            if stamp(self.report) != seen:
                raise UsageError(f"{report} is just being written; try again")
            remove_temporary(self.home, TEMPORARY)
            self._journal = reopened(self.home)
            stack.callback(self._journal.close)
            self._trash = Trash(self.home)
            self._lost: list[Deletion] = []
            self.deletions: list[Deletion] = []
            self._pick_up(warn)
            self._changed = _is_newer(self.report, self._others())
            self._held = stack.pop_all()

    @property
    def pairs(self) -> list[PairRecord]:
        """The records of the pairs that are left; not to be changed but by this class."""
        return self.document.pairs

    def outputs(self, pair: PairRecord) -> list[Path]:
        """Return where a pair's files are, LR first, as far as they were written; whether they are there or not."""
        return self._files.of(pair)

    def whereabouts(self, output: Path) -> Path:
        """Return where an output is now: in its place, or in the trash."""
        return self._trash.found(output, self.deletions)

    def accept(self, pair: PairRecord, accepted: bool) -> None:
        """Note in the report that a pair is accepted, or that it is open again."""
        before, pair.accepted = pair.accepted, True if accepted else None
        self._lines.pop(id(pair), None)
        try:
            with _failing(self.report):
                self._write()
        except BaseException:
            pair.accepted = before
            self._lines.pop(id(pair), None)
            raise
        self._journal.write(Accepted(pair.lr, pair.hr, accepted))

    def delete(self, pair: PairRecord) -> None:
        """Move a pair's files to the trash, but for those that another pair needs too, and turn the pair down.

        Raises
        ------
        TwimagerError
            If that can't be done; nothing is then.
        """
        with _failing(self.report):
            self._files.check_folders()
            own = dict.fromkeys(self._files.of(pair))
            files = [path for path in own if self._uses[folded(str(path))] == 1 and path.exists()]
            deletion = self._trash.put(self._place(pair), pair, files)
            try:
                self._take_out(pair)
                self._write()
            except BaseException:
                self._put_back(deletion)
                with suppress(TwimagerError):  # as before, then the report still has the pair
                    self._write()
                self._trash.restore(deletion)
                raise
            self.deletions.append(deletion)
            self._journal.write(Deleted(pair.lr, pair.hr, True))

    def undo(self) -> PairRecord | None:
        """Put the pair that was deleted last back where it was, its files too; None if there is none.

        Raises
        ------
        TwimagerError
            If that can't be done, as where other files have taken their names.
        """
        if not self.deletions:
            return None
        deletion = self.deletions[-1]
        with _failing(self.report):
            self._files.check_folders()
            self._put_back(deletion)
            try:
                self._write()
                self._trash.restore(deletion)
            except BaseException:
                self._take_out(deletion.pair)
                with suppress(TwimagerError):
                    self._write()
                raise
            self.deletions.pop()
            self._journal.write(Deleted(deletion.pair.lr, deletion.pair.hr, False))
        return deletion.pair

    def close(self, keep_trash: bool = False) -> None:
        """Bring the other documents up to date, and delete for good what is in the trash."""
        with self._held, _failing(self.report):
            if self._changed:
                paths = {path.name: path for path in self._others()}
                made = beside(self.document, self.report.parent, paths)
                write_files({paths[name]: data for name, data in made.items()}, TEMPORARY, replace=True, dest=self.home)
                self._changed = False
            if not keep_trash:
                self._trash.remove([*self._lost, *self.deletions])
                self._lost, self.deletions = [], []

    def __enter__(self) -> Review:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close; where the review ends with an error, what is in the trash is left to the next one."""
        self.close(keep_trash=kind is not None and kind is not KeyboardInterrupt)

    def _others(self) -> list[Path]:
        """Return where the documents are that are made of the report."""
        return [path for path in map(self.report.with_name, OTHERS) if path.is_file()]

    def _names(self, pair: PairRecord) -> set[str]:
        return {folded(str(path)) for path in self._files.of(pair)}

    def _place(self, pair: PairRecord) -> int:
        return next(place for place, other in enumerate(self.pairs) if other is pair)

    def _take_out(self, pair: PairRecord) -> None:
        """Turn a pair down, and its images where they are in no other."""
        del self.pairs[self._place(pair)]
        self._uses.subtract(self._names(pair))
        why = Reason.SKIPPED.value, DELETED
        numbers = {name: getattr(pair, name) for name in PairNumbers.__struct_fields__}
        self.document.rejected_pairs.append(RejectedPairRecord(pair.lr, pair.hr, *why, **numbers))
        if all(other.lr != pair.lr for other in self.pairs):
            self.document.rejected_images.append(RejectedImageRecord("LR", pair.lr, *why))
        if all(other.hr != pair.hr for other in self.pairs):
            self.document.rejected_images.append(RejectedImageRecord("HR", pair.hr, *why))

    def _put_back(self, deletion: Deletion) -> None:
        """Have a pair in its place again that was turned down, if it is not there."""
        pair = deletion.pair
        if any(other is pair for other in self.pairs):
            return
        self.pairs.insert(deletion.place, pair)
        self._uses.update(self._names(pair))
        images, skipped, document = {pair.lr, pair.hr}, Reason.SKIPPED.value, self.document
        document.rejected_pairs = [
            other for other in document.rejected_pairs if other.reason != skipped or {other.lr, other.hr} != images
        ]
        document.rejected_images = [
            image for image in document.rejected_images if image.reason != skipped or image.path not in images
        ]

    def _pick_up(self, warn: Callable[[str], None]) -> None:
        """Take over what a review that was killed has left in the trash; what the report says of a pair holds."""
        listed = {_key(pair) for pair in self.pairs}
        for deletion in self._trash.deletions(warn):
            if not self._fits(deletion):
                warn(f"deletion {deletion.number} in the trash is not of this report; what is in it is left alone")
            elif _key(deletion.pair) not in listed:
                self.deletions.append(deletion)
            else:
                self._lost.append(deletion)
                with suppress(UnwritableName):  # a later run has written it anew
                    self._trash.restore(deletion)

    def _fits(self, deletion: Deletion) -> bool:
        """Tell whether a deletion's files are outputs of its pair, in this DEST."""
        try:
            own = {path.relative_to(self.home).as_posix() for path in self._files.of(deletion.pair)}
            return own.issuperset(deletion.files)
        except (UsageError, ValueError, OSError):
            return False

    def _write(self) -> None:
        data = to_bytes(self.document, self._line)
        write_files({self.report: data}, TEMPORARY, replace=True, dest=self.home)
        self._changed = True

    def _line(self, record: Any) -> str:
        """Return a record as JSON; it is kept with its line, as else another could come to have its identity."""
        if id(record) not in self._lines:
            self._lines[id(record)] = record, dumps(record)
        return self._lines[id(record)][1]


def _checked(report: Path, place: Path) -> tuple[ReportDocument, OwnFiles]:
    """Return what a report says, which lies at `place`, and where its images are.

    UsageError is raised if it is none that can be reviewed.
    """
    document = read_report(report)
    try:
        if document.used_settings.dry:
            raise UsageError(f"{report} is of a --dry run, which wrote no images")
        files = OwnFiles(document, place)
        for pair in document.pairs:
            caption(pair)
        beside(document, place.parent, OTHERS)  # what can't be made anew later on is better said now
    except ValueError as error:  # of a name that no file has
        raise damaged(report) from error
    except OSError as error:
        raise UsageError(f"{report}: its images can't be looked at: {error.strerror}") from error
    return document, files


def _key(pair: PairRecord) -> tuple[str | None, ...]:
    return pair.lr, pair.hr, pair.lr_output, pair.hr_output


def _is_newer(report: Path, others: list[Path]) -> bool:
    """Tell whether a report says more than what is made of it, as after a review that was killed."""
    return any(path.stat().st_mtime_ns < report.stat().st_mtime_ns for path in others)


@contextmanager
def _failing(report: Path) -> Iterator[None]:
    """Say what can't be written in words that fit a review."""
    try:
        yield
    except (UsageError, UnwritableName):
        raise
    except (TwimagerError, OSError) as error:
        reason = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(reason, OSError):
            raise
        raise TwimagerError(f"the review of {report} can't go on: {reason.filename}: {reason.strerror}") from error
