"""Stills against videos, as images for the main job: which frames each may be, and files of these.

Thumbnails tell where a still is to a few frames. These are extracted, a batch of stills at a time, and compared at
four times the size, and the one that is most like it is paired as images are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import LIGHT_LR
from twimager.fingerprint.mask import Masks
from twimager.image.decode import LIBRARY_ERRORS
from twimager.image.folders import are_videos, videos_among
from twimager.options import Options
from twimager.pairing.decide import Decider
from twimager.pairing.read import Reader
from twimager.pairing.rounds import as_read
from twimager.pairs import VerifiedPair
from twimager.report.ledger import Ledger
from twimager.run.film import (
    BATCH,
    SIDES,
    SIGNATURES,
    Film,
    empty_film,
    enter_video,
    enter_videos,
    folder_of_frames,
    make_folder,
    signature_store,
    writing,
)
from twimager.runtime.console import Console, counted
from twimager.runtime.pool import worker_pool
from twimager.video.matching import sign_videos
from twimager.video.selection import within
from twimager.video.stills import Sighting, Still, find_stills, most_alike, read_frame, read_still

# Of so many peaks that are less by so much at most, the frames so near to each are compared with the still closely.
PEAKS, LESS, AROUND = 3, 0.1, 4
UNDECODED = Rejection(Reason.UNREADABLE, "the frames that it may be can't be decoded")


class Candidates(NamedTuple):
    """The frames that a still may be.

    Attributes
    ----------
    sighting : in the video that has the most likely one
    frames : their files, in the order in which they are shown
    """

    sighting: Sighting
    frames: list[Path]


@dataclass(frozen=True)
class StillsFilm(Film):
    """Stills, and the frames of videos that they may be.

    Attributes
    ----------
    side : that of the stills, LR or HR
    stills : their files
    unread : those of them that can't be read
    candidates : of each still that is found what it may be
    """

    side: str
    stills: list[Path]
    unread: list[Path]
    candidates: dict[Path, Candidates]

    @property
    def lrs(self) -> list[Path]:
        """The files of all stills, or of all frames that one may be."""
        return self.stills if self.side == "LR" else list(self.moments)

    @property
    def hrs(self) -> list[Path]:
        """The files of all stills, or of all frames that one may be."""
        return self.stills if self.side == "HR" else list(self.moments)

    @property
    def wanted(self) -> tuple[list[Path], list[Path]]:
        """The LRs and the HRs that should be in a pair: the stills."""
        return (self.stills, []) if self.side == "LR" else ([], self.stills)

    def roots(self, options: Options) -> tuple[Path, Path]:
        """Return the folders of both sides' files."""
        lr, hr = super().roots(options)
        return (options.lr, hr) if self.side == "LR" else (lr, options.hr)

    def pairs(
        self, options: Options, reader: Reader, decider: Decider, *, masks: Masks, settle: Callable[[], None]
    ) -> Iterator[VerifiedPair]:
        """Yield the pairs by batches of stills, whose frames are deleted once `settle` has had pairs written.

        A still is tried with the frame that is most like it alone: if that is rejected, a neighbour that passes is the
        wrong one.
        """
        reader.read(self.side, self.unread, as_read(LIGHT_LR, options.read, None))
        reader.count_unsupported()
        items = iter(self.candidates.items())
        while batch := dict(islice(items, BATCH)):
            found = self._chosen(batch, reader)
            lost = {still: UNDECODED for still in batch if still not in found}
            if not options.select.all_matches:
                taken = {still: frame for still, frame in found.items() if frame in reader.ledger.taken}
                lost |= {still: Rejection(Reason.TAKEN, frame.name) for still, frame in taken.items()}
                found = {still: frame for still, frame in found.items() if still not in taken}
            reader.ledger.reject_images(self.side, lost)
            partners = defaultdict[Path, list[Path]](list)
            for still, frame in found.items():
                lr, hr = (still, frame) if self.side == "LR" else (frame, still)
                partners[lr].append(hr)
            yield from self.tried(partners, options, reader, decider, masks=masks, settle=settle)
            if not options.video.keep_frames:
                self.discard(set(chain(*(one.frames for one in batch.values()))) - set(found.values()))

    def _chosen(self, batch: dict[Path, Candidates], reader: Reader) -> dict[Path, Path]:
        """Return the frame that is most like each still, of those that can be decoded, looked at closely."""
        frames = list(dict.fromkeys(chain(*(one.frames for one in batch.values()))))
        reader.progress.expect(len(frames))
        with reader.progress.stage("extracting frames"):
            there = set(reader.progress.counted(self.extract(frames, reader.workers, reader.console.warn)))
        frames = [path for path in frames if path in there]
        pictures = dict(zip(frames, reader.workers.map_shards(read_frame, frames), strict=True))
        of_framings = defaultdict[int, dict[Path, list[Path]]](dict)
        for still, one in batch.items():
            if near := [path for path in one.frames if path in there]:
                of_framings[id(one.sighting.describer)][still] = near
        chosen: dict[Path, Path] = {}
        for stills in of_framings.values():
            sightings = [batch[still].sighting for still in stills]
            near_to = [np.stack([pictures[path] for path in near]).astype(np.uint8) for near in stills.values()]
            best = most_alike([one.picture for one in sightings], near_to, sightings[0].describer)
            chosen |= {still: near[at] for (still, near), at in zip(stills.items(), best, strict=True)}
        return chosen


@contextmanager
def open_stills(
    lr_paths: Sequence[Path], hr_paths: Sequence[Path], options: Options, console: Console, ledger: Ledger
) -> Iterator[StillsFilm]:
    """Find the frames of videos, which are one of the sides, that the other side's stills may be.

    Files are kept as `open_film` keeps them. Images among the videos are passed over.
    """
    side = "HR" if are_videos(lr_paths) else "LR"
    stills, videos = (lr_paths, videos_among(hr_paths)) if side == "LR" else (hr_paths, videos_among(lr_paths))
    with folder_of_frames(options) as folder:
        make_folder(folder / SIGNATURES, options)
        with writing(folder / SIGNATURES), signature_store(options, console) as store:
            signed = sign_videos(videos, console, folder / SIGNATURES, store)
        film = _prepared(empty_film(folder, signed, options), side, list(stills), options, console)
        enter_videos(film, ("HR" if side == "LR" else "LR", videos), ledger=ledger)
        yield film


def _prepared(empty: Film, side: str, stills: list[Path], options: Options, console: Console) -> StillsFilm:
    """Return the stills, and which frames of the film's videos they may be."""
    signed = empty.matched
    videos = list(signed.places)
    with console.progress(len(stills) + len(videos)) as progress, worker_pool(options.run.jobs) as workers:
        with progress.stage(f"reading {side}"):
            reading = workers.map_shards(partial(_read, options=options), stills)
            known = dict(zip(stills, progress.counted(reading), strict=True))
        read = [still for still in known.values() if still]
        found: dict[Path, list[Sighting]] = {}
        with progress.stage("finding stills"):
            for video in progress.counted(videos if read else ()):
                signatures = signed.signatures(video)
                found[video] = find_stills(read, signatures, within(signatures, options.video))
    film = StillsFilm(
        **vars(empty),
        side=side,
        stills=stills,
        unread=[path for path, still in known.items() if still is None],
        candidates={},
    )
    for video in videos:
        enter_video(film, SIDES[side == "LR"], options.hr if side == "LR" else options.lr, video, options)
    _plan(film, read, found)
    if not options.run.resume:
        film.discard(film.moments)
    count, places = counted(len(stills), "still"), counted(len(videos), "video")
    console.note(f"{len(film.candidates)} of {count} may be frames of {places}")
    return film


def _read(path: Path, options: Options) -> Still | None:
    """Return what is needed to find a still; None if it can't be read."""
    try:
        return read_still(path, as_read(LIGHT_LR, options.read, None).without_features)
    except (UnreadableImage, *LIBRARY_ERRORS):
        return None


def _plan(film: StillsFilm, stills: Sequence[Still], found: dict[Path, list[Sighting]]) -> None:
    """Enter the frames that stills may be, of the video each that has the one most like it."""
    best = dict.fromkeys(range(len(stills)), 0.0)
    for sightings in found.values():
        best = {number: max(score, sightings[number].best) for number, score in best.items()}
    for video, sightings in found.items():
        count = len(film.times[video].pts)
        for number, sighting in enumerate(sightings):
            if stills[number].path in film.candidates or not 0 < best[number] == sighting.best:
                continue
            likely = [peak.frame for peak in sighting.peaks[:PEAKS] if peak.score >= sighting.best - LESS]
            near = {frame for peak in likely for frame in range(peak - AROUND, peak + AROUND + 1)}
            frames = sorted(near.intersection(range(count)))
            entered = [film.enter(video, frame) for frame in frames]
            film.candidates[stills[number].path] = Candidates(sighting, entered)
