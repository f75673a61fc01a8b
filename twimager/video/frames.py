"""Wanted frames of a video, decoded exactly: by seeking to the keyframe before them, where that saves decoding."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twimager.image.pixels import Pixels
from twimager.options import Deinterlace, Hdr
from twimager.runtime.console import counted
from twimager.video.color import to_bgr
from twimager.video.container import TimedFrame, clock, following, opened, ticks_per_frame
from twimager.video.fields import NEIGHBOURS, Interlacing, deinterlaced, filters

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Frames that are so near to the last one are decoded on to without looking for a keyframe: there is seldom one.
NEAR = 12
# A packet that can't be decoded is said so many frames before its own at most: frames are put into another order, by 16
# at most in H.264, and wait for threads.
MAX_EARLY = 20
# B-frames that are held back until the frame after them, which they may refer to, is known to be whole: as many as
# encoders put in a row by default, or a few more.
MAX_HELD = 7


@dataclass(frozen=True)
class FrameSettings:
    """How the frames of a video are made pixels.

    Attributes
    ----------
    deinterlace : how fields are made frames
    hdr : whether HDR is tone-mapped
    """

    deinterlace: Deinterlace = Deinterlace.AUTO
    hdr: Hdr = Hdr.SDR


class _Run(NamedTuple):
    """Wanted frames between which is no seek: the pts to seek to, None for the beginning of the file; their pts."""

    start: int | None
    pts: list[int]


class _Start(NamedTuple):
    """A pts to seek to, and that of the keyframe which a seek leads to."""

    target: int
    keyframe: int


class _Window(NamedTuple):
    """A frame with its neighbours: all of them in a row, and the index of the one."""

    frames: list[TimedFrame]
    at: int


def read_frames(
    path: Path,
    pts: Sequence[int],
    settings: FrameSettings,
    warn: Callable[[str], None],
    interlacing: Interlacing = Interlacing.PROGRESSIVE,
    *,
    joined: bool = False,
) -> Iterator[tuple[int, Pixels]]:
    """Yield wanted frames of a video in storage pixels, rotated as it says.

    Parameters
    ----------
    path : of the video
    pts : of the wanted frames, as `container.frames` gives them; if `joined` their numbers
    settings : how they are made pixels
    warn : takes a line on those that can't be had: they are damaged, or come after such, up to the next keyframe
    interlacing : of the video, by which `Deinterlace.AUTO` goes
    joined : whether timestamps do not tell frames apart: they are counted from the beginning

    Yields
    ------
    A pts, or number, and (h, w, 3) BGR in full range: uint8, or uint16 if the video has more than 8 bits. The pts rise,
    but for frames that no seek leads to: these come last

    Raises
    ------
    UnreadableVideo
        If it can't be opened.
    """
    steps = filters(settings.deinterlace, interlacing)
    missing = set(pts)
    with opened(path) as (container, stream):
        second, around = float(stream.time_base or 0), NEIGHBOURS if steps else 0
        if joined:
            second *= ticks_per_frame(stream)
            intact = _intact(path, container, stream, set(), begun=True, joined=True)
            windows = _found(intact, pts, set(pts), around)
        else:
            windows = _wanted_windows(path, container, stream, missing, around)
        for window in windows:
            one = window.frames[window.at]
            missing.discard(one.pts)
            frame = deinterlaced([near.frame for near in window.frames], window.at, steps) if steps else one.frame
            pixels = to_bgr(frame, stream.codec_context, settings.hdr)
            turns = int(getattr(one.frame, "rotation", 0)) // 90
            yield one.pts, np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
    if missing:
        first = clock(min(missing) * second)
        damaged = counted(len(missing), "wanted frame is damaged", "wanted frames are damaged")
        warn(f"{path}: {damaged}, the first at {first}, and left out")


def _wanted_windows(
    path: Path, container: InputContainer, stream: VideoStream, wanted: Collection[int], neighbours: int
) -> Iterator[_Window]:
    """Yield wanted frames, decoded from keyframes before them; then from the beginning what could not be had so."""
    left, lost = set(wanted), set[int]()
    for run in _runs(path, sorted(wanted), neighbours):
        if run.start is None:
            yield from _found(_intact(path, container, stream, lost, begun=True), run.pts, left, neighbours)
            continue
        container.seek(run.start, stream=stream)
        end = run.pts[-1] + (neighbours + NEAR) * ticks_per_frame(stream)
        decoded = takewhile(partial(_until, end), _intact(path, container, stream, lost, begun=False))
        yield from _found(decoded, run.pts, left, neighbours)
    if left - lost:
        with opened(path) as (anew, first):
            yield from _found(_intact(path, anew, first, lost, begun=True), left - lost, left, neighbours)


def _until(end: int, timed: TimedFrame) -> bool:
    return timed.pts <= end


def _runs(path: Path, wanted: list[int], neighbours: int) -> Iterator[_Run]:
    """Yield the wanted frames, each run with a keyframe that is behind the last frame of the one before."""
    with opened(path) as (container, stream):
        ticks, run = ticks_per_frame(stream), _Run(None, [])
        for pts in wanted:
            if not run.pts or pts - run.pts[-1] > NEAR * ticks:
                start = _seekable(container, stream, pts - neighbours * ticks)
                if start and (not run.pts or start.keyframe > run.pts[-1] + neighbours * ticks):
                    if run.pts:
                        yield run
                    run = _Run(start.target, [])
            run.pts.append(pts)
        if run.pts:
            yield run


def _seekable(container: InputContainer, stream: VideoStream, pts: int) -> _Start | None:
    """Return where to seek to so that the first keyframe is shown at a pts or before; None if there is no such."""
    from av.error import FFmpegError

    target, step = pts, NEAR * ticks_per_frame(stream)
    try:
        while True:
            container.seek(target, stream=stream)
            keyframe = next((one.pts for one in container.demux(stream) if one.is_keyframe or one.pts is None), None)
            if keyframe is not None and keyframe <= pts:
                return _Start(target, keyframe)
            if target < (stream.start_time or 0):
                return None
            target, step = target - step, 2 * step
    except FFmpegError:
        return None


def _intact(
    path: Path, container: InputContainer, stream: VideoStream, lost: set[int], *, begun: bool, joined: bool = False
) -> Iterator[TimedFrame]:
    """Yield the frames that are whole from the first keyframe on, or from the first if decoding has `begun` there.

    Those that are not, whose pts `lost` takes, are the damaged ones, what follows up to the next keyframe, and the
    B-frames before, which may refer to them. Of a joined video, numbers take the place of pts.
    """
    from av.video.frame import PictureType

    damage, early = list[str](), 0
    intact, held = begun, list[TimedFrame]()
    for number, decoded in enumerate(following(container, stream, path, damage.append)):
        timed = decoded._replace(pts=number) if joined else decoded
        frame = timed.frame
        if damage and not frame.is_corrupt:
            intact, early = False, MAX_EARLY
        damage.clear()
        if frame.key_frame and frame.pts is not None and not early:
            intact = begun = True
        intact, early = intact and not frame.is_corrupt, max(0, early - 1)
        if intact and frame.pict_type == PictureType.B and len(held) < MAX_HELD:
            held.append(timed)
            continue
        if intact:
            yield from [*held, timed]
        elif begun:
            lost.update(one.pts for one in [*held, timed])
        held.clear()
    yield from held


def _found(
    decoded: Iterator[TimedFrame], wanted: Collection[int], left: set[int], neighbours: int
) -> Iterator[_Window]:
    """Yield those of the decoded frames that are wanted, until all are found, and take them from what is `left`."""
    here = left.intersection(wanted)
    for window in _windows(decoded, neighbours):
        pts = window.frames[window.at].pts
        if pts in here:
            here.remove(pts)
            left.remove(pts)
            yield window
        if not here:
            return


def _windows(decoded: Iterator[TimedFrame], neighbours: int) -> Iterator[_Window]:
    """Yield every frame with so many before and after it, or as many as there are."""
    near = deque[TimedFrame | None](maxlen=2 * neighbours + 1)
    for timed in chain(decoded, repeat(None, neighbours)):
        near.append(timed)
        at = len(near) - 1 - neighbours
        if at >= 0 and near[at] is not None:
            yield _Window([one for one in near if one is not None], at)
