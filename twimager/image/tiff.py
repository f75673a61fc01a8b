"""The directories of a TIFF file (TIFF 6.0, section 2), with the tags that libtiff takes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Set
from contextlib import suppress
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from twimager.errors import UnreadableImage

# More strips than any height within the limit needs would only take memory.
USUAL_STRIPS = 100_000
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES, ROWS, COUNTS = (
    256, 257, 258, 259, 262, 273, 277, 278, 279,
)  # fmt: skip
PLANAR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 284, 322, 323, 324, 325
KIND, SUB_DIRECTORIES, SAMPLE_FORMAT, DNG_VERSION = 254, 330, 339, 50706
TILES = {TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS}
DEFAULTS = {KIND: 0, BITS: 1, COMPRESSION: 1, PHOTOMETRIC: 2, SAMPLES: 1, ROWS: 2**32 - 1, PLANAR: 1, SAMPLE_FORMAT: 1}
# What the samples beyond the colours are: alpha that the colours are multiplied by, and alpha that they are not.
EXTRA_SAMPLES, ASSOCIATED, UNASSOCIATED = 338, 1, 2
TAGS = {WIDTH, HEIGHT, OFFSETS, COUNTS, SUB_DIRECTORIES, DNG_VERSION, EXTRA_SAMPLES, *TILES, *DEFAULTS}
SIGNATURES, BIG_SIGNATURES = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")
LONG = 4
TYPES = {1: "B", 3: "H", LONG: "I", 13: "I"}
# A bit of KIND: the picture is a smaller version of another one in the file.
REDUCED = 1
# What only camera raws have: samples of a colour filter array or linear ones (DNG 1.6), the makers' compressions (of
# ARW, NEF, SRW, PEF, DCR and their like), and what follows the place of the first directory in CR2 and IIQ files.
FILTER_ARRAY, LINEAR_RAW = 32803, 34892
RAW_COMPRESSIONS = {32767, 32769, 32770, 32867, 34713, 34892, 65000, 65535}
RAW_MARKS = ((8, b"CR\2"), (8, b"IIII"), (8, b"MMMM"))
# More directories than any camera writes are not looked for.
MOST_DIRECTORIES = 16
SEPARATE, RGB, YCBCR = 2, 2, 6
PLAIN, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, JPEG, FAX = 1, 5, 8, 32946, 32773, 7, {2, 3, 4}
USUAL_COMPRESSIONS = {PLAIN, LZW, DEFLATE, OLD_DEFLATE, PACKBITS}
# How many bytes a compressed one makes at most. LZW: the strings of a run grow by a byte with each code until the 5119
# entries that libtiff has room for are used up, of which 12 bits name 4096: 11.3 MB from 6940 bytes. PackBits repeats
# a byte 128 times. JPEG: a bit a block of 64 values.
MOST_INFLATED = 1032
INFLATED_AT_ONCE = 1 << 20
EXPANSION = {PLAIN: 1, LZW: 1630, DEFLATE: MOST_INFLATED, OLD_DEFLATE: MOST_INFLATED, PACKBITS: 64, JPEG: 8 * 64}


class Directory(NamedTuple):
    """A directory's tags.

    Attributes
    ----------
    order : of bytes, as `struct` has it
    tags : the numbers of each tag that matters and has any that can be read
    entries : where in the file each of these has its entry
    certain : whether no tag stands twice, out of order or with an odd type of number
    next : where the directory that follows is, 0 where there is none
    start : where in the file it is itself
    """

    order: str
    tags: dict[int, tuple[int, ...]]
    entries: dict[int, int]
    certain: bool
    next: int
    start: int

    def first(self, tag: int) -> int:
        """Return a tag's first number, or its default."""
        return self.tags.get(tag, (DEFAULTS.get(tag, 0),))[0]

    @property
    def single(self) -> bool:
        """Whether no other directory follows."""
        return self.next == 0

    @property
    def reduced(self) -> bool:
        """Whether it is a thumbnail, or another smaller version of a picture in the file."""
        return bool(self.first(KIND) & REDUCED)

    @property
    def size(self) -> tuple[int, int]:
        """The image's (width, height), 0 where there is none."""
        return self.first(WIDTH), self.first(HEIGHT)

    @property
    def has_alpha(self) -> bool:
        """Whether the last sample of a pixel is its alpha; OpenCV writes no tag that says so."""
        colors = {0: 1, 1: 1, 2: 3}.get(self.first(PHOTOMETRIC))
        kinds = (ASSOCIATED, UNASSOCIATED) if EXTRA_SAMPLES in self.tags or colors == 1 else (0,)
        return self.first(SAMPLES) - 1 == colors and self.first(EXTRA_SAMPLES) in kinds

    @property
    def is_multiplied(self) -> bool:
        """Whether colours, or gray, come from the decoder multiplied by alpha: by libtiff itself those of 8 bit."""
        kind, by_libtiff = self.first(EXTRA_SAMPLES), self.tags.get(BITS) == (8,) * 4
        return kind == ASSOCIATED or (kind == UNASSOCIATED and by_libtiff)

    @property
    def segments(self) -> Segments:
        """The strips or tiles."""
        (width, height), planes = self.size, self.first(SAMPLES) if self.first(PLANAR) == SEPARATE else 1
        tiled = TILE_WIDTH in self.tags or TILE_HEIGHT in self.tags
        size = (self.first(TILE_WIDTH), self.first(TILE_HEIGHT)) if tiled else (width, min(self.first(ROWS), height))
        bits = min(self.tags.get(BITS, (1,)))
        # Raw YCbCr has fewer values than samples: at least those of Y.
        values = 1 if planes > 1 or self.first(PHOTOMETRIC) == YCBCR else self.first(SAMPLES)
        # libtiff keeps the offsets of strips and tiles in one place; the latter come later in the file.
        offsets, counts = (
            self.tags.get(TILE_OFFSETS, self.tags.get(OFFSETS, ())),
            self.tags.get(TILE_COUNTS, self.tags.get(COUNTS, ())),
        )
        across, down = (ceil(whole / max(part, 1)) for whole, part in zip((width, height), size, strict=True))
        return Segments(size, ceil(size[0] * bits * values / 8), across * down * planes, 0 if tiled else height,
                        offsets, counts)  # fmt: skip


class Segments(NamedTuple):
    """The strips or tiles of an image.

    Attributes
    ----------
    size : (width, height) of each, in pixels
    row_bytes : of a row of one, before compression
    number : how many segments the image needs
    height : of the image, at which the last strip of a plane ends; 0 for tiles, which are all of one height
    offsets, counts : where each begins, and how many bytes it has in the file
    """

    size: tuple[int, int]
    row_bytes: int
    number: int
    height: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    def needed(self, index: int) -> int:
        """Return the bytes of a segment before compression."""
        rows = self.size[1]
        if self.height:
            rows = min(rows, self.height - index % ceil(self.height / rows) * rows)
        return self.row_bytes * rows

    def intact(self, compression: int, length: int) -> int:
        """Return how many segments, from the first on, a file of so many bytes can hold in full."""
        expansion = 8 * self.row_bytes if compression in FAX else EXPANSION.get(compression)
        for index, offset in enumerate(self.offsets[: self.number]):
            needed, rest = self.needed(index), length - offset
            count = self.counts[index] if index < len(self.counts) else 0
            held = count or rest  # without a count libtiff takes what there is
            if held > rest or (expansion and held * expansion < needed):
                return index
        return min(self.number, len(self.offsets))

    @property
    def counted(self) -> bool:
        """Whether the file has the length of each segment."""
        return len(self.counts) >= self.number and all(self.counts[: self.number])


def directory(data: bytes, wanted: Set[int] = frozenset(TAGS), start: int | None = None) -> Directory:
    """Read the wanted tags of a directory, the first by default; of one that is there twice libtiff takes the first.

    Raises struct.error where the file ends before it.
    """
    order = byte_order(data)
    start = struct.unpack_from(order + "I", data, 4)[0] if start is None else start
    count = struct.unpack_from(order + "H", data, start)[0]
    places = range(start + 2, start + 2 + 12 * count, 12)
    named = [struct.unpack_from(order + "H", data, place)[0] for place in places]
    entries = {tag: place for tag, place in reversed(list(zip(named, places, strict=True))) if tag in wanted}
    tags = {tag: numbers for tag, place in entries.items() if (numbers := _numbers(data, order, place))}
    following = struct.unpack_from(order + "I", data, start + 2 + 12 * count)[0]
    certain = len(tags) == len(entries) and all(tag < later for tag, later in pairwise(named))
    return Directory(order, tags, entries, certain, following, start)


def directories(data: bytes) -> list[Directory]:
    """Read the first directory, those that follow it, and the subdirectories of each.

    Raises struct.error where the file ends before the first one; what can't be read of the others is left out.
    """
    first = directory(data)
    found, waiting = {first.start: first}, [first]
    while waiting:
        one = waiting.pop(0)
        for start in (one.next, *one.tags.get(SUB_DIRECTORIES, ())):
            if start and start not in found and len(found) < MOST_DIRECTORIES:
                with suppress(struct.error):
                    found[start] = directory(data, start=start)
                    waiting.append(found[start])
    return list(found.values())


def is_camera_raw(data: bytes, found: list[Directory]) -> bool:
    """Tell whether a TIFF file with these directories is a camera raw: its pixels are not a picture yet."""
    return any(data.startswith(mark, place) for place, mark in RAW_MARKS) or any(
        DNG_VERSION in one.tags
        or one.first(PHOTOMETRIC) in (FILTER_ARRAY, LINEAR_RAW)
        or one.first(COMPRESSION) in RAW_COMPRESSIONS
        for one in found
    )


def main_first(data: bytes) -> bytes:
    """Return a TIFF file, or a changed one that begins with its main picture where its first one is a reduced version.

    The main picture is the first that is none. Of a camera raw, and where there is none, the file is returned itself.
    """
    try:
        first = directory(data)
        if not first.reduced or is_camera_raw(data, found := directories(data)):
            return data
    except struct.error:
        return data
    main = next((one for one in found if not one.reduced and 0 not in one.size), None)
    return _beginning_with(main, data) if main else data


def linear_first(data: bytes) -> bytes | None:
    """Return a TIFF file that begins with the linear samples of a camera raw as RGB, None if there are none of it."""
    found = (one for one in directories(data) if not one.reduced and one.first(PHOTOMETRIC) == LINEAR_RAW)
    linear = next((one for one in found if one.first(SAMPLES) == 3), None)
    if linear is None:
        return None
    value = linear.entries[PHOTOMETRIC] + 8
    rgb = struct.pack(linear.order + "H", RGB)
    return _beginning_with(linear, data[:value] + rgb + data[value + len(rgb) :])


def _beginning_with(main: Directory, data: bytes) -> bytes:
    return data[:4] + struct.pack(main.order + "I", main.start) + data[8:]


def check_segments(found: Directory, data: bytes) -> bool:
    """Tell whether strips certainly hold the whole image; raises UnreadableImage if they, or tiles, can't."""
    length, segments, compression = len(data), found.segments, found.first(COMPRESSION)
    if not segments.offsets or 0 in segments.size or len(found.tags) < len(found.entries):
        return False
    if segments.intact(compression, length) < segments.number:
        width, height = found.size
        raise UnreadableImage(f"cut short: {length} bytes can't hold {width} x {height} pixels")
    if compression in (DEFLATE, OLD_DEFLATE):
        _check_sums(segments, data)
    return found.certain and not found.tags.keys() & TILES and segments.counted


def _check_sums(segments: Segments, data: bytes) -> None:
    """Inflate each segment for its checksum: libtiff does not come to it where a damaged one makes too many bytes."""
    most = segments.row_bytes * segments.size[1]
    for index, offset in enumerate(segments.offsets[: segments.number]):
        count = segments.counts[index] if index < len(segments.counts) else 0
        inflater, packed, made = zlib.decompressobj(), data[offset : offset + count] if count else data[offset:], 0
        try:
            while packed and not inflater.eof and made <= most:
                made += len(inflater.decompress(packed, INFLATED_AT_ONCE))
                packed = inflater.unconsumed_tail
        except zlib.error as error:
            raise UnreadableImage("damaged") from error
        if not segments.needed(index) <= made <= most:
            raise UnreadableImage("damaged")


def byte_order(data: bytes) -> str:
    """Return the order of bytes that a file's beginning names, as `struct` has it."""
    return "<" if data[:2] == b"II" else ">"


def _numbers(data: bytes, order: str, place: int) -> tuple[int, ...]:
    """Return a tag's numbers: those in its entry or, where they are longer, those that it points to."""
    kind, count, field = struct.unpack_from(order + "HI4s", data, place + 2)
    letter = TYPES.get(kind)
    if letter is None or not 0 < count <= USUAL_STRIPS:
        return ()
    layout = f"{order}{count}{letter}"
    if struct.calcsize(layout) <= len(field):
        return struct.unpack_from(layout, field)
    return struct.unpack_from(layout, data, struct.unpack(order + "I", field)[0])
