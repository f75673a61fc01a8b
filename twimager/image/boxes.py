"""The boxes of ISO base media files (ISO/IEC 14496-12, 23008-12): AVIF, HEIF and the container of JPEG XL."""

from __future__ import annotations

import struct
from collections.abc import Iterator

FILE_TYPE = b"ftyp"
# Where the properties of a file's pictures are, and how many bytes of version and flags each of these boxes has first.
PROPERTIES = ((b"meta", 4), (b"iprp", 0), (b"ipco", 0))
# A colour profile, in the box of a picture's colours.
PROFILE = b"colrprof"


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each box, and where its contents begin and end; those that the file lacks a part of, too.

    Raises struct.error where a box ends in its head.
    """
    end = len(data) if end is None else min(end, len(data))
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        size = size or end - start
        if size < head:
            raise struct.error("a box is shorter than its head")
        yield kind, start + head, start + size
        start += size


def brands(data: bytes) -> tuple[bytes, ...]:
    """Return a file's major brand and those it is compatible with, as far as `data` has them."""
    if data[4:8] != FILE_TYPE:
        return ()
    end = min(struct.unpack_from(">I", data)[0], len(data))
    return (data[8:12], *(data[start : start + 4] for start in range(16, end - 3, 4)))


def is_whole(data: bytes) -> bool:
    """Tell whether every box is there in full."""
    return all(end <= len(data) for _, _, end in boxes(data))


def largest_size(data: bytes) -> tuple[int, int] | None:
    """Return the (width, height) of the largest picture, None if no size is found."""
    sizes = (struct.unpack_from(">II", data, start + 4) for kind, start in _properties(data) if kind == b"ispe")
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def bit_depth(data: bytes) -> int | None:
    """Return the largest depth of a picture's values, None if none is found."""
    depths: list[int] = []
    for kind, start in _properties(data):
        if kind == b"pixi":
            depths += data[start + 5 : start + 5 + data[start + 4]]
        elif kind == b"av1C":
            depths.append((12 if data[start + 2] & 0x20 else 10) if data[start + 2] & 0x40 else 8)
        elif kind == b"hvcC":
            depths.append(8 + (data[start + 17] & 7))
    return max(depths, default=None)


def profile(data: bytes) -> bytes | None:
    """Return the first colour profile that a picture has."""
    for kind, start in _properties(data):
        if kind == PROFILE[:4] and data[start : start + 4] == PROFILE[4:]:
            size = struct.unpack_from(">I", data, start - 8)[0]
            return data[start + 4 : start - 8 + size]
    return None


def _properties(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the type of each property, and where its contents begin."""
    start, end = 0, len(data)
    for name, head in PROPERTIES:
        found = next(((begin, stop) for kind, begin, stop in boxes(data, start, end) if kind == name), None)
        if found is None:
            return
        start, end = found[0] + head, found[1]
    for kind, begin, _ in boxes(data, start, end):
        yield kind, begin
