"""The report under review: pairs are accepted, rejected and restored in it, and it is written anew."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from twimager.errors import DELETED, Reason, UsageError
from twimager.output.atomic import write_files
from twimager.output.layout import LISTS, PAGE, TABLE
from twimager.output.names import folded
from twimager.report.reader import OwnFiles, caption, damaged, read_report, to_bytes
from twimager.report.schema import PairNumbers, PairRecord, RejectedImageRecord, RejectedPairRecord, ReportDocument
from twimager.report.tables import beside
from twimager.report.thumbnails import thumbnails_of
from twimager.runtime.typed_json import dumps

# The documents that are made of a report, and lie beside it as far as the run has written them.
COMPANIONS = (TABLE, PAGE, *LISTS)
# The name of a review's temporary files, instead of a run's: DEST is locked, there is no other one.
TEMPORARY = "review"


class ReviewedReport:
    """A report that can be reviewed. UsageError is raised if a file is none.

    Attributes
    ----------
    path : where report.json is, without links
    document : its contents
    files : the files of its pairs
    """

    def __init__(self, report: Path) -> None:
        self.path = Path(os.path.realpath(report))
        self.document, self.files = _checked(report, self.path)
        self._lines: dict[int, tuple[Any, str]] = {}
        self._uses = Counter(name for pair in self.pairs for name in self._names(pair))

    @property
    def pairs(self) -> list[PairRecord]:
        """The records of the pairs that are left."""
        return self.document.pairs

    def own_outputs(self, pair: PairRecord) -> list[Path]:
        """Return a pair's files, but for those that another pair needs too."""
        return [path for path in dict.fromkeys(self.files.of(pair)) if self._uses[folded(str(path))] == 1]

    def index(self, pair: PairRecord) -> int:
        """Return the index of a pair among those that are left."""
        return next(index for index, other in enumerate(self.pairs) if other is pair)

    def set_accepted(self, pair: PairRecord, accepted: bool | None) -> None:
        """Set whether a pair is accepted; None leaves it open."""
        pair.accepted = accepted
        self._lines.pop(id(pair), None)

    def reject(self, pair: PairRecord) -> None:
        """Move a pair to the rejected pairs, and its images to the rejected images where they are in no other pair."""
        del self.pairs[self.index(pair)]
        self._uses.subtract(self._names(pair))
        why = Reason.SKIPPED.value, DELETED
        numbers = {name: getattr(pair, name) for name in PairNumbers.__struct_fields__}
        frames = pair.lr_frame, pair.hr_frame
        self.document.rejected_pairs.append(RejectedPairRecord(pair.lr, pair.hr, *why, pair.matrix, *frames, **numbers))
        if all(other.lr != pair.lr for other in self.pairs):
            self.document.rejected_images.append(RejectedImageRecord("LR", pair.lr, *why, pair.lr_frame))
        if all(other.hr != pair.hr for other in self.pairs):
            self.document.rejected_images.append(RejectedImageRecord("HR", pair.hr, *why, pair.hr_frame))

    def restore(self, pair: PairRecord, index: int) -> None:
        """Undo the rejection of a pair that had this index, unless it is undone already."""
        if any(other is pair for other in self.pairs):
            return
        self.pairs.insert(index, pair)
        self._uses.update(self._names(pair))
        images, skipped, document = {pair.lr, pair.hr}, Reason.SKIPPED.value, self.document
        document.rejected_pairs = [
            other for other in document.rejected_pairs if other.reason != skipped or {other.lr, other.hr} != images
        ]
        document.rejected_images = [
            image for image in document.rejected_images if image.reason != skipped or image.path not in images
        ]

    def write(self) -> None:
        """Write the report."""
        data = to_bytes(self.document, self._line)
        write_files({self.path: data}, TEMPORARY, replace=True, dest=self.files.home)

    def is_newer(self) -> bool:
        """Tell whether a document beside the report is older than it, as after a review that was killed."""
        return any(path.stat().st_mtime_ns < self.path.stat().st_mtime_ns for path in self._companions())

    def write_companions(self) -> None:
        """Write the documents anew that are made of the report and lie beside it."""
        paths = {path.relative_to(self.files.home).as_posix(): path for path in self._companions()}
        kept = thumbnails_of(self.files.home / PAGE)
        made = beside(self.document, self.path.parent, paths, kept)
        data = {paths[name]: contents for name, contents in made.items()}
        write_files(data, TEMPORARY, replace=True, dest=self.files.home)

    def _companions(self) -> list[Path]:
        return [path for path in map(self.files.home.joinpath, COMPANIONS) if path.is_file()]

    def _names(self, pair: PairRecord) -> set[str]:
        return {folded(str(path)) for path in self.files.of(pair)}

    def _line(self, record: Any) -> str:
        """Return a record as JSON; it is kept with its line, as else another could come to have its identity."""
        if id(record) not in self._lines:
            self._lines[id(record)] = record, dumps(record)
        return self._lines[id(record)][1]


def _checked(report: Path, path: Path) -> tuple[ReportDocument, OwnFiles]:
    """Return the contents of a report, which without links is at `path`, and the files of its pairs."""
    document = read_report(report)
    try:
        if document.used_settings.dry:
            raise UsageError(f"{report} is of a --dry run, which wrote no images")
        files = OwnFiles(document, path)
        for pair in document.pairs:
            caption(pair)
        beside(document, path.parent, COMPANIONS)  # what can't be made anew later on is better refused now
    except ValueError as error:  # of a name that no file has
        raise damaged(report) from error
    except OSError as error:
        raise UsageError(f"{report}: its images can't be looked at: {error.strerror}") from error
    return document, files
