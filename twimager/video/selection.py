"""Which frames of a video are worth a pair: sharp ones that differ, of every shot, that another video has, too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from twimager.options import VideoSettings
from twimager.video.clips import before, is_repeated, is_skipped
from twimager.video.shots import coarse_pixels, shot_starts
from twimager.video.signatures import Signatures
from twimager.video.timeline import Timeline

# (n,), whether it is so of each frame
Mask = NDArray[np.bool_]

# A frame is black if its mean luma is below this: black has 16 in limited range. Night scenes have 22 and more.
BLACK = 20.0
# A frame is combed if as much of it is. Of progressive films at most 0.02 is.
COMBED = 0.05
# Frames within so many of a cut are left out: they may be blended with what is on its other side, or compressed badly.
NEAR_CUT = 2
# A fade changes the contrast by so much from 12 frames before to 12 after, the frame's own (squared) being between
# theirs. A frame is dissolved if it is a mixture of those, which differ, but for so much of what they differ by.
FADE_REACH, FADE_RATIO, NEARLY = 12, 1.3, 1.1
ALIKE, MIXED, LEAST_WEIGHT = 0.9, 0.02, 0.15
# Frames of a shot are alike unless their thumbnails differ by so many levels in the mean.
DIFFERENT = 6.0


@dataclass(frozen=True)
class Selection:
    """The chosen frames, (k,) numbers in rising order, how many were left out, by reason, and the shot of each."""

    frames: NDArray[np.int64]
    left_out: dict[str, int]
    shots: NDArray[np.int64]


def select_frames(
    lr: Signatures, hr: Signatures, timeline: Timeline, settings: VideoSettings, bobbed: tuple[bool, bool]
) -> Selection:
    """Choose LR frames: of every shot, or every so many seconds, the sharpest that differ.

    Parameters
    ----------
    bobbed : of the LR and the HR video, whether combed frames are deinterlaced, and so as good as others
    """
    mapped = timeline.hr_frames >= 0
    there = np.where(mapped, timeline.hr_frames, 0)
    flaws = {
        "that the other does not have": ~mapped,
        "outside of --from and --to": ~within(lr, settings),
        "damaged": lr.damaged | hr.damaged[there],
        "black": (lr.brightness < BLACK) | (hr.brightness < BLACK)[there],
        "combed": ~np.array(bobbed[0]) & (lr.combing > COMBED) | ~np.array(bobbed[1]) & (hr.combing > COMBED)[there],
        "at a cut": _at_cuts(lr) | _at_cuts(hr)[there],
        "faded or dissolved": _faded(lr),
    }
    if settings.clips:
        flaws |= _flaws_of_clips(flaws, (lr, hr), timeline, settings.clips)
    left_out, usable = Counter[str](), np.ones(len(lr), bool)
    for flaw, has in flaws.items():
        left_out[flaw] = int((usable & has).sum())
        usable &= ~has
    sharpness = lr.sharpness * hr.sharpness[there]
    ranked = [
        taken
        for group in _groups(lr, hr, timeline, settings)
        if (taken := _differing(lr, group[usable[group]], sharpness, settings))
    ]
    chosen = _spread(ranked, settings.frames)
    left_out["not needed"] = int(usable.sum()) - len(chosen)
    shots = np.searchsorted(shot_starts(lr), chosen, side="right")
    return Selection(chosen, {flaw: count for flaw, count in left_out.items() if count}, shots)


def within(video: Signatures, settings: VideoSettings) -> Mask:
    """Return which frames are of the part that is wanted."""
    seconds = video.seconds - video.seconds[0]
    return np.asarray((seconds >= settings.start) & (seconds <= (np.inf if settings.end is None else settings.end)))


def _groups(lr: Signatures, hr: Signatures, timeline: Timeline, settings: VideoSettings) -> list[NDArray[np.int64]]:
    """Return the LR frames of each shot that either video shows to be one, or of each `every` seconds."""
    numbers = np.arange(len(lr))
    if settings.every is not None:
        slots = np.floor((lr.seconds - lr.seconds[0]) / settings.every)
        return np.split(numbers, np.flatnonzero(np.diff(slots)) + 1)
    mapped = np.flatnonzero(timeline.hr_frames >= 0)
    hr_shots = np.searchsorted(shot_starts(hr), timeline.hr_frames[mapped], side="right")
    hr_cuts = mapped[1:][np.diff(hr_shots) != 0]
    return np.split(numbers, np.union1d(shot_starts(lr)[1:], hr_cuts))


def _flaws_of_clips(
    flaws: dict[str, Mask], videos: tuple[Signatures, Signatures], timeline: Timeline, clips: int
) -> dict[str, Mask]:
    """Return which frames can't have a clip around them, (n,), by what is wrong with it."""
    of_clips = {flaw: _in_clip(has, clips) for flaw, has in flaws.items()}
    of_clips["doubled"] = _in_clip(is_repeated(*videos, timeline), clips, within=1)
    of_clips["missing"] = _in_clip(is_skipped(*videos, timeline), clips, within=1, beyond=True)
    return {f"{flaw} (in their clip)": has for flaw, has in of_clips.items()}


def _in_clip(has: Mask, clips: int, within: int = 0, beyond: bool = False) -> Mask:
    """Return in the clip of which frame, (n,), a frame has something, from number `within` of the clip on.

    `beyond` is whether what lies beyond the ends of the video has it.
    """
    first = before(clips)
    padded = np.pad(has, (first, clips - 1 - first), constant_values=beyond)
    return np.asarray(sliding_window_view(padded, clips)[:, within:].any(axis=1))


def _differing(
    video: Signatures, frames: NDArray[np.int64], sharpness: NDArray[np.float32], settings: VideoSettings
) -> list[int]:
    """Return the sharpest of some frames, as many as there may be, each unlike those before it, and no clip twice."""
    taken: list[int] = []
    most, apart = 1 if settings.every else settings.per_shot, settings.clips or 1
    thumbnails = video.thumbnails[frames].astype(np.int16)
    order = np.argsort(-sharpness[frames], kind="stable")
    while len(order) and len(taken) < most:
        taken.append(int(frames[order[0]]))
        away = np.abs(thumbnails[order] - thumbnails[order[0]]).mean(axis=(1, 2))
        order = order[(away >= DIFFERENT) & (np.abs(frames[order] - frames[order[0]]) >= apart)]
    return taken


def _spread(ranked: list[list[int]], most: int) -> NDArray[np.int64]:
    """Return so many frames at most: the best of each group first, then the second best, evenly spread."""
    chosen: list[int] = []
    for rank in range(max(map(len, ranked), default=0)):
        frames = sorted(group[rank] for group in ranked if rank < len(group))
        count = min(len(frames), most - len(chosen))
        chosen += [frames[int(k)] for k in np.linspace(0, len(frames) - 1, count).round()]
    return np.array(sorted(chosen), np.int64)


def _at_cuts(video: Signatures) -> Mask:
    """Return which frames are next to a cut."""
    near = np.zeros(len(video), bool)
    for cut in shot_starts(video)[1:]:
        near[max(0, cut - NEAR_CUT) : cut + NEAR_CUT] = True
    return near


def _faded(video: Signatures) -> Mask:
    """Return which frames are part of a fade or a dissolve."""
    pixels = coarse_pixels(video.thumbnails)
    padded = np.pad(pixels, ((FADE_REACH, FADE_REACH), (0, 0)), mode="edge")
    first, last = padded[: -2 * FADE_REACH], padded[2 * FADE_REACH :]
    aa, ab, am, bb, bm, mm = (
        np.einsum("np,np->n", one, other).astype(np.float64)
        for one, other in combinations_with_replacement((first, last, pixels), 2)
    )
    low, high = np.minimum(aa, bb), np.maximum(aa, bb)
    # The square of a contrast: black has none, and is alike to whatever comes out of it.
    alike = (ab > ALIKE * np.sqrt(aa * bb)) | (low < pixels.shape[1])
    between = (mm > low * NEARLY) & (mm < high / NEARLY)
    fades = alike & between & (high > FADE_RATIO**2 * low)
    determinant = np.maximum(aa * bb - ab**2, 1e-3)
    of_first, of_last = (am * bb - bm * ab) / determinant, (bm * aa - am * ab) / determinant
    unexplained = mm - of_first * am - of_last * bm
    mixed = unexplained < MIXED * (aa + bb - 2 * ab)
    dissolves = ~alike & mixed & (np.minimum(of_first, of_last) > LEAST_WEIGHT)
    return np.asarray(fades | dissolves)
