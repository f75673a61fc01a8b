"""The whole search: a folder is read once, pictures are looked for in it one after the other."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twimager.errors import ExitCode, Rejection, UnreadableImage
from twimager.fingerprint.cache import Store
from twimager.fingerprint.fingerprint import Fingerprint, fingerprint
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.files import require_files
from twimager.options import Options
from twimager.pairing.read import Run, remembered
from twimager.pairing.workers import Evaluators
from twimager.report.ledger import Report
from twimager.runtime import cleanup
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool
from twimager.search.collection import Collection
from twimager.search.ranking import Found, Wanted, thumbnail
from twimager.search.retrieval import OF_IMAGE, OF_QUERY, search
from twimager.search.scores import working_colors


@dataclass(frozen=True)
class SearchOptions:
    """Where is searched, for what, and by how many workers; `save` is where fingerprints are kept."""

    folder: Path
    wanted: Wanted
    recursive: bool = False
    save: Path | None = None
    jobs: int = 1


@dataclass(frozen=True, eq=False)
class Asked:
    """What came of one query: what was found, the best first, or why the query could not be read."""

    name: str
    found: Sequence[Found] = ()
    error: str = ""
    query: Fingerprint | None = None
    thumbnail: bytes = b""

    @property
    def is_found(self) -> bool:
        """Whether something shows the query, not only looks like it."""
        return any(one.place for one in self.found)


def is_address(query: str) -> bool:
    """Tell whether a query is an address, of whatever scheme, and no file."""
    return "://" in query


class Searcher:
    """A folder that was read, and who looks in it: one query at a time, from whatever thread.

    Attributes
    ----------
    images : how many images there are
    unread : how many files could not be read
    """

    def __init__(self, collection: Collection, run: Run, wanted: Wanted, images: int) -> None:
        self._collection, self._run, self._wanted = collection, run, wanted
        self._lock = threading.Lock()
        self._unread: set[Path] = set()
        self.images = images

    @property
    def unread(self) -> int:
        """How many files of the folder could not be read."""
        return len(self._unread)

    def pass_over(self, path: Path, why: Rejection) -> None:
        """Take it that a file can't be read."""
        self._unread.add(path)
        self._run.tell(path, why)

    def ask(self, query: str) -> Asked:
        """Look for a file, or for what an address leads to."""
        if not is_address(query):
            return self.ask_file(query, Path(query))
        # Imported here, as encryption takes its time.
        from twimager.search.download import fetch

        try:
            data = fetch(query)
        except UnreadableImage as error:
            return Asked(query, error=str(error))
        return self.ask_bytes(query, data)

    def ask_bytes(self, name: str, data: bytes) -> Asked:
        """Look for an encoded image."""
        descriptor, path = tempfile.mkstemp(prefix="twimager-")
        cleanup.register([Path(path)])
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
            return self.ask_file(name, Path(path))
        finally:
            cleanup.remove([Path(path)])

    def ask_file(self, name: str, path: Path) -> Asked:
        """Look for an image file that is called `name`."""
        with self._lock:
            try:
                query = fingerprint(path, OF_QUERY)
                answer = search(query, self._collection, self._wanted, self._run.pool, self._run.report.options.jobs)
                small = thumbnail(working_colors(query)) if self._wanted.thumbnails else b""
            except UnreadableImage as error:
                return Asked(name, error=str(error))
            except LIBRARY_ERRORS as error:
                return Asked(name, error=complaint(error))
            for lost, why in answer.unread.items():
                self.pass_over(lost, why)
            return Asked(name, answer.found, "", query, small)


@contextmanager
def searcher(options: SearchOptions, console: Console, queries: int | None = None) -> Iterator[Searcher]:
    """Read a folder, of which no image is read that is remembered, and yield who looks in it.

    `queries` is how many there will be, where that is known. Raises UsageError if there is nothing to look in.
    """
    paths = require_files([options.folder], options.recursive, console.warn)
    report = Report(Options(options.folder, options.folder, dry=True, jobs=options.jobs), console.detail)
    with console.progress(len(paths)) as progress, worker_pool(options.jobs) as pool:
        evaluators = Evaluators(pool, report.options)
        with Store(options.save, console.warn) as store, progress.stage("reading"):
            run = Run(pool, report, console, progress, store, evaluators, {}, Counter())
            results = list(remembered(run, paths, OF_IMAGE))
        images = [result for result in results if isinstance(result, Fingerprint)]
        with progress.stage("searching"):
            made = Searcher(Collection(images, options.jobs, queries), run, options.wanted, len(images))
            for path, result in zip(paths, results, strict=True):
                if isinstance(result, Rejection):
                    made.pass_over(path, result)
            run.count_unsupported()
            yield made


def exit_code(asked: Sequence[Asked], unread: int) -> ExitCode:
    """Return what the outcome of all queries means to the caller; the gravest applies."""
    if any(one.error for one in asked):
        return ExitCode.INCOMPLETE
    if not any(one.is_found for one in asked):
        return ExitCode.NO_PAIR
    return ExitCode.INCOMPLETE if unread else ExitCode.DONE
