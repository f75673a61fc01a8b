"""Camera raws as cameras lay them out: TIFF files whose first picture is a thumbnail."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

Tag = tuple[int, int, list[Any]]
BYTE, ASCII, SHORT, LONG, RATIONAL, SIGNED_RATIONAL = 1, 2, 3, 4, 5, 10
LAYOUTS = {BYTE: "B", ASCII: "s", SHORT: "H", LONG: "I", RATIONAL: "II", SIGNED_RATIONAL: "ii"}
DNG_VERSION: Tag = (50706, BYTE, [1, 4, 0, 0])
RGB, FILTER_ARRAY, LINEAR = 2, 32803, 34892
# XYZ to the camera's colours, which are those of sRGB's primaries.
TO_CAMERA = (32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572)
CAMERA: list[Tag] = [
    (50708, ASCII, [b"Camera\0"]), (50721, SIGNED_RATIONAL, [n for value in TO_CAMERA for n in (value, 10000)]),
    (50728, RATIONAL, [1, 1, 1, 1, 1, 1]), (50778, SHORT, [21]),
]  # fmt: skip


def tiff_of(first: tuple[Any, list[Tag]], second: tuple[Any, list[Tag]], sub: bool = True) -> bytes:
    """A TIFF file of two pictures, each with its own tags; the second one in a subdirectory, or following the first."""
    pictures = [(np.ascontiguousarray(pixels).tobytes(), pixels, tags) for pixels, tags in (first, second)]
    data_at = second_at = 0
    for _ in range(2):
        made, links = b"", ([(330, LONG, [second_at])] if sub else [], [])
        offset, begins = data_at, []
        for (packed, pixels, tags), link in zip(pictures, links, strict=True):
            begins.append(8 + len(made))
            following = second_at if not sub and len(begins) == 1 else 0
            made += _directory([*_plain(pixels, offset, len(packed)), *tags, *link], 8 + len(made), following)
            offset += len(packed)
        data_at, second_at = 8 + len(made), begins[1]
    return b"II*\0" + struct.pack("<I", 8) + made + b"".join(packed for packed, *_ in pictures)


def _plain(pixels: Any, offset: int, count: int) -> list[Tag]:
    height, width = pixels.shape[:2]
    samples = pixels[0, 0].size
    return [
        (256, LONG, [width]), (257, LONG, [height]), (258, SHORT, [8 * pixels.itemsize] * samples), (259, SHORT, [1]),
        (273, LONG, [offset]), (277, SHORT, [samples]), (278, LONG, [height]), (279, LONG, [count]), (284, SHORT, [1]),
    ]  # fmt: skip


def _directory(tags: list[Tag], at: int, following: int) -> bytes:
    entries, more = b"", b""
    for tag, kind, values in sorted(tags):
        layout = LAYOUTS[kind]
        count = len(values[0]) if kind == ASCII else len(values) // len(layout)
        body = values[0] if kind == ASCII else struct.pack(f"<{len(values)}{layout[0]}", *values)
        place = struct.pack("<I", at + 2 + 12 * len(tags) + 4 + len(more))
        entries += struct.pack("<HHI", tag, kind, count) + (body.ljust(4, b"\0") if len(body) <= 4 else place)
        more += b"" if len(body) <= 4 else body + bytes(len(body) % 2)
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + more


def thumbnail(bgr: Any) -> tuple[Any, list[Tag]]:
    return cv2.resize(bgr, (60, 40), interpolation=cv2.INTER_AREA)[..., ::-1], [(254, LONG, [1]), (262, SHORT, [RGB])]


def linear_samples(bgr: Any) -> Any:
    """The light of 8-bit sRGB, as uint16."""
    level = bgr / 255
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return np.rint(light * 65535).astype(np.uint16)


def bayer(bgr: Any, *tags: Tag) -> bytes:
    """A DNG of the linear samples behind a filter array, of a picture with even sides, 8-bit sRGB."""
    samples_of_all = linear_samples(bgr)
    samples = np.empty(bgr.shape[:2], np.uint16)
    for y, x, channel in ((0, 0, 2), (0, 1, 1), (1, 0, 1), (1, 1, 0)):
        samples[y::2, x::2] = samples_of_all[y::2, x::2, channel]
    array: list[Tag] = [
        (254, LONG, [0]),
        (262, SHORT, [FILTER_ARRAY]),
        (33421, SHORT, [2, 2]),
        (33422, BYTE, [0, 1, 1, 2]),
    ]
    first, own = thumbnail(bgr)
    return tiff_of((first, [*own, DNG_VERSION, *CAMERA, *tags]), (samples, array))


def linear(bgr: Any, *tags: Tag) -> bytes:
    """Such a file of the samples of all colours; a DNG if it has the tag of its version."""
    first, own = thumbnail(bgr)
    samples = linear_samples(bgr)[..., ::-1]
    return tiff_of((first, [*own, *tags]), (samples, [(254, LONG, [0]), (262, SHORT, [LINEAR])]))
