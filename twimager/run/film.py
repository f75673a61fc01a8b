"""Two videos, or folders of them, as images for the main job: time maps, chosen frames, and files of these.

What is on the disk is bounded: frames are extracted a batch at a time, and deleted once their pairs are written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import Reason, Rejection
from twimager.fingerprint.cache import Store
from twimager.fingerprint.mask import Masks
from twimager.geometry import Size
from twimager.image.folders import videos_among
from twimager.image.pixels import Pixels
from twimager.options import Deinterlace, Options, Steady
from twimager.output.atomic import unwritable
from twimager.output.layout import JOURNALS, SEGMENTS, TEMPORARY
from twimager.pairing.decide import MATCHING, Decider
from twimager.pairing.read import Reader
from twimager.pairing.rounds import read_partners
from twimager.pairing.steady import Pool, Pooled, Steadied, is_affine, is_explained, placed, steadied
from twimager.pairs import VerifiedPair
from twimager.propose.proposal import Proposal
from twimager.report.ledger import Ledger
from twimager.report.records import FilmResult, Moment
from twimager.runtime.console import Console, counted
from twimager.runtime.folders import opened
from twimager.runtime.pool import Workers
from twimager.video.color import coding_of_video
from twimager.video.container import probe
from twimager.video.fields import Interlacing, interlacing
from twimager.video.formatting import to_csv
from twimager.video.frames import FrameSettings, read_frames
from twimager.video.matching import Matched, VideoMatch, match_videos, require_two_sides
from twimager.video.selection import Selection, select_frames
from twimager.video.signatures import Signatures

# Where an LR frame and its HR frame are no pair, so many on either side are tried: the map of time may be off by one.
AROUND = 1
# LR frames whose files, and those of their HR frames, are on disk at a time: in 1920 x 1080 and 8 bit 0.4 GB or less.
BATCH = 64
# Of a longer stem no more stands in names of files, which may have 255 bytes: the moment, a tile's number and the like
# follow.
STEM_BYTES = 180
# The folders in DEST/.twimager.
FRAMES, SIGNATURES = "frames", "signatures"
SIDES = "lr", "hr"
# How signatures and frames that are not whole yet are called, besides signatures that are. Nothing else is deleted.
OWN = re.compile(rf"^[0-9a-f]{{16}}\.(npz|part|thumbnails)$|_\d+h\d\dm\d\ds\d{{3}}\{TEMPORARY}$")


class Tried(NamedTuple):
    """Which files of frames are there, and the pairs, by their LR, that may be of another frame."""

    there: set[Path]
    doubtful: dict[Path, VerifiedPair]


class Times(NamedTuple):
    """When the n frames of a video are shown, (n,), as its signatures have it."""

    pts: NDArray[np.int64]
    seconds: NDArray[np.float64]


@dataclass(frozen=True)
class Film:
    """What is to be paired of videos.

    Attributes
    ----------
    folder : of the files of frames; each side has a folder of its own in it
    folders : of each video's frames, in that of its side: called after it, as names of files tell what is in which
    matched : which videos belong together, and their time maps
    selections : of each two that do, which frames were chosen
    moments : the frame that each file is to hold
    partners : the HR frames that each LR frame may be
    shots : the shot that each LR frame is of, of its video
    pools : the transforms of pairs, by their videos and the sizes of both frames
    times : when the frames of each video are shown
    interlacing : of what the frames of a video are made
    joined : the videos whose frames are told apart by their numbers alone
    settings : how frames are made pixels
    """

    folder: Path
    folders: dict[Path, Path]
    matched: Matched
    selections: list[Selection]
    moments: dict[Path, Moment]
    partners: dict[Path, list[Path]]
    shots: dict[Path, int]
    pools: dict[tuple[Path, Path, Size, Size], Pool]
    times: dict[Path, Times]
    interlacing: dict[Path, Interlacing]
    joined: set[Path]
    settings: FrameSettings

    @property
    def lrs(self) -> list[Path]:
        """The files of all LR frames, there or not."""
        return list(self.partners)

    @property
    def hrs(self) -> list[Path]:
        """The files of all HR frames, there or not."""
        return list(dict.fromkeys(chain(*self.partners.values())))

    @property
    def wanted(self) -> tuple[list[Path], list[Path]]:
        """The LRs and the HRs that should be in a pair: most HR frames are none that an LR could have had."""
        return self.lrs, []

    def roots(self, options: Options) -> tuple[Path, Path]:
        """Return the folders of both sides' files."""
        return self.folder / SIDES[0], self.folder / SIDES[1]

    @property
    def films(self) -> tuple[FilmResult, ...]:
        """The videos that belong together, which of their frames were chosen, and how far those weave."""
        weaves = {key[:2]: pool.weave for key, pool in sorted(self.pools.items(), key=lambda one: len(one[1].places))}
        matches = zip(self.matched.matches, self.selections, strict=True)
        return tuple(FilmResult(match, chosen, weaves.get((match.lr, match.hr))) for match, chosen in matches)

    @property
    def hr_frames(self) -> dict[Path, NDArray[np.int64]]:
        """The HR frame of each frame of an LR video, by that."""
        return {match.lr: match.timeline.hr_frames for match in self.matched.matches}

    def documents(self, options: Options) -> dict[Path, bytes]:
        """Return the table of segments that is kept with the report."""
        kept = options.run.report and self.films and options.run.dest
        return {kept / SEGMENTS: to_csv(self.matched)} if kept else {}

    def pairs(
        self, options: Options, reader: Reader, decider: Decider, *, masks: Masks, settle: Callable[[], None]
    ) -> Iterator[VerifiedPair]:
        """Yield the pairs by batches of frames, whose files are deleted once `settle` has had pairs written.

        A pan over what stands still is the same picture shifted, in any frame: the map of time knows better than
        alignment which one it is. The frames around that are only tried where it brings no pair, or one at odds with
        the geometry of the others. For `--split`, which compares all pairs at the end, files are kept until then; those
        of what is in no pair until the report shows them.
        """
        for batch in self.batches():
            mapped = {lr: hrs[:1] for lr, hrs in batch.items()}
            decoded, doubtful = yield from self.tried(mapped, options, reader, decider, masks=masks, settle=settle)
            left = {lr: hrs for lr, hrs in batch.items() if lr not in reader.ledger.taken and lr in decoded}
            decoded |= yield from self._tried_around(
                left, doubtful, options, reader, decider, masks=masks, settle=settle
            )
            lost = [lr for lr, hrs in batch.items() if lr not in decoded or decoded.isdisjoint(hrs)]
            undecoded = Rejection(Reason.UNREADABLE, "it or its HR frames can't be decoded")
            reader.ledger.reject_images("LR", dict.fromkeys(lost, undecoded))

    def tried(
        self,
        partners: dict[Path, list[Path]],
        options: Options,
        reader: Reader,
        decider: Decider,
        *,
        masks: Masks,
        settle: Callable[[], None],
    ) -> Generator[VerifiedPair, None, Tried]:
        """Yield the pairs among partners, but those that are doubtful, whose frames are deleted then."""
        there = self._extracted(partners, reader)
        proposals = read_partners(*_sides(partners, there), partners, options.read, reader, masks=masks)
        doubtful: dict[Path, VerifiedPair] = {}
        for pair, is_doubtful in self._steadied(decider.pairs(proposals), reader, options):
            if is_doubtful:
                reader.ledger.release(pair)
                doubtful[pair.proposal.lr.path] = pair
            else:
                yield pair
        self._settle(partners, options, reader, settle)
        return Tried(there, doubtful)

    def _tried_around(
        self,
        partners: dict[Path, list[Path]],
        doubtful: Mapping[Path, VerifiedPair],
        options: Options,
        reader: Reader,
        decider: Decider,
        *,
        masks: Masks,
        settle: Callable[[], None],
    ) -> Generator[VerifiedPair, None, set[Path]]:
        """Yield the pairs of LR frames that the HR frames they are mapped to do not explain; return the files there.

        Where the transform of all pairs is known, the frame that is most like the LR under it is the right one, and
        another that passes the gates is not.
        """
        frames = {path for lr, hrs in partners.items() for path in (lr, *hrs)}
        reader.progress.expect(len(frames) + len(partners) * (2 + MATCHING))
        there = self._extracted(partners, reader)
        proposals = read_partners(*_sides(partners, there), partners, options.read, reader, masks=masks)
        free = [[one for one in of_lr if one.hr.path not in reader.ledger.taken] for of_lr in proposals]
        left = []
        for of_lr, found in zip(free, self._placed(free, reader, options), strict=True):
            own = doubtful.get(of_lr[0].lr.path) if of_lr else None
            pair = found if found and (own is None or is_explained(own, found)) else own
            if pair:
                reader.ledger.reopen([pair.proposal])
                reader.ledger.take(pair)
                yield pair
            elif of_lr and not self._pool(of_lr[0], options).explains:
                left.append([one for one in of_lr if one.hr.path != partners[one.lr.path][0]])
        yield from (pair for pair, _ in self._steadied(decider.pairs(left), reader, options))
        self._settle(partners, options, reader, settle)
        return there

    def _extracted(self, partners: Mapping[Path, Iterable[Path]], reader: Reader) -> set[Path]:
        """Make the files of frames; return those that are there, and the files that are no frames."""
        paths = set(partners).union(*partners.values())
        frames = paths & self.moments.keys()
        with reader.progress.stage("extracting frames"):
            return paths - frames | set(
                reader.progress.counted(self.extract(frames, reader.workers, reader.console.warn))
            )

    def _settle(
        self, partners: Mapping[Path, Iterable[Path]], options: Options, reader: Reader, settle: Callable[[], None]
    ) -> None:
        """Have pairs written, and delete their frames."""
        settle()
        if not (options.video.keep_frames or options.write.split):
            taken = set(partners).union(*partners.values()) & reader.ledger.taken
            self.discard(taken & self.moments.keys())

    def _steadied(self, pairs: Iterable[VerifiedPair], reader: Reader, options: Options) -> Iterator[Steadied]:
        """Yield a batch's pairs aligned by the transform that those of their videos have in common, if any."""
        if not self.matched.matches or options.video.steady is Steady.OFF:
            yield from (Steadied(pair, is_doubtful=False) for pair in pairs)
            return
        known = [
            Pooled(
                pair, self.shots[pair.proposal.lr.path], self._pool(pair.proposal, options) if is_affine(pair) else None
            )
            for pair in pairs
        ]
        with reader.progress.stage("pooling transforms"):
            yield from steadied(known, reader.workers, options.pair)

    def _placed(
        self, proposals: Sequence[Sequence[Proposal]], reader: Reader, options: Options
    ) -> Iterator[VerifiedPair | None]:
        """Yield, of an LR's proposals, the one that is most like it under the transform of its videos, if any."""
        pools = [self._pool(of_lr[0], options) if of_lr and self.matched.matches else None for of_lr in proposals]
        with reader.progress.stage("pooling transforms"):
            yield from placed(list(zip(proposals, pools, strict=True)), reader.workers, options.pair)

    def _pool(self, proposal: Proposal, options: Options) -> Pool:
        """Return the pool of the transform of two frames."""
        lr, hr = proposal.images
        sizes = lr.frame[2:], hr.frame[2:]
        key = self.moments[lr.path].video, self.moments[hr.path].video, *sizes
        return self.pools.setdefault(key, Pool(*sizes, is_sure=options.video.steady is Steady.FILM))

    def batches(self) -> Iterator[dict[Path, list[Path]]]:
        """Yield the partners of so many LR frames at a time."""
        items = iter(self.partners.items())
        while batch := dict(islice(items, BATCH)):
            yield batch

    def extract(self, paths: Iterable[Path], workers: Workers, warn: Callable[[str], None]) -> Iterator[Path]:
        """Make the files of some frames that are not there yet; yield each that is."""
        wanted = sorted(paths, key=lambda path: (self.moments[path].video, self.moments[path].number))
        for video, of_video in groupby(wanted, key=lambda path: self.moments[path].video):
            joined = video in self.joined
            places = {self.moments[path].number if joined else self.moments[path].pts: path for path in of_video}
            missing = [pts for pts, path in places.items() if not path.exists()]
            yield from (path for pts, path in places.items() if pts not in set(missing))
            frames = read_frames(video, missing, self.settings, warn, self.interlacing[video], joined=joined)
            yield from workers.map_shards(_store, ((places[pts], picture) for pts, picture in frames), ahead=4)

    def enter(self, video: Path, number: int) -> Path:
        """Enter a frame of a video; return its file, called after its moment, in the video's folder."""
        seconds = float(self.times[video].seconds[number])
        milliseconds = round(1000 * max(seconds, 0))
        minutes, rest = divmod(milliseconds // 1000, 60)
        stem = os.fsencode(video.stem)[:STEM_BYTES].decode(errors="ignore")
        name = f"{stem}_{minutes // 60:02}h{minutes % 60:02}m{rest:02}s{milliseconds % 1000:03}.png"
        path = self.folders[video] / name
        self.moments[path] = Moment(video, number, int(self.times[video].pts[number]), seconds)
        return path

    def discard_all(self, keep_frames: bool) -> None:
        """Delete the signatures, what is left of frames, and their folders, as far as nothing else is in them."""
        signatures = self.folder.with_name(SIGNATURES)
        mine = (path for kept in (self.folder, signatures) for path in kept.rglob("*") if OWN.search(path.name))
        self.discard(list(mine))
        if not keep_frames:
            self.discard(self.moments)
        for kept in (self.folder, signatures):
            for folder, _, _ in os.walk(kept, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)

    def discard(self, paths: Iterable[Path]) -> None:
        """Delete files of frames, as far as they are there."""
        for path in paths:
            with suppress(OSError):
                path.unlink()


def _sides(partners: Mapping[Path, Iterable[Path]], there: Container[Path]) -> tuple[list[Path], list[Path]]:
    """Return the LRs, and the HRs that they may be, that are there."""
    hrs = dict.fromkeys(chain.from_iterable(partners.values()))
    return [lr for lr in partners if lr in there], [hr for hr in hrs if hr in there]


@contextmanager
def open_film(
    lr_paths: Sequence[Path], hr_paths: Sequence[Path], options: Options, console: Console, ledger: Ledger
) -> Iterator[Film]:
    """Find which parts of which videos are the same, and choose frames; what can't be read, or is guessed, is entered.

    Signatures and frames are kept in DEST, those of a dry run in a temporary folder while the block lasts. Files that
    are no videos are passed over.

    Raises
    ------
    UsageError
        If both sides are one file.
    """
    sides = videos_among(lr_paths), videos_among(hr_paths)
    with folder_of_frames(options) as folder:
        film = _prepared(*sides, options, console, folder)
        enter_videos(film, *zip(("LR", "HR"), sides, strict=True), ledger=ledger)
        yield film


@contextmanager
def folder_of_frames(options: Options) -> Iterator[Path]:
    """Yield the folder in which those of signatures and of frames are to be."""
    with TemporaryDirectory() as temporary:
        yield Path(temporary) if options.run.dry or not options.run.dest else options.run.dest / JOURNALS


def signature_store(options: Options, console: Console) -> Store:
    """Return what keeps signatures between runs; that it can't be kept is said once images are read."""
    return Store(options.run.save, console.detail)


def enter_videos(film: Film, *sides: tuple[str, list[Path]], ledger: Ledger) -> None:
    """Enter which videos of each side can't be read, and what is guessed of the others."""
    for side, videos in sides:
        unreadable = Rejection(Reason.UNREADABLE, "no video")
        ledger.reject_images(side, {path: unreadable for path in videos if path in film.matched.unreadable})
    for video in film.folders:
        if guessed := coding_of_video(probe(video)).guess:
            ledger.note(video, guessed)


def empty_film(folder: Path, matched: Matched, options: Options) -> Film:
    """Return a film whose frames are kept in `folder`, and none of which is planned yet."""
    settings = FrameSettings(options.video.deinterlace, options.video.hdr)
    return Film(folder / FRAMES, {}, matched, [], {}, {}, {}, {}, {}, {}, set(), settings)


def enter_video(film: Film, side: str, root: Path, video: Path, options: Options) -> Signatures:
    """Make the folder of a video's frames, and enter what they are made of; `root` is what was named as its side."""
    signatures = film.matched.signatures(video)
    film.folders[video] = film.folder / side / video.relative_to(video.parent if root == video else root)
    make_folder(film.folders[video], options)
    film.interlacing[video] = interlacing(signatures)
    film.times[video] = Times(signatures.pts.copy(), signatures.seconds.copy())
    if signatures.is_joined:
        film.joined.add(video)
    return signatures


def _prepared(lrs: Sequence[Path], hrs: Sequence[Path], options: Options, console: Console, folder: Path) -> Film:
    """Return which parts of which videos are the same, and the chosen frames; files are kept in `folder`."""
    require_two_sides(lrs, hrs)
    make_folder(folder / SIGNATURES, options)
    with writing(folder / SIGNATURES), signature_store(options, console) as store:
        matched = match_videos(lrs, hrs, console, folder / SIGNATURES, store)
    film = empty_film(folder, matched, options)
    for match in matched.matches:
        named = zip(SIDES, (options.lr, options.hr), (match.lr, match.hr), strict=True)
        lr, hr = (enter_video(film, *one, options) for one in named)
        bobbed = _bobbed(film.settings, film.interlacing[match.lr]), _bobbed(film.settings, film.interlacing[match.hr])
        chosen = select_frames(lr, hr, match.timeline, options.video, bobbed)
        film.selections.append(chosen)
        _plan(film, match, chosen, 0 if options.video.clips else AROUND)
        left = ", ".join(f"{count} {flaw}" for flaw, count in chosen.left_out.items())
        segments, taken = counted(len(match.timeline.segments), "segment"), counted(len(chosen.frames), "frame")
        console.note(
            f"{match.lr} = {match.hr}: {100 * match.timeline.mapped:.1f} % of its {counted(len(lr), 'frame')}, in "
            f"{segments}; {taken} taken, left out: {left or 'none'}"
        )
    if not options.run.resume:
        # What a run before has left, or kept, may be frames of other videos, or made in another way.
        film.discard(film.moments)
    for video in matched.alone:
        console.warn(f"{video}: is in no pair: no video that is left has anything in common with it")
    return film


def _bobbed(settings: FrameSettings, interlacing: Interlacing) -> bool:
    """Return whether combed frames are as good as others; of telecined film there are enough that are not combed."""
    if settings.deinterlace is Deinterlace.AUTO:
        return interlacing is Interlacing.FIELDS
    return settings.deinterlace is not Deinterlace.OFF


def _plan(film: Film, match: VideoMatch, chosen: Selection, around: int) -> None:
    """Enter the files of chosen frames, and of those that they may be: so many `around` the mapped one."""
    hr_count = len(film.times[match.hr].pts)
    for number, shot in zip(map(int, chosen.frames), map(int, chosen.shots), strict=True):
        at = int(match.timeline.hr_frames[number])
        near = sorted(range(max(0, at - around), min(hr_count, at + around + 1)), key=lambda one: abs(one - at))
        lr = film.enter(match.lr, number)
        film.partners[lr], film.shots[lr] = [film.enter(match.hr, one) for one in near], shot


def _store(frame: tuple[Path, Pixels]) -> Path:
    """Write a frame as PNG, whole or not at all; return its file. TwimagerError if it can't be written."""
    path, picture = frame
    ok, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert ok
    temporary = path.with_suffix(TEMPORARY)
    with writing(path):
        temporary.write_bytes(data.tobytes())
        os.replace(temporary, path)
    return path


def make_folder(folder: Path, options: Options) -> None:
    """Make a folder, in DEST without following links; TwimagerError if that can't be done."""
    with writing(folder), opened(folder, None if options.run.dry else options.run.unlinked_dest, make=True):
        pass


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise TwimagerError for what can't be written."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error
