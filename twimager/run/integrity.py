"""Whether the files in a DEST are those that its journal and its report name."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from twimager.errors import ExitCode, UsageError
from twimager.output.layout import IMAGE_FOLDERS, REPORT, TRAIN, VAL, is_image_path
from twimager.output.names import folded
from twimager.report.reader import read_report
from twimager.report.schema import ReportDocument
from twimager.report.summary import Outcome
from twimager.run.journal_lines import Deleted, Written, damaged_journal, read_journal, require_layout
from twimager.run.marks import Mark
from twimager.runtime.console import Console, counted, printable
from twimager.runtime.folders import LinkInDest, open_file, opened
from twimager.version import __version__

# Bytes that are read in one go.
BLOCK = 1 << 20


class Problem(Enum):
    """How a file differs from what is recorded; the value is what the output calls it."""

    MISSING = "missing"
    SIZE = "size differs"
    CHECKSUM = "checksum differs"
    UNREADABLE = "unreadable"
    NOT_IN_JOURNAL = "not in the journal"
    NOT_IN_REPORT = "not in the report"
    UNKNOWN = "in neither journal nor report"


class Difference(NamedTuple):
    """One file, by its path below DEST, that is not as recorded."""

    file: str
    problem: Problem
    detail: str = ""


class Recorded(NamedTuple):
    """The images of a DEST, by its journal.

    Attributes
    ----------
    run : what the run is called, also by its temporary files
    ended : whether the run has ended
    pairs, deleted : how many pairs were written, and how many of them a review has deleted
    marks : size and checksum of each file that should be there, by its path below DEST
    """

    run: str
    ended: bool
    pairs: int
    deleted: int
    marks: dict[str, Mark]


class Verification(NamedTuple):
    """The outcome of a verification."""

    dest: Path
    recorded: Recorded
    differences: list[Difference]

    @property
    def exit_code(self) -> ExitCode:
        """What the process ends with."""
        return ExitCode.INCOMPLETE if self.differences else ExitCode.DONE

    def to_json(self) -> str:
        """Return all of it as a JSON object, whose keys stay."""
        recorded = self.recorded
        return json.dumps({
            "twimager": __version__, "exit_code": self.exit_code, "dest": str(self.dest), "ended": recorded.ended,
            "pairs": recorded.pairs, "deleted": recorded.deleted, "files": len(recorded.marks),
            "differences": [{**one._asdict(), "problem": one.problem.value} for one in self.differences],
        }, indent=1)  # fmt: skip

    def to_text(self, quiet: bool = False) -> str:
        """Return a line for each difference and, unless `quiet`, a summary."""
        lines = [
            f"{one.problem.value}: {one.file}" + (f" ({one.detail})" if one.detail else "") for one in self.differences
        ]
        if not quiet:
            recorded = self.recorded
            pairs = counted(recorded.pairs - recorded.deleted, "pair")
            lines.append(f"files in the journal: {len(recorded.marks)}, of {pairs}")
            lines += [f"pairs deleted in a review: {recorded.deleted}"] * bool(recorded.deleted)
            lines.append(f"differences: {len(self.differences)}")
            lines += ["the run has not ended; its command with --resume goes on"] * (not recorded.ended)
        return "\n".join(map(printable, lines))


def verify(dest: Path, console: Console) -> Verification:
    """Compare the files in a DEST, wherever it is now, with its journal and, if there is one, its report.

    Nothing is written, no link below DEST followed, nothing but regular files opened.

    Raises
    ------
    UsageError
        If there is no journal, or it is damaged.
    """
    recorded = _recorded(dest)
    differences = []
    with console.progress(len(recorded.marks)) as progress, progress.stage("verifying"):
        for name, mark in progress.counted(recorded.marks.items()):
            if found := _compared(dest, name, mark):
                differences.append(found)
    reported, of_report = _of_report(dest, recorded)
    known = {folded(name) for name in (*recorded.marks, *reported)}
    return Verification(dest, recorded, [*differences, *of_report, *_unknown(dest, recorded, known)])


def _recorded(dest: Path) -> Recorded:
    """Return the images of a DEST, by its journal; raises UsageError."""
    read = read_journal(dest)
    require_layout(read, dest)
    begun, lines, _ = read
    written = {(line.lr, line.hr): line.files for line in lines if isinstance(line, Written)}
    deleted = {(line.lr, line.hr): line.deleted for line in lines if isinstance(line, Deleted)}
    gone = {pair for pair, holds in deleted.items() if holds}
    marks = {name: mark for pair, files in written.items() if pair not in gone for name, mark in files.items()}
    if not all(map(is_image_path, marks)):
        raise damaged_journal(dest)
    ended = any(isinstance(line, Outcome) for line in lines)
    return Recorded(begun.run, ended, len(written), len(gone & written.keys()), marks)


def _compared(dest: Path, name: str, mark: Mark) -> Difference | None:
    """Return how a file differs from its mark, None if it does not."""
    try:
        with open_file(dest / name, "rb", dest) as file:
            size = os.fstat(file.fileno()).st_size
            if size != mark.bytes:
                return Difference(name, Problem.SIZE, f"{size} bytes, not {mark.bytes}")
            checksum = 0
            while block := file.read(BLOCK):
                checksum = zlib.crc32(block, checksum)
    except (FileNotFoundError, NotADirectoryError):
        return Difference(name, Problem.MISSING)
    except LinkInDest:
        return Difference(name, Problem.UNREADABLE, "behind a link")
    except OSError as error:
        return Difference(name, Problem.UNREADABLE, error.strerror or "")
    return None if checksum == mark.checksum else Difference(name, Problem.CHECKSUM)


def _of_report(dest: Path, recorded: Recorded) -> tuple[set[str], list[Difference]]:
    """Return the files that the report names, and how it and the journal differ; nothing if there is no report."""
    if not os.path.lexists(dest / REPORT):
        return set(), []
    try:
        document = read_report(dest / REPORT)
        if document.used_settings.dry:
            return set(), []
        reported = _outputs(document)
        if not all(map(is_image_path, reported)):
            raise ValueError("an output that is none of DEST's")
    except UsageError as error:
        return set(), [Difference(REPORT, Problem.UNREADABLE, str(error))]
    except ValueError as error:
        return set(), [Difference(REPORT, Problem.UNREADABLE, f"names {error}")]
    more = [
        Difference(output, Problem.NOT_IN_JOURNAL if os.path.lexists(dest / output) else Problem.MISSING)
        for output in sorted(reported - recorded.marks.keys())
    ]
    less = [Difference(file, Problem.NOT_IN_REPORT) for file in recorded.marks if file not in reported]
    return reported, more + less * recorded.ended


def _outputs(document: ReportDocument) -> set[str]:
    """Return the outputs of a report as seen from DEST; ValueError if one is elsewhere.

    Their paths are those of the system that they were written on, which may be another one.
    """
    then = document.used_settings.dest or ""
    kind = PureWindowsPath if PureWindowsPath(then).drive else PurePosixPath
    outputs = [output for pair in document.pairs for output in pair.files]
    return {kind(output).relative_to(kind(then)).as_posix() for output in outputs}


def _unknown(dest: Path, recorded: Recorded, known: set[str]) -> Iterator[Difference]:
    """Yield what is in the folders of the images, and of clips in them, and is not among `known`, folded names."""
    parents = {parent.as_posix() for name in recorded.marks for parent in PurePosixPath(name).parents}
    known |= set(map(folded, parents))
    for folder in dict.fromkeys((*IMAGE_FOLDERS, *sorted(parents - {".", TRAIN, VAL}))):
        try:
            with opened(dest / folder, dest) as here:
                names = here.names()
        except FileNotFoundError:
            continue
        except LinkInDest:
            yield Difference(folder, Problem.UNREADABLE, "a link")
            continue
        except OSError as error:
            yield Difference(folder, Problem.UNREADABLE, error.strerror or "")
            continue
        for name in names:
            path = f"{folder}/{name}"
            unfinished = not recorded.ended and name.startswith(f".twimager-{recorded.run}-")
            if not (unfinished or folded(path) in known):
                yield Difference(path, Problem.UNKNOWN)
