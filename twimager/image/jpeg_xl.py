"""The header of a JPEG XL file (ISO/IEC 18181-1, annexes D and E)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from twimager.image.boxes import boxes

CODESTREAM, CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
# Bytes that hold what is read of a header.
HEADER_BYTES = 64
# By number, from 1 on, how many times its height a picture's width is.
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
# A number is one of four: a constant, and how many bits are added to it.
SIDES = ((1, 9), (1, 13), (1, 18), (1, 30))
DEPTHS, FLOAT_DEPTHS = ((8, 0), (10, 0), (12, 0), (1, 6)), ((32, 0), (16, 0), (24, 0), (1, 6))
ANIMATION = (
    ((100, 0), (1000, 0), (1, 10), (1, 30)), ((1, 0), (1001, 0), (1, 8), (1, 10)), ((0, 0), (0, 3), (0, 16), (0, 32)),
)  # fmt: skip


class JpegXlHeader(NamedTuple):
    """What the header tells.

    Attributes
    ----------
    size : (width, height) as stored
    depth : bits of a value; None of a file with a preview, where it is not looked for
    floating : whether values are floating-point numbers
    animated : it holds more than one picture
    """

    size: tuple[int, int]
    depth: int | None = 8
    floating: bool = False
    animated: bool = False


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        """Return the next bits, the least significant first."""
        if count > self._left:
            raise struct.error("cut short")
        value = self._number & (1 << count) - 1
        self._number, self._left = self._number >> count, self._left - count
        return value

    def choose(self, options: tuple[tuple[int, int], ...]) -> int:
        """Return one of four numbers."""
        constant, count = options[self.take(2)]
        return constant + self.take(count)


def header(data: bytes) -> JpegXlHeader:
    """Parse the header of a codestream, bare or in its container; raises struct.error where it is cut short."""
    bits = _Bits(_codestream(data)[len(CODESTREAM) :])
    size = _size(bits)
    if bits.take(1):
        return JpegXlHeader(size)
    animated = False
    if bits.take(1):
        bits.take(3)
        if bits.take(1):
            _size(bits)
        if bits.take(1):
            return JpegXlHeader(size, None)
        animated = bool(bits.take(1))
        if animated:
            for options in ANIMATION:
                bits.choose(options)
            bits.take(1)
    floating = bool(bits.take(1))
    return JpegXlHeader(size, bits.choose(FLOAT_DEPTHS if floating else DEPTHS), floating, animated)


def _codestream(data: bytes) -> bytes:
    """Return where the codestream begins."""
    if data.startswith(CODESTREAM):
        return data[:HEADER_BYTES]
    for kind, start, _ in boxes(data):
        if kind in (b"jxlc", b"jxlp"):
            first = start + 4 * (kind == b"jxlp")
            return data[first : first + HEADER_BYTES]
    raise struct.error("no codestream")


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)

    def side() -> int:
        return 8 * (1 + bits.take(5)) if small else bits.choose(SIDES)

    height, ratio = side(), bits.take(3)
    if not ratio:
        return side(), height
    across, down = RATIOS[ratio - 1]
    return height * across // down, height
