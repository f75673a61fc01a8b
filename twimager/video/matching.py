"""Which video of one side belongs to which of the other, and how their times correspond."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from twimager.errors import ExitCode, UnreadableVideo, UsageError, require
from twimager.fingerprint.cache import Store
from twimager.fingerprint.stamp import Stamp, stamp
from twimager.image.files import require_files
from twimager.runtime.console import Console, Progress
from twimager.video.container import is_video, probe
from twimager.video.signatures import THUMBNAILS, VERSION, Signatures, make_signatures
from twimager.video.timeline import Timeline, common_share, find_timeline

# Videos of which less is the same do not belong together.
MIN_SHARE = 0.02
MINUTE = 60.0
# What reading a file of signatures raises that is not there, or not whole.
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class VideoMatch(NamedTuple):
    """Two videos that belong together, their time map, and when their first and their last frame are shown."""

    lr: Path
    hr: Path
    timeline: Timeline
    lr_span: tuple[float, float]
    hr_span: tuple[float, float]


@dataclass(frozen=True)
class Matched:
    """Which videos belong together, and which are in no pair or can't be read."""

    matches: list[VideoMatch]
    alone: list[Path]
    unreadable: list[Path]
    places: dict[Path, Path]

    def signatures(self, video: Path) -> Signatures:
        """Return the signatures of a video, which are kept in its file of `places`."""
        return _loaded(self.places[video])

    @property
    def exit_code(self) -> ExitCode:
        """The process's exit code, by the same rules as that of the main job."""
        if not self.matches:
            return ExitCode.NO_PAIR
        return ExitCode.INCOMPLETE if self.unreadable else ExitCode.DONE


def find_videos(path: Path, recursive: bool, console: Console) -> list[Path]:
    """Return the videos of a folder, or the one that a path is; UsageError if there are none."""
    require(path.exists(), f"there is no {path}")
    if not path.is_dir():
        return [path]
    found = [file for file in require_files([path], recursive, console.warn, videos=True) if is_video(file)]
    require(found, f"there are no videos in {path}")
    return found


def match_videos(lrs: Sequence[Path], hrs: Sequence[Path], console: Console, folder: Path, store: Store) -> Matched:
    """Return which videos belong together, each in one pair: those that have most in common in all.

    Signatures are kept in files in `folder`, so that only two videos' are in memory; those that are there are used, and
    those in the store.
    """
    paths = list(dict.fromkeys([*lrs, *hrs]))
    with console.progress(_minutes(paths)) as progress:
        places = {path: folder / _name(path) for path in paths}
        unreadable = _keep_signatures(places, console, progress, store)
        kept = {path: place for path, place in places.items() if path not in unreadable}
        sides = [path for path in lrs if path in kept], [path for path in hrs if path in kept]
        with progress.stage("time maps"):
            pairs = [(sides[0][row], sides[1][column]) for row, column in _assigned(*sides, kept)]
            matches = [_matched(lr, hr, kept) for lr, hr in pairs]
    matches = [match for match in matches if match.timeline.mapped >= MIN_SHARE]
    paired = {path for match in matches for path in (match.lr, match.hr)}
    return Matched(matches, [path for path in kept if path not in paired], unreadable, kept)


def sign_videos(videos: Sequence[Path], console: Console, folder: Path, store: Store) -> Matched:
    """Return videos that are matched with none, whose signatures are kept as `match_videos` keeps them."""
    places = {path: folder / _name(path) for path in videos}
    with console.progress(_minutes(videos)) as progress:
        unreadable = _keep_signatures(places, console, progress, store)
    return Matched([], [], unreadable, {path: place for path, place in places.items() if path not in unreadable})


def _matched(lr: Path, hr: Path, places: dict[Path, Path]) -> VideoMatch:
    """Return the time map of two videos whose signatures are in files."""
    loaded = _loaded(places[lr]), _loaded(places[hr])
    spans = [(float(one.seconds[0]), float(one.seconds[-1])) for one in loaded]
    return VideoMatch(lr, hr, find_timeline(*loaded), *spans)


def _name(video: Path) -> str:
    """Return the name of the file of a video's signatures, another one once the video changes."""
    known = video.absolute(), stamp(video)
    return hashlib.sha256(repr(known).encode("utf-8", "surrogateescape")).hexdigest()[:16] + ".npz"


def _minutes(paths: Sequence[Path]) -> float:
    """Return the minutes of film in videos, as far as their headers tell."""
    total = 0.0
    for path in paths:
        with suppress(UnreadableVideo):
            total += (probe(path).duration or 0) / MINUTE
    return total


def _keep_signatures(places: dict[Path, Path], console: Console, progress: Progress, store: Store) -> list[Path]:
    """Have the signatures of videos in their places; return the videos that can't be read, which are named."""
    unreadable, done = [], 0.0
    with progress.stage("reading videos"):
        for path, place in places.items():

            def reached(seconds: float, before: float = done) -> None:
                progress.reach(before + seconds / MINUTE, "minutes of film")

            try:
                made = _before(place) or _stored(path, place, store) or _made(path, place, console.warn, reached, store)
            except UnreadableVideo as error:
                console.warn(str(error))
                unreadable.append(path)
                continue
            done += float(made.seconds[-1]) / MINUTE
    return unreadable


def _before(place: Path) -> Signatures | None:
    """Return the signatures that are there, if they are whole and were made as they would be now."""
    try:
        return Signatures.load(place)
    except DAMAGED:
        place.unlink(missing_ok=True)
        return None


def _stored(path: Path, place: Path, store: Store) -> Signatures | None:
    """Return the signatures of a video that the store has, put in their place."""
    return _before(place) if all(store.restore_file(*one) for one in _files(path, place)) else None


def _made(
    path: Path, place: Path, warn: Callable[[str], None], progress: Callable[[float], None], store: Store
) -> Signatures:
    """Make the signatures of a video, and keep them in the store, too."""
    files = _files(path, place)
    made = make_signatures(path, place, warn, progress)
    for file in files:
        store.keep_file(*file)
    return made


def _files(path: Path, place: Path) -> list[tuple[str, Path, Stamp | None, Path]]:
    """Return, of each file of a video's signatures, its kind in the store, the video and its stamp, and its place."""
    seen = stamp(path)
    return [
        (f"signatures {VERSION} {file.suffix}", path, seen, file) for file in (place.with_suffix(THUMBNAILS), place)
    ]


def _loaded(place: Path) -> Signatures:
    kept = Signatures.load(place)
    assert kept
    return kept


def _assigned(lrs: Sequence[Path], hrs: Sequence[Path], places: dict[Path, Path]) -> list[tuple[int, int]]:
    """Return which LR and which HR video belong together, by their numbers."""
    if min(len(lrs), len(hrs)) == 0:
        return []
    if len(lrs) == len(hrs) == 1:
        return [(0, 0)]
    shares = _shares(lrs, hrs, places)
    rows, columns = linear_sum_assignment(shares, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if shares[row, column] > 0]


def _shares(lrs: Sequence[Path], hrs: Sequence[Path], places: dict[Path, Path]) -> NDArray[np.float64]:
    """Return the share of every LR video that every HR video has, (lrs, hrs); of a video itself, none."""
    shares = np.zeros((len(lrs), len(hrs)))
    for row, lr in enumerate(lrs):
        lr_kept = _loaded(places[lr])
        for column, hr in enumerate(hrs):
            if lr != hr:
                shares[row, column] = common_share(lr_kept, _loaded(places[hr]))
    return shares


def require_two_sides(lrs: Sequence[Path], hrs: Sequence[Path]) -> None:
    """Raise UsageError if both sides are one file."""
    if len(lrs) == len(hrs) == 1 and lrs[0].resolve() == hrs[0].resolve():
        raise UsageError(f"{lrs[0]} is named twice; name two videos")
