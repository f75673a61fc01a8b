"""Open video files with PyAV: what is in them, and their frames in order, past what is damaged.

PyAV is imported where it is used: it is an extra, and takes a tenth of a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twimager.errors import UnreadableVideo, UsageError
from twimager.geometry import Size
from twimager.image.folders import VIDEOS
from twimager.image.pixels import Pixels

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.stream import VideoStream

# FFmpeg's formats that are images or text: beside these, whatever ends with _pipe.
NO_VIDEOS = ("image2", "gif", "apng", "tty", "avif")
# As H.273 and FFmpeg number what is not said.
UNSPECIFIED = 2
# What a codec's tag is in an MP4 whose video is encrypted.
ENCRYPTED = "encv"
# Formats of one plane of luma or gray, or whose first plane is that, in this machine's order of bytes.
PLANAR = ("gray", "yuv4", "yuvj4", "yuva4", "nv", "p0", "p2", "p4")
# A video is truncated if it ends so many seconds, and this share of it, before the end that its header gives: sound
# may go on for longer than the picture.
MISSING_SECONDS, MISSING_SHARE = 2.0, 0.02
# So many packets that can't be decoded are the end of what can be.
MAX_FAILED = 1000
MICROSECONDS = 1_000_000
# Frames of unknown rate are counted as so many a second.
USUAL_RATE = Fraction(25)


class VideoFacts(NamedTuple):
    """What a video's header and its first frame say.

    Attributes
    ----------
    size : in storage pixels, of the first frame
    duration : in seconds; None if the header does not tell
    pixel_format : as FFmpeg names it
    matrix, transfer : as tagged, numbered as in ITU-T H.273; None if unspecified
    full_range : as tagged; None if unspecified
    """

    size: Size
    duration: float | None
    pixel_format: str
    matrix: int | None
    transfer: int | None
    full_range: bool | None


class TimedFrame(NamedTuple):
    """A frame of a video, and when it is shown.

    Attributes
    ----------
    frame : as decoded
    pts : the presentation timestamp that the file gives, in its time base; where there is none, the one that follows
        from the frames before it. It may be negative
    seconds : pts in seconds, made to rise: where one is not after the one before it, as where recordings were joined,
        time goes on by one frame, and all that follows is later by as much
    """

    frame: VideoFrame
    pts: int
    seconds: float


def require_av() -> None:
    """Raise UsageError unless videos can be read."""
    if find_spec("av") is None:
        raise UsageError('videos need PyAV: pip install "av>=15"')


def is_video(path: Path) -> bool:
    """Tell whether a file is to be read as a video: by its extension, and if that says nothing, by its header."""
    suffix = path.suffix.lower()
    mime, _ = guess_type(path.name)
    if suffix in VIDEOS or mime or find_spec("av") is None:
        return suffix in VIDEOS or (mime or "").startswith("video/")
    try:
        with opened(path) as (container, _):
            return not container.format.name.endswith("_pipe") and container.format.name not in NO_VIDEOS
    except UnreadableVideo:
        return False


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Yield an open video and its first video stream, to be decoded in two threads.

    Raises
    ------
    UnreadableVideo
        If the file is empty, damaged at its beginning, of no format that FFmpeg knows, or without a video that can be
        decoded.
    """
    import av

    require_readable(path)
    try:
        # Metadata that is no UTF-8 would else be an error.
        container = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableVideo(f"{path}: {_what_is_wrong(path, error)}") from error
    with container:
        streams = video_streams(container)
        if not streams:
            raise UnreadableVideo(f"{path}: holds no video stream")
        stream = streams[0]
        if stream.codec_context is None:
            raise UnreadableVideo(f"{path}: FFmpeg has no decoder for its video")
        if stream.codec_context.codec_tag == ENCRYPTED:
            raise UnreadableVideo(f"{path}: its video is encrypted")
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
        yield container, stream


def require_readable(path: Path) -> None:
    """Raise UnreadableVideo unless a file can be opened and holds something."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise UnreadableVideo(f"{path}: is empty")
    except OSError as error:
        raise UnreadableVideo(f"{path}: {error.strerror}") from error


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams that are no cover picture."""
    from av.stream import Disposition

    return [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]


def _what_is_wrong(path: Path, error: FFmpegError | OSError) -> str:
    """Return why a file can't be opened; an MP4 has its index at its end, and is nothing without."""
    with path.open("rb") as file:
        begins_as_mp4 = file.read(8)[4:] == b"ftyp"
    if begins_as_mp4:
        return "is truncated: its index is missing"
    from av.error import InvalidDataError

    return "is no video" if isinstance(error, InvalidDataError) else f"can't be opened: {error.strerror}"


def probe(path: Path) -> VideoFacts:
    """Return what a video's header and first frame say.

    Raises
    ------
    UnreadableVideo
        If it can't be opened, or none of its frames can be decoded.
    """
    with opened(path) as (container, stream):
        first = next(_decoded(container, stream, path, lambda _: None), None)
        if first is None:
            raise UnreadableVideo(f"{path}: none of its frames can be decoded; it is damaged or encrypted")
        context = stream.codec_context
        return VideoFacts(
            (first.width, first.height), _duration(container, stream), first.format.name, _tagged(context.colorspace),
            _tagged(context.color_trc), {1: False, 2: True}.get(context.color_range),
        )  # fmt: skip


def video_size(path: Path) -> Size:
    """Return the size of a video in storage pixels; raises UnreadableVideo as `probe` does."""
    return probe(path).size


def frames(path: Path, warn: Callable[[str], None]) -> Iterator[TimedFrame]:
    """Yield all frames of a video in the order in which they are shown, past what can't be decoded.

    What is damaged or missing, a size that changes, and further streams are said in a line each.

    Raises
    ------
    UnreadableVideo
        If it can't be opened, or none of its frames can be decoded.
    """
    with opened(path) as (container, stream):
        if (count := len(video_streams(container))) > 1:
            warn(f"{path}: the first of its {count} video streams is read")
        last = None
        for timed in _timed(_decoded(container, stream, path, warn), stream):
            if last and _size(timed) != _size(last):
                warn(f"{path}: {_size(last)} pixels until {clock(last.seconds)}, then {_size(timed)}")
            yield timed
            last = timed
        if last is None:
            raise UnreadableVideo(f"{path}: none of its frames can be decoded; it is damaged or encrypted")
        end = _duration(container, stream)
        reached = float(last.pts * _time_base(stream)) - float((stream.start_time or 0) * _time_base(stream))
        if end and end - reached > max(MISSING_SECONDS, MISSING_SHARE * end):
            warn(f"{path}: ends after {clock(reached)} of {clock(end)}; it is truncated")


def following(
    container: InputContainer, stream: VideoStream, path: Path, warn: Callable[[str], None]
) -> Iterator[TimedFrame]:
    """Yield the frames of an open video from where it has been sought to, and warn of all damage, not only the first.

    Their seconds count from there.
    """
    return _timed(_decoded(container, stream, path, warn, once=False), stream)


def ticks_per_frame(stream: VideoStream) -> int:
    """Return by how much the pts of a stream rises from a frame to the next, in the mean."""
    return max(1, round(1 / _rate(stream) / _time_base(stream)))


def _size(timed: TimedFrame) -> str:
    return f"{timed.frame.width}x{timed.frame.height}"


def _decoded(
    container: InputContainer, stream: VideoStream, path: Path, warn: Callable[[str], None], once: bool = True
) -> Iterator[VideoFrame]:
    """Yield what can be decoded; say once from where on something can't be, or is damaged."""
    from av.error import EOFError as EndOfFile
    from av.error import FFmpegError

    failed, seconds, said = 0, 0.0, False
    packets = container.demux(stream)
    while failed < MAX_FAILED:
        try:
            decoded, bad = next(packets).decode(), False
        except (StopIteration, EndOfFile):
            return
        except FFmpegError:
            decoded, bad, failed = [], True, failed + 1
        if (bad or any(frame.is_corrupt for frame in decoded)) and not (once and said):
            warn(f"{path}: damaged at {clock(seconds)}; what can be decoded is used")
            said = True
        for frame in decoded:
            seconds = seconds if frame.time is None else frame.time
            yield frame


def _timed(decoded: Iterator[VideoFrame], stream: VideoStream) -> Iterator[TimedFrame]:
    """Yield frames with times that rise."""
    period = 1 / _rate(stream)
    ticks = ticks_per_frame(stream)
    pts, seconds, later = -ticks, -math.inf, 0.0
    for frame in decoded:
        pts = pts + ticks if frame.pts is None else frame.pts
        now = float(pts * _time_base(stream)) + later
        if now <= seconds:
            later += seconds + float(period) - now
            now = seconds + float(period)
        seconds = now
        yield TimedFrame(frame, pts, seconds)


def _rate(stream: VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or USUAL_RATE


def _time_base(stream: VideoStream) -> Fraction:
    """Return the seconds that a pts counts, which every file gives."""
    assert stream.time_base
    return stream.time_base


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Return how long a video is in seconds, by its own header or else by the file's."""
    if stream.duration:
        return float(stream.duration * _time_base(stream))
    return container.duration / MICROSECONDS if container.duration else None


def _tagged(code: int) -> int | None:
    return None if code == UNSPECIFIED else int(code)


def clock(seconds: float, decimals: int = 0) -> str:
    """Return a time as h:mm:ss, with decimals if there are any.

    Examples
    --------
    >>> from twimager.video.container import clock
    >>> clock(3723.4567, 3), clock(-1)
    ('1:02:03.457', '-0:00:01')
    """
    ticks = round(abs(seconds) * 10**decimals)
    whole, part = divmod(ticks, 10**decimals)
    text = f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" + (f".{part:0{decimals}}" if decimals else "")
    return f"-{text}" if seconds < 0 and ticks else text


def luma(frame: VideoFrame) -> Pixels:
    """Return the luma of a frame as it is stored, (h, w) uint8 or uint16, without a copy where it is a plane."""
    form, plane = frame.format, frame.planes[0]
    bits = form.components[0].bits
    planar = form.name.startswith(PLANAR) and not form.is_big_endian and plane.line_size > 0
    if not planar:
        return np.asarray(frame.to_ndarray(format="gray"))
    samples = np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16)
    width = plane.line_size // samples.itemsize
    return samples[: frame.height * width].reshape(frame.height, width)[:, : frame.width]


def sample_bits(frame: VideoFrame) -> int:
    """Return how many bits the greatest value of `luma` has: formats such as p010 have theirs in the upper ones."""
    bits = int(frame.format.components[0].bits)
    return bits if bits == 8 or not frame.format.name.startswith("p") else 16
