"""Which frames of a video stills may be: found on thumbnails, in the framing that stills of one size share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.decoded_image import decode_image
from twimager.fingerprint.fingerprint import Recipe
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.geometry import Size
from twimager.image.decode import read_image
from twimager.image.pixels import Gray, shrink, to_8_bit, to_gray
from twimager.video.descriptors import CHUNK, Area, Describer, Descriptors, coarse, framing_of, picture_of_all
from twimager.video.registration import AGREED, CROPS, Pairs, refine_framing
from twimager.video.signatures import Signatures

# (n,), numbers of frames
Frames = NDArray[np.int64]

# The side at which stills are kept, and compared with a few frames: with half of it, 1 of 320 pairs was off by a frame.
# The framing is refined by them at half of that before, twice: more pixels take eight times as long.
KEPT_SIDE = 4 * THUMBNAIL_SIDE
REFINED_SIDES = (2 * THUMBNAIL_SIDE,) * 2
WHOLE = Area(0.0, 0.0, 1.0, 1.0)
# Frames a second among which stills are searched for, more where frames change by more levels in all, as shots may be
# short; and how many there are at most while the framing is not known.
RATE, CHANGE, SEARCHED = 4.0, 6.0, 15_000
# Of every second the frame that is most like a still is a peak; so many are looked at, in all frames so near to them.
PEAKS, NEAR = 6, 0.3
# Peaks by which framings are refined, and how much they correlate at least: of 640 stills in 8 films, framed alike, the
# right ones have 0.64 or more.
REFINED_BY, GOOD = 128, 0.55
# How often framing and frames are found by each other.
ROUNDS = 3
# Another framing than that of its size is a still's own if it correlates by so much more.
CLEARLY = 0.1
# Peaks of less are no proposals: of 200 stills that a film lacks none had as much.
MIN_SCORE = 0.35


class Still(NamedTuple):
    """A still as far as it is needed to find it.

    Attributes
    ----------
    size : (width, height) of the file
    picture : the part that is not bars
    gray : this part, as KEPT_SIDE x KEPT_SIDE pixels
    """

    path: Path
    size: Size
    picture: Area
    gray: Gray


class Peak(NamedTuple):
    """A frame that a still may be, and how they correlate."""

    score: float
    frame: int


class Sighting(NamedTuple):
    """Where a still was found.

    Attributes
    ----------
    peaks : the frames that it may be, the most likely first
    picture : (KEPT_SIDE, KEPT_SIDE), the still without the bars that all of its size have
    describer : that of its framing, of stills that share one the same
    """

    peaks: list[Peak]
    picture: NDArray[np.uint8]
    describer: Describer

    @property
    def best(self) -> float:
        """How the most likely frame correlates, 0 if there is none."""
        return _best(self.peaks)


class _Found(NamedTuple):
    """Peaks of stills, the highest first, (n, PEAKS) each: how they correlate, and which frames they are."""

    scores: NDArray[np.float32]
    frames: Frames


def read_frame(path: Path) -> Gray:
    """Return an extracted frame, (KEPT_SIDE, KEPT_SIDE), bars included; raises UnreadableImage."""
    return shrink(to_8_bit(to_gray(read_image(path))), (KEPT_SIDE, KEPT_SIDE))


def read_still(path: Path, recipe: Recipe) -> Still:
    """Return what is needed to find a still; raises UnreadableImage."""
    image = decode_image(path, recipe)
    (width, height), (left, top, right, bottom) = image.size, image.bars
    whole = width + left + right, height + top + bottom
    edges = left / whole[0], top / whole[1], (left + width) / whole[0], (top + height) / whole[1]
    return Still(path, whole, Area(*edges), shrink(image.gray, (KEPT_SIDE, KEPT_SIDE)))


def find_stills(stills: Sequence[Still], video: Signatures, within: NDArray[np.bool_]) -> list[Sighting]:
    """Return the frames of a video that each still may be; none where nothing is like it.

    Stills of one size are taken to be framed alike, as they are where they are of one release; those that are found
    better by themselves are not.

    Parameters
    ----------
    within : (n,), the frames that are searched
    """
    finder = _Finder(stills, video, np.flatnonzero(within))
    found: dict[int, Sighting] = {}
    for group in finder.groups:
        for still, shared in zip(map(int, group), finder.found(group), strict=True):
            found[still] = shared
            if len(group) > 1 and shared.best < AGREED:
                (alone,) = finder.found(np.array([still]))
                found[still] = alone if alone.best > shared.best + CLEARLY else shared
    return [found[number] for number in range(len(stills))]


def _best(peaks: list[Peak]) -> float:
    return peaks[0].score if peaks else 0.0


class _Finder:
    """Finds stills in a video."""

    def __init__(self, stills: Sequence[Still], video: Signatures, frames: Frames) -> None:
        of_sizes = defaultdict[Size, list[int]](list)
        for number, still in enumerate(stills):
            of_sizes[still.size].append(number)
        self.groups = [np.array(group) for group in of_sizes.values()]
        self._pictures = np.empty((len(stills), KEPT_SIDE, KEPT_SIDE), np.uint8)
        for group in self.groups:
            self._pictures[group] = _without_bars([stills[number] for number in group])
        self._thumbnails = np.stack([shrink(one, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)) for one in self._pictures])
        self._video, self._frames = video, frames
        steps = np.maximum(np.diff(video.seconds, prepend=video.seconds[0]) * RATE, video.difference / CHANGE)[frames]
        self._sample = frames[np.flatnonzero(np.diff(np.floor(np.cumsum(steps) + 1e-6), prepend=-1) > 0)]
        area = picture_of_all(video.thumbnails)
        self._describers = [Describer(WHOLE, area, framing_of(WHOLE, area, keep)) for keep in product(CROPS, CROPS)]
        self._by_framing = self._searched()

    def _searched(self) -> list[_Found]:
        """Return the peaks in every framing: in others than the first, of stills of sizes that this does not fit."""
        sample = self._sample[:: len(self._sample) // SEARCHED + 1]
        plain = _searched(self._thumbnails, self._describers[0], self._video, sample)
        unlike = [group for group in self.groups if np.median(plain.scores[group, 0]) < AGREED]
        found = [plain]
        for describer in self._describers[1:] if unlike else ():
            scores, frames = np.full_like(plain.scores, -1), np.zeros_like(plain.frames)
            left = np.concatenate(unlike)
            scores[left], frames[left] = _searched(self._thumbnails[left], describer, self._video, sample)
            found.append(_Found(scores, frames))
        return found

    def found(self, group: Frames) -> list[Sighting]:
        """Return where stills are that share a framing, which is found."""
        best = np.sort([one.scores[group, 0] for one in self._by_framing], axis=1)
        framing = int(best[:, len(group) // 4 :].mean(axis=1).argmax())
        near = list(self._by_framing[framing].frames[group])
        describer, peaks = self._refined(group, self._describers[framing], near)
        lost = [at for at, of_still in enumerate(peaks) if _best(of_still) < AGREED]
        if 0 < len(lost) < len(group):
            again = _searched(self._thumbnails[group[lost]], describer, self._video, self._sample)
            for at, frames in zip(lost, again.frames, strict=True):
                peaks[at] = self._peaks(describer, int(group[at]), frames)
        return [Sighting(of_still, self._pictures[still], describer)
                for still, of_still in zip(group, peaks, strict=True)]  # fmt: skip

    def _refined(self, group: Frames, describer: Describer, near: list[Frames]) -> tuple[Describer, list[list[Peak]]]:
        """Return what describes in the framing that fits the peaks of stills, and these, found near to some frames."""
        video, thumbnails = self._video, self._thumbnails[group]
        for _ in range(ROUNDS):
            peaks = [self._peaks(describer, int(still), of_still) for still, of_still in zip(group, near, strict=True)]
            good = sorted((at for at in range(len(group)) if _best(peaks[at]) > GOOD), key=lambda at: -_best(peaks[at]))
            if not good:
                break
            chosen = good[:REFINED_BY]
            at = np.array([peaks[number][0].frame for number in chosen])
            moments = at, np.maximum(at - 1, 0), np.minimum(at + 1, len(video) - 1)
            pairs = Pairs(thumbnails[chosen], *(video.thumbnails[one] for one in moments))
            describer = refine_framing(describer, pairs)
        return describer, [
            self._peaks(describer, int(still), of_still) for still, of_still in zip(group, near, strict=True)
        ]

    def _peaks(self, describer: Describer, still: int, near: Frames) -> list[Peak]:
        """Return the frames that are most like a still, each among all near to one of some frames."""
        video, frames = self._video, self._frames
        (described,) = describer.lr(self._thumbnails[[still]])
        found: list[Peak] = []
        for frame in dict.fromkeys(map(int, near)):
            first, last = np.searchsorted(video.seconds[frames], video.seconds[frame] + np.array([-NEAR, NEAR]))
            around = frames[first:last]
            scores = describer.hr(video.thumbnails[around]) @ described
            found.append(Peak(float(scores.max()), int(around[scores.argmax()])))
        return sorted({peak for peak in found if peak.score >= MIN_SCORE}, reverse=True)


def most_alike(
    pictures: Sequence[NDArray[np.uint8]], frames: Sequence[NDArray[np.uint8]], describer: Describer
) -> list[int]:
    """Return which of some frames is most like each still of one framing, which is refined by them.

    Parameters
    ----------
    pictures : of a Sighting each
    frames : (k, KEPT_SIDE, KEPT_SIDE) each, in the order in which they are shown
    describer : that of their sightings
    """
    areas, framing = (describer.lr_area, describer.hr_area), describer.framing
    for side in REFINED_SIDES:
        fine = Describer(*areas, framing, side)
        small, around = _shrunk(np.stack(pictures), side), [_shrunk(near, side) for near in frames]
        best = zip(around, _most_alike(list(small), around, fine), strict=True)
        moments = [(near[at], near[max(at - 1, 0)], near[min(at + 1, len(near) - 1)]) for near, at in best]
        framing = refine_framing(fine, Pairs(small, *map(np.stack, zip(*moments, strict=True)))).framing
    return _most_alike(pictures, frames, Describer(*areas, framing, KEPT_SIDE))


def _most_alike(
    pictures: Sequence[NDArray[np.uint8]], frames: Sequence[NDArray[np.uint8]], describer: Describer
) -> list[int]:
    """Return which of some frames is most like each still as the describer has it."""
    stills = zip(pictures, frames, strict=True)
    return [int((describer.hr(near) @ describer.lr(picture[None])[0]).argmax()) for picture, near in stills]


def _shrunk(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.stack([shrink(picture, (side, side)) for picture in pictures])


def _searched(thumbnails: NDArray[np.uint8], describer: Describer, video: Signatures, sample: Frames) -> _Found:
    """Return the peaks of stills among some frames."""
    described = coarse(describer.lr(thumbnails))
    found = _Found(np.full((len(described), PEAKS), -1, np.float32), np.zeros((len(described), PEAKS), np.int64))
    for start in range(0, len(sample), CHUNK):
        part = sample[start : start + CHUNK]
        found = _merged(found, _highest(described @ coarse(describer.hr(video.thumbnails[part])).T, part))
    return found


def _highest(scores: Descriptors, frames: Frames) -> _Found:
    """Return the highest of each second."""
    length = int(RATE)
    starts = np.arange(0, len(frames), length)
    blocks = np.pad(scores, ((0, 0), (0, -len(frames) % length)), constant_values=-1).reshape(len(scores), -1, length)
    return _Found(blocks.max(axis=2), frames[starts + blocks.argmax(axis=2)])


def _merged(first: _Found, second: _Found) -> _Found:
    """Return the highest of two sets of peaks."""
    scores = np.concatenate([first.scores, second.scores], axis=1)
    frames = np.concatenate([first.frames, second.frames], axis=1)
    order = np.argsort(-scores, axis=1)[:, :PEAKS]
    return _Found(np.take_along_axis(scores, order, axis=1), np.take_along_axis(frames, order, axis=1))


def _without_bars(group: Sequence[Still]) -> NDArray[np.uint8]:
    """Return stills of one size, (n, KEPT_SIDE, KEPT_SIDE), without the bars that all of them have."""
    edges = np.array([still.picture for still in group])
    left, top = edges[:, :2].min(axis=0)
    right, bottom = edges[:, 2:].max(axis=0)
    made = []
    for still in group:
        gray = still.gray
        if still.picture != (left, top, right, bottom):
            along = ((left, right, still.picture.left, still.picture.right),
                     (top, bottom, still.picture.top, still.picture.bottom))  # fmt: skip
            gray = _in_frame(gray, along)
        made.append(gray)
    return np.stack(made)


def _in_frame(gray: Gray, along: Sequence[tuple[float, float, float, float]]) -> Gray:
    """Return a picture in a frame of the same pixels, black around it; of each axis, both of each one's edges."""
    axes = []
    for frame_from, frame_to, picture_from, picture_to in along:
        scale = (picture_to - picture_from) / (frame_to - frame_from)
        shift = (picture_from - frame_from) / (frame_to - frame_from) * KEPT_SIDE
        axes.append((scale, shift + scale / 2 - 0.5))
    (x_scale, x_shift), (y_scale, y_shift) = axes
    matrix = np.array([[x_scale, 0, x_shift], [0, y_scale, y_shift]])
    return np.asarray(cv2.warpAffine(gray, matrix, (KEPT_SIDE, KEPT_SIDE)), np.uint8)
