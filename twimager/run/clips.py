"""Pairs of frames of videos with the frames around them, whose files are made so many clips at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from twimager.options import Options
from twimager.pairing.read import Reader
from twimager.pairs import Clip, ClipFrame, VerifiedPair
from twimager.run.film import BATCH, Film
from twimager.video.clips import before


def with_clips(
    pairs: Iterable[VerifiedPair],
    film: Film,
    options: Options,
    reader: Reader,
    *,
    has_clip: Callable[[VerifiedPair], bool],
    settle: Callable[[], None],
) -> Iterator[VerifiedPair]:
    """Yield pairs with their clips, as many at a time as have BATCH frames, whose files are deleted once written.

    Parameters
    ----------
    has_clip : whether the clip of a pair is written already, so that its frames are not needed
    settle : has those written that were yielded
    """
    length = options.video.clips
    assert length
    numbered, found = _numbered(film), iter(pairs)
    while batch := list(islice(found, max(1, BATCH // length))):
        chosen = set(film.moments)
        clips = [pair._replace(clip=_clip(pair, film, length, numbered[pair.proposal.lr.path])) for pair in batch]
        entered = film.moments.keys() - chosen
        if not options.run.resume:
            film.discard(entered)
        frames = dict.fromkeys(path for pair in clips if not has_clip(pair) for path in _files(pair))
        reader.progress.expect(len(frames))
        with reader.progress.stage("extracting clips"):
            for _ in reader.progress.counted(film.extract(frames, reader.workers, reader.console.warn)):
                pass
        yield from clips
        settle()
        if not options.video.keep_frames:
            film.discard(entered)
        for path in entered:
            del film.moments[path]


def _numbered(film: Film) -> dict[Path, tuple[int, int, int]]:
    """Return for each chosen LR frame its number, from 0, that of its video and that of it among its own, from 1."""
    videos = {match.lr: number for number, match in enumerate(film.matched.matches, 1)}
    of_video = Counter[Path]()
    numbered = {}
    for number, path in enumerate(film.partners):
        video = film.moments[path].video
        of_video[video] += 1
        numbered[path] = number, videos[video], of_video[video]
    return numbered


def _clip(pair: VerifiedPair, film: Film, length: int, numbers: tuple[int, int, int]) -> Clip:
    """Return the clip around a pair, whose frames are entered: by the time map, of which none is missing."""
    lr, hr = (film.moments[image.path] for image in pair.proposal.images)
    first = lr.number - before(length)
    hr_numbers = map(int, film.hr_frames[lr.video][first : first + length])
    frames = (
        ClipFrame(film.enter(lr.video, number), film.enter(hr.video, other), number, other)
        for number, other in enumerate(hr_numbers, first)
    )
    return Clip(tuple(frames), *numbers)


def _files(pair: VerifiedPair) -> Iterator[Path]:
    for frame in pair.clip.frames if pair.clip else ():
        yield from (frame.lr, frame.hr)
