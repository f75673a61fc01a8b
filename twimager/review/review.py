"""A review: what is decided of a report's pairs is done at once, in the report and with their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from twimager.errors import TwimagerError, UsageError
from twimager.fingerprint.stamp import stamp
from twimager.output.atomic import UnwritableName, remove_temporary
from twimager.output.layout import check_links, own_files
from twimager.output.lock import lock
from twimager.report.schema import PairRecord, ReportDocument, Side
from twimager.review.document import COMPANIONS, TEMPORARY, ReviewedReport
from twimager.review.trash import Deletion, Trash
from twimager.run.journal_lines import Accepted, Deleted
from twimager.run.resume import reopened


class Review:
    """A report that is being reviewed, for one thread, in a DEST that nobody else works in meanwhile.

    Every decision is in report.json before a method returns. The files of a deleted pair lie in a trash in DEST until
    the review is closed. What a review that was killed has left there can be undone in the next one.

    Attributes
    ----------
    report : where report.json is, without links
    document : its contents
    pairs : its pairs that are left, in its order
    home : DEST, where it is now
    deletions : what can be undone, the last one last
    """

    def __init__(self, report: Path, warn: Callable[[str], None] = lambda _: None) -> None:
        """Open a report for review; `warn` is called with what is passed over in the trash.

        Raises
        ------
        UsageError
            If it can't be read, is no report of this version, names outputs that are none of its DEST's, or DEST is in
            use or holds links where Twimager writes.
        TwimagerError
            If DEST can't be written to.
        """
        self._reviewed = ReviewedReport(report)
        self.report, self.home = self._reviewed.path, self._reviewed.files.home
        check_links([*own_files(self.home), *map(self.home.joinpath, COMPANIONS)])
        with ExitStack() as stack, _failing(self.report):
            seen = stamp(self.report)
            stack.enter_context(lock(self.home))
            if stamp(self.report) != seen:
                raise UsageError(f"{report} is just being written; try again")
            remove_temporary(self.home, TEMPORARY)
            self._journal = reopened(self.home)
            stack.callback(self._journal.close)
            self._trash = Trash(self.home)
            self._overruled: list[Deletion] = []
            self.deletions: list[Deletion] = []
            self._resume(warn)
            self._changed = self._reviewed.is_newer()
            self._held = stack.pop_all()

    @property
    def document(self) -> ReportDocument:
        """The contents of the report; not to be changed but by this class."""
        return self._reviewed.document

    @property
    def pairs(self) -> list[PairRecord]:
        """The records of the pairs that are left; not to be changed but by this class."""
        return self._reviewed.pairs

    def outputs(self, pair: PairRecord) -> list[Path]:
        """Return where a pair's files are, LR first, as far as they were written; whether they are there or not."""
        return self._reviewed.files.of(pair)

    def shown(self, pair: PairRecord) -> dict[Side, Path]:
        """Return where those files of a pair are that it is looked at by, by side."""
        return self._reviewed.files.of_part(pair.shown, pair.split)

    def current_path(self, output: Path) -> Path:
        """Return where an output is now: at its path, or in the trash."""
        return self._trash.current_path(output, self.deletions)

    @property
    def tally(self) -> str:
        """A line that counts what was decided."""
        accepted = sum(bool(pair.accepted) for pair in self.pairs)
        return f"pairs accepted: {accepted}, deleted: {len(self.deletions)}, undecided: {len(self.pairs) - accepted}"

    def accept(self, pair: PairRecord, accepted: bool) -> None:
        """Note in the report that a pair is accepted, or that it is open again."""
        self.accept_all([pair], accepted)

    def accept_all(self, pairs: Sequence[PairRecord], accepted: bool) -> None:
        """Note in the report, at once, that pairs are accepted, or that they are open again."""
        before = [pair.accepted for pair in pairs]
        for pair in pairs:
            self._reviewed.set_accepted(pair, True if accepted else None)
        try:
            with _failing(self.report):
                self._write()
        except BaseException:
            for pair, was in zip(pairs, before, strict=True):
                self._reviewed.set_accepted(pair, was)
            raise
        for pair in pairs:
            self._journal.write(Accepted(pair.lr, pair.hr, accepted))

    def delete(self, pair: PairRecord) -> None:
        """Move a pair's files to the trash, but for those that another pair needs too, and reject the pair.

        Raises
        ------
        TwimagerError
            If that can't be done; nothing is then.
        """
        with _failing(self.report):
            self._reviewed.files.check_folders()
            files = [path for path in self._reviewed.own_outputs(pair) if path.exists()]
            deletion = self._trash.put(self._reviewed.index(pair), pair, files)
            try:
                self._reviewed.reject(pair)
                self._write()
            except BaseException:
                self._reviewed.restore(pair, deletion.place)
                with suppress(TwimagerError):  # as before, then the report still has the pair
                    self._write()
                self._trash.restore(deletion)
                raise
            self.deletions.append(deletion)
            self._journal.write(Deleted(pair.lr, pair.hr, True))

    def undo(self) -> PairRecord | None:
        """Restore the pair that was deleted last, and its files; None if there is none.

        Raises
        ------
        TwimagerError
            If that can't be done, as where other files have taken their names.
        """
        if not self.deletions:
            return None
        deletion = self.deletions[-1]
        with _failing(self.report):
            self._reviewed.files.check_folders()
            self._reviewed.restore(deletion.pair, deletion.place)
            try:
                self._write()
                self._trash.restore(deletion)
            except BaseException:
                self._reviewed.reject(deletion.pair)
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
                self._reviewed.write_companions()
                self._changed = False
            if not keep_trash:
                self._trash.remove([*self._overruled, *self.deletions])
                self._overruled, self.deletions = [], []

    def __enter__(self) -> Review:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close; where the review ends with an error, what is in the trash is left to the next one."""
        self.close(keep_trash=kind is not None and kind is not KeyboardInterrupt)

    def _write(self) -> None:
        self._reviewed.write()
        self._changed = True

    def _resume(self, warn: Callable[[str], None]) -> None:
        """Take over what a killed review has left in the trash; a pair that is in the report is not deleted."""
        listed = {_key(pair) for pair in self.pairs}
        for deletion in self._trash.deletions(warn):
            if not self._fits(deletion):
                warn(f"deletion {deletion.number} in the trash is not of this report; what is in it is left alone")
            elif _key(deletion.pair) not in listed:
                self.deletions.append(deletion)
            else:
                self._overruled.append(deletion)
                with suppress(UnwritableName):  # a later run has written it anew
                    self._trash.restore(deletion)

    def _fits(self, deletion: Deletion) -> bool:
        """Tell whether a deletion's files are outputs of its pair, in this DEST."""
        try:
            own = {path.relative_to(self.home).as_posix() for path in self.outputs(deletion.pair)}
            return own.issuperset(deletion.files)
        except (UsageError, ValueError, OSError):
            return False


def _key(pair: PairRecord) -> tuple[str, ...]:
    return pair.lr, pair.hr, *pair.files


@contextmanager
def _failing(report: Path) -> Iterator[None]:
    """Raise what can't be written as an error in words that fit a review."""
    try:
        yield
    except (UsageError, UnwritableName):
        raise
    except (TwimagerError, OSError) as error:
        reason = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(reason, OSError):
            raise
        raise TwimagerError(f"the review of {report} can't go on: {reason.filename}: {reason.strerror}") from error
