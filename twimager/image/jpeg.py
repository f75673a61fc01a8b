"""The markers of a JPEG file (ITU T.81, annex B): whether its scans are complete, and what makes libjpeg warn."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from twimager.errors import UnreadableImage

SIGNATURE = b"\xff\xd8\xff"
FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
SEQUENTIAL = {0xC0, 0xC1}
PROGRESSIVE, START, END, SCAN, JFIF = 0xC2, 0xD8, 0xD9, 0xDA, 0xE0
END_OF_IMAGE = bytes((0xFF, END))
# A marker other than those that may stand within a scan: stuffed bytes, restarts and fill bytes.
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
COEFFICIENTS = 64
EXTRANEOUS = re.compile(rb"Corrupt JPEG data: (\d+) extraneous bytes before marker 0x([0-9a-f]{2})")


def check_scans(data: bytes, position: int, components: bytes, progressive: bool) -> int:
    """Return how many scans there are from `position` on; UnreadableImage unless they bring all coefficients in full.

    libjpeg decodes what there is, which may be a coarse picture, or one without colours.
    """
    scans = 0
    missing = {component: set(range(COEFFICIENTS)) for component in components}
    while data[position + 1] != END:
        size, count = struct.unpack_from(">HB", data, position + 2)
        if data[position + 1] == SCAN:
            scans += 1
            first, last, bits = struct.unpack_from("BBB", data, position + 5 + 2 * count)
            final = range(first, last + 1) if progressive else range(COEFFICIENTS)
            for component in data[position + 5 : position + 5 + 2 * count : 2]:
                if not (progressive and bits & 15):
                    missing.get(component, set()).difference_update(final)
        found = MARKER.search(data, position + 2 + size)
        if not found or found.end() == len(data):
            break
        position = found.start()
    if any(missing.values()):
        raise UnreadableImage("cut short: some of its scans are missing")
    return scans


def tidied(data: bytes) -> bytes:
    """Return a JPEG without what makes libjpeg warn though no picture data are missing or damaged.

    It prints the first warning only, and this one is to be about picture data: bytes between segments, the JFIF
    revision and unused parameters of a scan are put right. The end of the image is marked, without which OpenCV repeats
    rows without a warning.
    """
    header, progressive = bytearray((0xFF, START)), False
    for marker, start, end in _segments(data):
        segment = bytearray(data[start:end])
        progressive |= marker == PROGRESSIVE
        if marker == JFIF and segment[4:9] == b"JFIF\0" and len(segment) > 9:
            segment[9] = 1
        if marker == SCAN and not progressive:
            segment[-3:] = 0, COEFFICIENTS - 1, 0
        header += segment
        if marker == SCAN:
            return bytes(header) + data[end:] + END_OF_IMAGE
    return data


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker, the beginning and the end of each segment up to the first scan's."""
    position = 2
    while found := MARKER.search(data, position):
        start, marker = found.start(), data[found.start() + 1]
        if marker in (START, END) or start + 4 > len(data):
            return
        position = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
        yield marker, start, position
        if marker == SCAN:
            return


class Rows(NamedTuple):
    """How the rows of a JPEG are stored: where their number stands, (width, height), and the height of a block row."""

    place: int
    size: tuple[int, int]
    block: int


def rows(data: bytes) -> Rows:
    """Return how rows are stored; UnreadableImage unless they are in one scan, from the top down."""
    starts = {marker: start for marker, start, _ in _segments(data)}
    frames = starts.keys() & SEQUENTIAL
    if len(frames) != 1 or SCAN not in starts:
        raise UnreadableImage("not stored row by row")
    frame = starts[frames.pop()]
    height, width, components = struct.unpack_from(">HHB", data, frame + 5)
    if data[starts[SCAN] + 4] != components:
        raise UnreadableImage("not stored row by row")
    block = 8 * max(factors & 15 for factors in data[frame + 11 : frame + 10 + 3 * components : 3])
    return Rows(frame + 5, (width, height), block)


def without_padding(data: bytes, warning: bytes) -> bytes | None:
    """Return a JPEG without the zeros before a marker that libjpeg warns of; None if it does not warn of any.

    Some cameras write them. Other bytes there are picture data that were left over by a damaged scan.
    """
    if not (found := EXTRANEOUS.search(warning)):
        return None
    padding, marker = bytes(int(found[1])), bytes((0xFF, int(found[2], 16)))
    before, separator, after = data.rpartition(padding + marker)
    return before + marker + after if separator else None
