"""Read the images of a folder in workers, by what an earlier run stored of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.cache import Store
from twimager.fingerprint.decoded_image import decode_image
from twimager.fingerprint.extract import extract_features, fingerprint_without_features
from twimager.fingerprint.features import Features
from twimager.fingerprint.fingerprint import Fingerprint, Recipe
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.fingerprint.stamp import Stamp, stamp
from twimager.fingerprint.working_image import working_image
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.files import is_animated
from twimager.output.shards import Shards
from twimager.pairing.duplicates import Duplicates, find_duplicates, renamed, representatives
from twimager.propose.by_frame import Frames
from twimager.report.ledger import Ledger
from twimager.report.records import BITS_IN_USE
from twimager.runtime.console import Console, Progress, counted
from twimager.runtime.mapped import MappedRows
from twimager.runtime.pool import Workers

CHANGED = Rejection(Reason.UNREADABLE, "a copy of it changed while the job went on")
# Names of files that a line lists.
NAMED = 3
FIRST_PICTURE = "holds several pictures; the first is used"
TRANSPARENT = "transparent everywhere: nothing to see"


class File(NamedTuple):
    """An image file, and what is stored of it: by the recipe asked for, and by the same without features."""

    path: Path
    seen: Stamp | None = None
    known: Fingerprint | None = None
    hashed: Fingerprint | None = None


def read_fingerprint(
    file: File, recipe: Recipe, frames: Frames | None = None, shards: Shards | None = None
) -> Fingerprint | Rejection:
    """Return the fingerprint of a file; without features if it may be paired by its frame.

    With `shards` its features are stored there.
    """
    image = _fingerprint(file, recipe, frames)
    return _in_shards(image, shards) if shards and isinstance(image, Fingerprint) else image


def _in_shards(image: Fingerprint, shards: Shards) -> Fingerprint:
    """Return a fingerprint whose features, if it has any, are stored."""
    return replace(image, features=shards.store(image.features)) if isinstance(image.features, Features) else image


def _fingerprint(file: File, recipe: Recipe, frames: Frames | None) -> Fingerprint | Rejection:
    try:
        image = file.hashed or fingerprint_without_features(file.path, decode_image(file.path, recipe), recipe)
        if not recipe.features or (frames and frames.suffice(image)):
            return image
        # It is used again much later, if at all: no reason to drop others for it.
        return extract_features(image, working_image(image, keep=False).gray, recipe)
    except UnreadableImage as error:
        return Rejection(error.reason, str(error))
    except LIBRARY_ERRORS as error:
        return Rejection(Reason.UNREADABLE, complaint(error))


def _unread(_: File, why: str) -> Rejection:
    """Return why there is no fingerprint of a file at which workers crash."""
    return Rejection(Reason.UNREADABLE, why)


class Reader:
    """Reads image files in workers; for one thread.

    Attributes
    ----------
    seen : the stamps that the files had when they were read
    """

    def __init__(
        self, workers: Workers, console: Console, progress: Progress, *, store: Store, ledger: Ledger,
        shards: Shards | None = None,
    ) -> None:  # fmt: skip
        """Read by these workers; what can't be read goes to the console and the ledger.

        Remote workers store features in `shards`, if that is given.
        """
        self.workers, self.console, self.progress, self.store = workers, console, progress, store
        self.ledger, self.shards = ledger, shards
        self.seen: dict[Path, Stamp | None] = {}
        self._thumbnails = MappedRows(THUMBNAIL_SIDE**2)
        self._unsupported = Counter[tuple[str, str]]()

    def read(self, side: str, paths: Sequence[Path], recipe: Recipe, frames: Frames | None = None) -> list[Fingerprint]:
        """Return the fingerprints of a side's files, as far as they can be read."""
        return self.take(side, paths, self.fingerprints(paths, recipe, frames))

    def read_unique(
        self, side: str, paths: Sequence[Path], recipe: Recipe, frames: Frames | None = None, *, duplicates: bool
    ) -> list[Fingerprint]:
        """Return the fingerprints of a side's files that can be read and are not flat.

        Those that may be paired by their frame are without features. With `duplicates` every file counts, whatever it
        holds; else one of those of the same bytes.
        """
        with self.progress.stage(f"reading {side}"):
            stamps = {path: stamp(path) for path in paths}
            same = {} if duplicates else find_duplicates(paths, stamps, self.workers.map_shards)
        self.ledger.duplicates |= same
        firsts = [path for path in paths if same.get(path, (path,))[0] == path]
        self.progress.expect(len(firsts) - len(paths))
        results = self._of_all(paths, stamps, same, self.fingerprints(firsts, recipe, frames))
        images = self.take(side, paths, results)
        if recipe.mask and (others := [image.path for image in images if not recipe.mask.fits(image.frame[2:])]):
            used = counted(len(others), "of other proportions is used", "of other proportions are used")
            self.console.warn(f"--{side.lower()}_mask: {used} without it: {_names(others)}")
        self.ledger.reject_images(side, {image.path: Rejection(Reason.FLAT) for image in images if image.is_flat})
        return representatives([image for image in images if not image.is_flat], same, set())

    def _of_all(
        self, paths: Iterable[Path], stamps: Mapping[Path, Stamp | None], same: Duplicates,
        results: Iterator[Fingerprint | Rejection],
    ) -> Iterator[Fingerprint | Rejection]:  # fmt: skip
        """Yield the result for each path, of duplicates that of the first; `results` are those of the first.

        `stamps` are those with which they were found to be duplicates.
        """
        of_duplicates: dict[Path, Fingerprint | Rejection] = {}
        for path in paths:
            first = same.get(path, (path,))[0]
            if first == path:
                result = next(results)
                if path in same:
                    of_duplicates[path] = result if self.seen[path] == stamps[path] else CHANGED
            else:
                self.seen[path] = stamps[path]
                result = of_duplicates[first]
            yield renamed(result, path) if isinstance(result, Fingerprint) else result

    def take(self, side: str, paths: Sequence[Path], results: Iterable[Fingerprint | Rejection]) -> list[Fingerprint]:
        """Return the fingerprints among the results for these files; enter and name what can't be read."""
        found = []
        with self.progress.stage(f"reading {side}"):
            for path, result in zip(paths, results, strict=True):
                if isinstance(result, Rejection):
                    self.ledger.reject_images(side, {path: result})
                    self.name_unreadable(path, result)
                    continue
                found.append(result)
                if is_animated(path):
                    self._note(path, FIRST_PICTURE)
                if result.is_flat and result.opaque and result.opaque.is_empty:
                    self._note(path, TRANSPARENT)
                if result.missing:
                    self._note(path, f"cut short: {counted(result.missing, 'row is', 'rows are')} missing and left out")
        self._note_depths(side, [image for image in found if image.is_dim])
        return found

    def _note_depths(self, side: str, dim: Sequence[Fingerprint]) -> None:
        """Note images of 16 bit that use fewer, in one line for all."""
        dim = [image for image in dim if self.ledger.note(image.path, f"{image.bits} {BITS_IN_USE}")]
        if dim:
            bits = " or ".join(map(str, sorted({image.bits for image in dim})))
            use = counted(len(dim), "image uses", "images use")
            self.console.note(
                f"{side}: {use} {bits} of their 16 bits ({_names(image.path for image in dim)}): "
                "scaled, but written as they are in pairs of which both files do; --depth 8 or 16 scales those, too"
            )

    def fingerprints(
        self, paths: Iterable[Path], recipe: Recipe, frames: Frames | None = None, hashed: Sequence[Fingerprint] = ()
    ) -> Iterator[Fingerprint | Rejection]:
        """Yield the fingerprint of every file, in their order; files that the store does not know are read.

        Those that may be paired by their frame, by `frames` of the LRs, are without features; `hashed` are known.
        """
        files = self._looked_up(paths, recipe, hashed)
        task = partial(read_fingerprint, recipe=recipe, frames=frames, shards=self.shards)
        for file, result in self.progress.counted(self._with_read(files, task)):
            if isinstance(result, Fingerprint) and result not in (file.known, file.hashed):
                self.store.keep(result, file.seen, recipe.without_features if result.features is None else recipe)
            yield result

    def _looked_up(self, paths: Iterable[Path], recipe: Recipe, hashed: Sequence[Fingerprint]) -> Iterator[File]:
        """Yield what is known of each file."""
        known_hashed = {image.path: image for image in hashed}
        for path in paths:
            before, seen = self.seen.get(path), stamp(path)
            self.seen[path] = seen
            file = File(path, seen, self._known(path, seen, recipe))
            if file.known is None:
                known = known_hashed.get(path) if seen == before else None
                file = file._replace(hashed=known or self._stored(path, seen, recipe.without_features))
            yield file

    def _known(self, path: Path, seen: Stamp | None, recipe: Recipe) -> Fingerprint | None:
        """Return what the store knows of a file, its features where those of files that are read are."""
        image = self._stored(path, seen, recipe)
        return _in_shards(image, self.shards) if image and self.shards else image

    def _stored(self, path: Path, seen: Stamp | None, recipe: Recipe) -> Fingerprint | None:
        image = self.store.get(path, seen, recipe)
        return replace(image, thumbnail=self._thumbnails.add(image.thumbnail)) if image else None

    def _with_read(
        self, files: Iterable[File], task: Callable[[File], Fingerprint | Rejection]
    ) -> Iterator[tuple[File, Fingerprint | Rejection]]:
        """Yield each file and its fingerprint, which workers read where it is not known."""
        waiting = deque[File]()

        def unknown() -> Iterator[File]:
            for file in files:
                waiting.append(file)
                if file.known is None:
                    yield file

        for result in self.workers.map_shards(task, unknown(), _unread):
            while known := waiting[0].known:
                yield waiting.popleft(), known
            file = waiting.popleft()
            yield file, self._own(result, file) if isinstance(result, Fingerprint) else result
        yield from ((file, file.known) for file in waiting if file.known)

    def _own(self, image: Fingerprint, file: File) -> Fingerprint:
        """Return what a worker has made of a file, with the path and the thumbnail that are in memory already."""
        if image is file.hashed:
            return image
        thumbnail = file.hashed.thumbnail if file.hashed else self._thumbnails.add(image.thumbnail)
        return replace(image, path=file.path, thumbnail=thumbnail)

    def describe(self, images: Sequence[Fingerprint], recipe: Recipe) -> list[Fingerprint]:
        """Return images with their features; without those that can't be read any more."""
        results = self.fingerprints([image.path for image in images], recipe, hashed=images)
        return [image for image in results if isinstance(image, Fingerprint)]

    def name_unreadable(self, path: Path, rejection: Rejection) -> None:
        """Name a file that can't be read; of each kind of unsupported file, the first only."""
        if rejection.reason is not Reason.UNREADABLE:
            kind = _kind(path, rejection)
            self._unsupported[kind] += 1
            if self._unsupported[kind] > 1:
                return
        self.console.warn(f"{path}: {rejection}")

    def count_unsupported(self) -> None:
        """Say how many more unsupported files of each kind there were."""
        for (noun, rest), number in sorted(self._unsupported.items()):
            if number > 1:
                self.console.warn(f"{counted(number - 1, f'more {noun}')}{rest}")
        self._unsupported.clear()

    def _note(self, path: Path, text: str) -> None:
        if self.ledger.note(path, text):
            self.console.note(f"{path}: {text}")


def _names(paths: Iterable[Path]) -> str:
    """Return the first few paths, as a line lists them."""
    first = list(map(str, islice(paths, NAMED + 1)))
    return ", ".join(first[:NAMED]) + ", ..." * (len(first) > NAMED)


def _kind(path: Path, rejection: Rejection) -> tuple[str, str]:
    """Return what an unsupported file like this one is called: a noun, and what follows it."""
    why = f": {rejection.reason.value}"
    if rejection.reason is Reason.NOT_REGULAR:
        return rejection.detail.removeprefix("a "), why
    return "file", (f" *{path.suffix.lower()}" if path.suffix else " without an extension") + why
