"""Read the files of a folder: what goes through a whole job, and what is remembered of every image."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.cache import Store
from twimager.fingerprint.extract import extract_features, fingerprint_without_features
from twimager.fingerprint.fingerprint import Fingerprint, Recipe
from twimager.fingerprint.stamp import Stamp, stamp
from twimager.fingerprint.working_image import decode_image, working_image
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.files import is_animated
from twimager.pairing.copies import Copies, find_copies, representatives, under
from twimager.pairing.workers import Evaluators
from twimager.pairs import RejectedPair
from twimager.propose.by_frame import Frames
from twimager.report.ledger import Note, RejectedImage, Report
from twimager.runtime.console import Console, Progress
from twimager.runtime.pool import AHEAD, in_order

CHANGED = Rejection(Reason.UNREADABLE, "a copy of it changed while the job went on")
FIRST_PICTURE = "holds several pictures; the first is used"

T = TypeVar("T")
R = TypeVar("R")


class File(NamedTuple):
    """An image file as it is now, and what is known of it already: as it is wanted, and but for its features."""

    path: Path
    seen: Stamp | None = None
    known: Fingerprint | None = None
    hashed: Fingerprint | None = None


def remember(file: File, recipe: Recipe, frames: Frames | None = None) -> Fingerprint | Rejection:
    """Fingerprint a file that is not yet known; without features where frames may suffice."""
    if file.known:
        return file.known
    try:
        image = file.hashed or fingerprint_without_features(file.path, decode_image(file.path, recipe), recipe)
        if not recipe.features or (frames and frames.suffice(image)):
            return image
        # It is wanted again much later, if at all: no reason to forget others for it.
        return extract_features(image, working_image(image, keep=False).gray, recipe)
    except UnreadableImage as error:
        return Rejection(error.reason, str(error))
    except LIBRARY_ERRORS as error:
        return Rejection(Reason.UNREADABLE, complaint(error))


class Run(NamedTuple):
    """What goes through the whole job.

    `seen` is what each file was like before it was read, `unsupported` how many files are no images, by their kind and
    why.
    """

    pool: Executor
    report: Report
    console: Console
    progress: Progress
    store: Store
    evaluators: Evaluators
    seen: dict[Path, Stamp | None]
    unsupported: Counter[str]

    def in_order(self, task: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Have workers do a task for everything, a few ahead of the reader."""
        return in_order(self.pool, task, tasks, AHEAD * self.report.options.jobs)

    def tell(self, path: Path, rejection: Rejection) -> None:
        """Name a file that can't be read; of each kind of file that is no image, the first only."""
        if rejection.reason is not Reason.UNREADABLE:
            kind = f"{_kind(path, rejection)}: {rejection.reason.value}"
            self.unsupported[kind] += 1
            if self.unsupported[kind] > 1:
                return
        self.console.warn(f"{path}: {rejection}")

    def turn_down(self, pairs: Iterable[RejectedPair]) -> None:
        """Enter pairs into the report that were turned down; name those that could not be compared."""
        for pair in pairs:
            self.report.turn_down(pair)
            if pair.rejection.reason is Reason.FAILED:
                self.console.warn(f"{pair.proposal.lr.path} - {pair.proposal.hr.path}: {pair.rejection}")

    def note(self, path: Path, text: str) -> None:
        """Say what is to be known of a file that is used, on stderr and in the report."""
        self.report.notes.append(Note(path, text))
        self.console.note(f"{path}: {text}")

    def count_unsupported(self) -> None:
        """Say how many more files of each kind there were."""
        for kind, number in sorted(self.unsupported.items()):
            if number > 1:
                self.console.warn(f"{number - 1} more {kind}")


def _kind(path: Path, rejection: Rejection) -> str:
    """Return what several files like this one, which is no image, are called."""
    if rejection.reason is Reason.NOT_REGULAR:
        return f"{rejection.detail.removeprefix('a ')}s"
    return f"files *{path.suffix.lower()}" if path.suffix else "files without an extension"


def read(run: Run, side: str, paths: list[Path], recipe: Recipe, frames: Frames | None = None) -> list[Fingerprint]:
    """Fingerprint every file of a side; those that can't be read go to the report.

    Files that may be paired by their frame go without features for now.
    """
    return take(run, side, paths, remembered(run, paths, recipe, frames))


def read_each(
    run: Run, side: str, paths: Sequence[Path], recipe: Recipe, frames: Frames | None = None
) -> list[Fingerprint]:
    """Fingerprint one file of each content of a side; what can't be read, or is flat, goes to the report.

    Where all matches are wanted every file counts, whatever it holds.
    """
    with run.progress.stage(f"reading {side}"):
        stamps = {path: stamp(path) for path in paths}
        copies = {} if run.report.options.all_matches else find_copies(paths, stamps, run.in_order)
    run.report.copies.update(copies)
    firsts = [path for path in paths if copies.get(path, (path,))[0] == path]
    run.progress.expect(len(firsts) - len(paths))
    results = _of_all(run, paths, stamps, copies, remembered(run, firsts, recipe, frames))
    images = take(run, side, paths, results)
    flat = (RejectedImage(side, image.path, Rejection(Reason.FLAT)) for image in images if image.is_flat)
    run.report.rejected_images += flat
    return representatives([image for image in images if not image.is_flat], copies, set())


def _of_all(
    run: Run, paths: Iterable[Path], stamps: Mapping[Path, Stamp | None], copies: Copies,
    results: Iterator[Fingerprint | Rejection],
) -> Iterator[Fingerprint | Rejection]:  # fmt: skip
    """Yield what came of reading each path, of copies what came of the first; `results` are those of the first.

    `stamps` are those with which they were found to be copies.
    """
    of_copies: dict[Path, Fingerprint | Rejection] = {}
    for path in paths:
        first = copies.get(path, (path,))[0]
        if first == path:
            result = next(results)
            if path in copies:
                of_copies[path] = result if run.seen[path] == stamps[path] else CHANGED
        else:
            run.seen[path] = stamps[path]
            result = of_copies[first]
        yield under(result, path) if isinstance(result, Fingerprint) else result


def take(run: Run, side: str, paths: Sequence[Path], results: Iterable[Fingerprint | Rejection]) -> list[Fingerprint]:
    """Return the fingerprints among the results of reading these files; what can't be read goes to the report."""
    found = []
    with run.progress.stage(f"reading {side}"):
        for path, result in zip(paths, results, strict=True):
            if isinstance(result, Rejection):
                run.report.rejected_images.append(RejectedImage(side, path, result))
                run.tell(path, result)
                continue
            found.append(result)
            if is_animated(path):
                run.note(path, FIRST_PICTURE)
            if result.missing:
                run.note(path, f"cut short: {result.missing} rows are missing and left out")
    return found


def remembered(
    run: Run, paths: Iterable[Path], recipe: Recipe, frames: Frames | None = None, hashed: Sequence[Fingerprint] = ()
) -> Iterator[Fingerprint | Rejection]:
    """Yield what is remembered of every file, in their order; those that the store does not know are read.

    `frames` are those of the LRs: what may be paired by its frame goes without features; `hashed` are known already.
    """
    files = deque[File]()
    known_hashed = {image.path: image for image in hashed}

    def looked_up() -> Iterator[File]:
        for path in paths:
            before, seen = run.seen.get(path), stamp(path)
            run.seen[path] = seen
            file = File(path, seen, run.store.get(path, seen, recipe))
            if file.known is None:
                known = known_hashed.get(path) if seen == before else None
                file = file._replace(hashed=known or run.store.get(path, seen, recipe.without_features))
            files.append(file)
            yield file

    task = partial(remember, recipe=recipe, frames=frames)
    for result in run.progress.counted(run.in_order(task, looked_up())):
        file = files.popleft()
        if isinstance(result, Fingerprint) and result not in (file.known, file.hashed):
            run.store.keep(result, file.seen, recipe.without_features if result.features is None else recipe)
        yield result
