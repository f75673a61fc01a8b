"""The whole of `search` and `serve`: a folder is read once, then each query is looked for in it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twimager.errors import ExitCode, Rejection, UnreadableImage
from twimager.fingerprint.cache import Store
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.files import require_files
from twimager.pairing.read import Reader
from twimager.report.ledger import Ledger
from twimager.runtime import cleanup
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool
from twimager.search.collection import Collection
from twimager.search.ranking import Criteria, Hit, thumbnail
from twimager.search.retrieval import OF_IMAGE, OF_QUERY, search
from twimager.search.scores import working_colors


@dataclass(frozen=True)
class SearchOptions:
    """Which folder is searched, by what criteria and how many workers; `save` is where fingerprints are stored."""

    folder: Path
    criteria: Criteria
    recursive: bool = False
    save: Path | None = None
    jobs: int = 1


@dataclass(frozen=True, eq=False)
class QueryResult:
    """The hits for one query, the best first, or why the query could not be read."""

    name: str
    hits: Sequence[Hit] = ()
    error: str = ""
    query: Fingerprint | None = None
    thumbnail: bytes = b""

    @property
    def is_found(self) -> bool:
        """Whether a hit shows the query, not only looks like it."""
        return any(hit.alignment for hit in self.hits)


def is_address(query: str) -> bool:
    """Tell whether a query is an address, of whatever scheme, and no file."""
    return "://" in query


class Searcher:
    """Searches a folder that was read: one query at a time, from whatever thread.

    Attributes
    ----------
    images : how many images there are
    unread : how many files could not be read
    """

    def __init__(self, collection: Collection, reader: Reader, criteria: Criteria, images: int) -> None:
        self._collection, self._reader, self._criteria = collection, reader, criteria
        self._lock = threading.Lock()
        self._unread: set[Path] = set()
        self.images = images

    @property
    def unread(self) -> int:
        """How many files of the folder could not be read."""
        return len(self._unread)

    def add_unread(self, path: Path, why: Rejection) -> None:
        """Count a file that can't be read, and name it on the console."""
        self._unread.add(path)
        self._reader.name_unreadable(path, why)

    def search(self, query: str) -> QueryResult:
        """Return the hits for a file, or for the image at an address."""
        if not is_address(query):
            return self.search_file(query, Path(query))
        # Imported here, as encryption takes its time.
        from twimager.search.download import fetch

        try:
            data = fetch(query)
        except UnreadableImage as error:
            return QueryResult(query, error=str(error))
        return self.search_bytes(query, data)

    def search_bytes(self, name: str, data: bytes) -> QueryResult:
        """Return the hits for an encoded image."""
        descriptor, path = tempfile.mkstemp(prefix="twimager-")
        cleanup.register([Path(path)])
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
            return self.search_file(name, Path(path))
        finally:
            cleanup.remove([Path(path)])

    def search_file(self, name: str, path: Path) -> QueryResult:
        """Return the hits for an image file, which messages call `name`."""
        with self._lock:
            try:
                query = fingerprint(path, OF_QUERY)
                ranking = search(query, self._collection, self._criteria, self._reader.workers)
                small = thumbnail(working_colors(query)) if self._criteria.thumbnails else b""
            except UnreadableImage as error:
                return QueryResult(name, error=str(error))
            except LIBRARY_ERRORS as error:
                return QueryResult(name, error=complaint(error))
            for lost, why in ranking.unread.items():
                self.add_unread(lost, why)
            return QueryResult(name, ranking.hits, "", query, small)


@contextmanager
def open_searcher(options: SearchOptions, console: Console, queries: int | None = None) -> Iterator[Searcher]:
    """Read a folder, but for images whose fingerprints are stored, and yield its searcher.

    `queries` is how many there will be, where that is known. Raises UsageError if there is nothing to look in.
    """
    paths = require_files([options.folder], options.recursive, console.warn)
    with console.progress(len(paths)) as progress, worker_pool(options.jobs) as workers:
        with Store(options.save, console.warn) as store, progress.stage("reading"):
            reader = Reader(workers, console, progress, store=store, ledger=Ledger(console))
            results = list(reader.fingerprints(paths, OF_IMAGE))
        images = [result for result in results if isinstance(result, Fingerprint)]
        with progress.stage("searching"):
            searcher = Searcher(Collection(images, options.jobs, queries), reader, options.criteria, len(images))
            for path, result in zip(paths, results, strict=True):
                if isinstance(result, Rejection):
                    searcher.add_unread(path, result)
            reader.count_unsupported()
            yield searcher


def exit_code(results: Sequence[QueryResult], unread: int) -> ExitCode:
    """Return what the outcome of all queries means to the caller; the gravest applies."""
    if any(one.error for one in results):
        return ExitCode.INCOMPLETE
    if not any(one.is_found for one in results):
        return ExitCode.NO_PAIR
    return ExitCode.INCOMPLETE if unread else ExitCode.DONE
