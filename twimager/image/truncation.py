"""The complete rows of files that are cut short, where a format stores rows from the top down.

That a file is cut short is detected before: by its structure in `headers` and `jpeg.check_scans`, by what the decoder
warns of in `decoder_process`.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable
from math import ceil

from twimager.errors import UnreadableImage
from twimager.image import headers, jpeg, tiff
from twimager.image.codecs import codec_of

# JPEGs that end as they should and lack up to so many rows of blocks were damaged somewhere in their midst: of 1,500
# with a flipped bit, 1,498 of those that lack any, and of 60 each with 4,000 bytes of zeros all.
DAMAGED_ROWS = 2


def complete_rows(data: bytes, is_complete: Callable[[bytes], bool]) -> tuple[bytes, int]:
    """Return a file of the rows that are there in full, and how many are missing.

    `is_complete` tells whether a decoder finds all picture data of a file; more than it needs do not matter. Raises
    UnreadableImage if there are no such rows, or the format is not stored row by row.
    """
    try:
        if codec_of(data):
            raise UnreadableImage("not stored row by row")
        if data.startswith(jpeg.SIGNATURE):
            rows, height, shortened = _jpeg(data, is_complete)
        elif data.startswith(headers.PNG_SIGNATURE):
            rows, height, shortened = _png(data)
        elif data.startswith(tiff.SIGNATURES):
            rows, height, shortened = _tiff(data)
        else:
            raise UnreadableImage("not stored row by row")
    except (struct.error, IndexError, zlib.error) as error:
        raise UnreadableImage("damaged") from error
    if not 0 < rows < height:
        raise UnreadableImage("no rows of it are complete")
    return shortened, height - rows


def _jpeg(data: bytes, is_complete: Callable[[bytes], bool]) -> tuple[int, int, bytes]:
    """Find how many rows of blocks of a baseline JPEG are decoded without a warning, if no more are announced."""
    ends, data = data.endswith(jpeg.END_OF_IMAGE), jpeg.tidied(data)
    place, (width, height), block = jpeg.rows(data)
    headers.check_limit(width, height)
    number = ceil(height / max(block, 1))

    def of(rows: int) -> bytes:
        return data[:place] + struct.pack(">H", min(height, rows * block)) + data[place + 2 :]

    rows = bisect_left(range(1, number), True, key=lambda rows: not is_complete(of(rows)))
    if ends and number - rows <= DAMAGED_ROWS:
        raise UnreadableImage("damaged")
    return rows * block, height, of(rows)


def _png(data: bytes) -> tuple[int, int, bytes]:
    """Inflate what there is of a PNG that is not interlaced, and make a PNG of it."""
    header, others, packed, position = data[16:29], b"", b"", len(headers.PNG_SIGNATURE)
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    headers.check_limit(width, height)
    if interlaced or color not in headers.PNG_COLORS:
        raise UnreadableImage("not stored row by row")
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        whole = data[position : position + 12 + length]
        if len(whole) == 12 + length and zlib.crc32(whole[4:-4]) != struct.unpack(">I", whole[-4:])[0]:
            raise UnreadableImage("damaged")
        if name == b"IDAT":
            packed += whole[8 : 8 + length]
        elif name != b"IHDR" and not packed:
            others += whole
        position += len(whole)
    row = 1 + ceil(width * depth * headers.PNG_COLORS[color][0] / 8)
    rows = zlib.decompressobj().decompress(packed, row * height)
    number = len(rows) // row
    chunks = (
        (b"IHDR", struct.pack(">II", width, number) + header[8:]),
        (b"IDAT", zlib.compress(rows[: number * row], 1)),
    )
    first, pixels = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return number, height, headers.PNG_SIGNATURE + first + others + pixels + headers.PNG_END


def _tiff(data: bytes) -> tuple[int, int, bytes]:
    """Count the strips of a TIFF that are in the file; of a single plain one the rows."""
    found = tiff.directory(data)
    segments, compression, (width, height) = found.segments, found.first(tiff.COMPRESSION), found.size
    headers.check_limit(width, height)
    if not found.certain or found.reduced or not segments.height or found.first(tiff.PLANAR) == tiff.SEPARATE:
        raise UnreadableImage("not stored row by row")
    rows = segments.intact(compression, len(data)) * segments.size[1]
    if compression == tiff.PLAIN and segments.number == 1:
        rest = len(data) - segments.offsets[0]
        rows = min((*segments.counts, rest)) // segments.row_bytes
    entry = struct.pack(found.order + "HHII", tiff.HEIGHT, tiff.LONG, 1, max(rows, 0))
    place = found.entries[tiff.HEIGHT]
    return rows, height, data[:place] + entry + data[place + len(entry) :]
