"""Begin the journal of a run, or resume that of one that was stopped."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from twimager.errors import TwimagerError, UsageError
from twimager.fingerprint.stamp import made_by, stamp
from twimager.options import Options, plain_settings
from twimager.output.atomic import remove_temporary, unwritable
from twimager.output.layout import JOURNALS, REPORT, document_paths, not_empty, subsets
from twimager.output.lock import LOCK, lock
from twimager.output.shards import remove_shards
from twimager.report.reader import read_report
from twimager.report.summary import Outcome, after_review
from twimager.run.journal import Journal
from twimager.run.journal_lines import DAMAGE, JOURNAL, Begun, read_lines, read_run, require_layout
from twimager.runtime.folders import LinkInDest, read_file
from twimager.runtime.typed_json import Setting

HINT = ", or --resume to go on with the run that wrote there"


@contextmanager
def keep_journal(options: Options, inputs: Mapping[str, Sequence[Path]]) -> Iterator[Journal]:
    """Lock DEST and open its journal, a new one or with --resume that of the run that was stopped.

    `inputs` are the images by flag. A run that writes no images has no journal, and nothing is locked.

    Raises
    ------
    UsageError
        If another run is at work there, or what is there does not fit these options.
    TwimagerError
        If DEST can't be written to.
    """
    dest = options.run.dest
    if dest is None or options.run.dry:
        if dest and options.run.report and not (options.run.overwrite or is_vacant(dest)):
            raise not_empty(dest)
        yield Journal(None, uuid.uuid4().hex)
        return
    with lock(dest, "--dest: ", options.run.follow_dest_links):
        journal = _opened(dest, options, _begun(options, inputs))
        try:
            yield journal
        except TwimagerError:
            journal.require_files()  # that DEST was deleted explains more than that a file can't be written
            raise
        finally:
            journal.close()


def reopened(dest: Path) -> Journal:
    """Open the journal of a run that is no more, in a DEST that is locked, for what becomes of its pairs.

    Where there is none, or none that a run could resume, nothing is noted.
    """
    path = dest / JOURNALS / JOURNAL
    try:
        lines = read_lines(path, dest)
        if lines is None:
            return Journal(None, "")
        journal = Journal(dest, lines.begun.run)
        journal.resume(lines)
    except OSError as error:
        raise unwritable(path, error) from error
    except DAMAGE:
        return Journal(None, "")
    return journal


def _opened(dest: Path, options: Options, begun: Begun) -> Journal:
    """Begin a journal, or resume the one that is there; raises as `keep_journal` does."""
    path, run, follow_links = dest / JOURNALS / JOURNAL, options.run, options.run.follow_dest_links
    try:
        before = read_run(path, run.unlinked_dest)
        if before and (run.resume or run.overwrite):
            remove_temporary(dest, before, follow_links)
            remove_shards(dest, run.unlinked_dest)
        lines = read_lines(path, run.unlinked_dest) if before and run.resume else None
        if lines:
            require_layout(lines, dest)
            _require_same(lines.begun, begun, dest)
            journal = Journal(dest, lines.begun.run, run.overwrite or lines.begun.overwrite, follow_links)
            journal.resume(lines)
        elif run.overwrite or is_vacant(dest, follow_links) or (not before and run.resume and _has_no_head(options)):
            journal = Journal(dest, begun.run, run.overwrite, follow_links)
            journal.begin(begun)
        else:
            raise not_empty(dest, HINT if before else "")
    except OSError as error:
        raise unwritable(path, error) from error
    except DAMAGE as error:
        raise UsageError(f"--resume: the journal in {dest} is damaged; --overwrite starts anew") from error
    if not all(path.exists() for path in _expected(options)):
        journal.ended = None
    if journal.ended and journal.ended.summary.pairs != len(journal.left):
        journal.ended = _after_review(journal.ended, journal, dest)
    return journal


def _after_review(ended: Outcome, journal: Journal, dest: Path) -> Outcome | None:
    """Return the outcome of a run that is less what a review has deleted; None if the report that says so is gone."""
    try:
        document = read_report(dest / REPORT)
    except UsageError:
        return None
    if {(pair.lr, pair.hr) for pair in document.pairs} != journal.left:
        return None
    summary = after_review(ended.summary, document)
    return Outcome(summary.exit_code, summary)


def is_vacant(dest: Path, follow_links: bool = False) -> bool:
    """Return whether there is nothing in DEST, or nothing but what a run leaves that has ended and written nothing."""
    if not dest.is_dir():
        return True
    if any(entry.name != JOURNALS for entry in dest.iterdir()):
        return False
    path, unlinked_dest = dest / JOURNALS / JOURNAL, None if follow_links else dest
    try:
        if not read_run(path, unlinked_dest):
            return True
        lines = read_lines(path, unlinked_dest)
    except (OSError, LinkInDest, *DAMAGE):
        return False
    ended = lines and lines.others and all(isinstance(line, Outcome) for line in lines.others)
    return bool(ended) and {entry.name for entry in path.parent.iterdir()} == {JOURNAL, LOCK}


def _expected(options: Options) -> list[Path]:
    """Return the documents of a run that has ended: a side of a split without pairs has none."""
    empty = [folder for folder in subsets(options) if not folder.exists()]
    return [path for path in document_paths(options).values() if not any(map(path.is_relative_to, empty))]


def _has_no_head(options: Options) -> bool:
    """Return whether the journal is there and its first line is not, and nothing that a new run would replace is.

    A disk that does not keep what was flushed may leave that. Images are no hindrance: those of the same
    contents are as good as written, no others are replaced.
    """
    assert options.run.dest
    try:
        head, end, _ = read_file(options.run.dest / JOURNALS / JOURNAL, options.run.unlinked_dest).partition(b"\n")
    except FileNotFoundError:
        return False
    return (not end or b"\0" in head) and not any(map(os.path.lexists, document_paths(options).values()))


def _begun(options: Options, inputs: Mapping[str, Sequence[Path]]) -> Begun:
    """Return the first line of a new journal."""
    of_run = plain_settings(options.run)
    return Begun(
        made_by=made_by(),
        settings={name: value for name, value in plain_settings(options).items() if name not in of_run},
        inputs={flag: _digest(paths) for flag, paths in inputs.items()},
        run=uuid.uuid4().hex,
        overwrite=options.run.overwrite,
    )


def _digest(paths: Sequence[Path]) -> str:
    """Return a number that changes with the names, sizes and times of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(repr((os.fsencode(path.absolute()), stamp(path))).encode())
    return digest.hexdigest()


def _require_same(before: Begun, now: Begun, dest: Path) -> None:
    """Raise UsageError if a run was begun in another way."""
    for name, value in now.settings.items():
        was = before.settings.get(name)
        if was != value:
            raise UsageError(f"--resume: the run in {dest} was begun with {_flag(name, was)}, not {_flag(name, value)}")
    if before.made_by != now.made_by:
        raise UsageError(f"--resume: the run in {dest} was begun by {before.made_by}, this is {now.made_by}")
    for flag, digest in now.inputs.items():
        if before.inputs.get(flag) != digest:
            raise UsageError(f"--resume: the files in {flag} have changed since; --overwrite starts anew")


def _flag(name: str, value: Setting) -> str:
    """Return a setting as it is given on the command line."""
    if name in ("mirror", "negative"):
        name, value = f"no_{name}", not value
    name = {"loaders": "for", "start": "from", "end": "to"}.get(name, name)
    match value:
        case bool():
            return f"--{name}" if value else f"no --{name}"
        case None | "" | []:
            return f"no --{name}"
        case list():
            return f"--{name} {' '.join(map(str, value))}"
    return f"--{name} {value}"
