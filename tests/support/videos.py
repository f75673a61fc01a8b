"""Small videos."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.pictures import picture


def moving(count: int, size: tuple[int, int] = (160, 90)) -> list[NDArray[np.uint8]]:
    """Return frames, (h, w, 3) BGR, of a view that moves to the right over a photograph by two pixels a frame."""
    photo = picture("P1040102")
    photo = cv2.resize(photo, (size[0] + 2 * count, size[1]), interpolation=cv2.INTER_AREA)
    return [np.ascontiguousarray(photo[:, 2 * k : 2 * k + size[0]]) for k in range(count)]


def write_video(
    path: Path,
    frames: Iterable[NDArray[Any]],
    codec: str = "libx264",
    form: str = "yuv420p",
    streams: int = 1,
    **options: str,
) -> Path:
    """Write frames, (h, w, 3) BGR, at 25 a second; of several streams those after the first are black."""
    shown = list(frames)
    with av.open(str(path), "w") as container:
        made = [container.add_stream(codec, Fraction(25), options=options) for _ in range(streams)]
        for stream in made:
            stream.height, stream.width = shown[0].shape[:2]
            stream.pix_fmt = form
        for number, stream in enumerate(made):
            for pts, pixels in enumerate(shown):
                frame = av.VideoFrame.from_ndarray(pixels if number == 0 else np.zeros_like(pixels), "bgr24")
                frame = frame.reformat(format=form)
                frame.pts, frame.time_base = pts, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def turned_copy(plain: Path, path: Path, turn: int) -> Path:
    """Copy an MP4, but to be shown turned by so many degrees, counterclockwise."""
    with av.open(str(plain)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    # The matrix of the track, 16.16 fixed point, which PyAV can't write.
    cosine, sine = round(np.cos(np.radians(turn))), round(np.sin(np.radians(turn)))
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 0x4000]]) * 65536
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    content[place : place + 36] = matrix.astype(">i4").tobytes()
    path.write_bytes(content)
    return path


def write_sound(path: Path) -> Path:
    """Write a file that holds sound only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", 8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
