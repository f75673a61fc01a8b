"""The headers and structure of image files: format, size and depth, and whether it is an everyday file."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from twimager.errors import UnreadableImage, UnsupportedFormat
from twimager.image import boxes, jpeg, jpeg_xl, tiff
from twimager.image.codecs import AVIF, CAMERA_RAW, HEIF, JPEG_XL, RAW_BUFFER, codec_of
from twimager.options import MAX_PIXELS

# OpenCV reads its own limit from here, once, when it is imported; ours is the same number.
LIMIT_VARIABLE = "OPENCV_IO_MAX_IMAGE_PIXELS"
# Deflate makes no more of a byte than 1032, and a JPEG spends a bit on a block of 8 x 8 pixels at least: files that
# have more pixels than that by their headers are cut short.
MOST_JPEG_PIXELS = 8 * 64
# A progressive JPEG has some ten scans; one of thousands keeps a decoder busy for minutes.
USUAL_SCANS = 30
# Bytes from the beginning that are searched for the mark of an animated PNG or WebP, which is before its first pixels.
SEARCHED = 64 * 1024
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
# By PNG's kind of colour (gray, RGB, palette, gray and alpha, RGBA): how many values a pixel has, and of which depths.
PNG_COLORS = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
PALETTE = 3
PNG_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
JPEG_USUAL_FRAMES = {0xC0, 0xC1, jpeg.PROGRESSIVE}
WEBP_ANIMATED, WEBP_ALPHA = 0x02, 0x10
# Of 8 bit, which its decoder makes with alpha first.
WEBP_BUFFER = 4
# Before a GIF's flags, of which the first bit is that there is a transparent colour.
GIF_CONTROL = b"!\xf9\x04"
BMP_HEADERS = {40, 52, 56, 108, 124}
# TIFF's numbers for how values are to be understood, but for unsigned integers of 8 or 16 bit.
TIFF_NUMBERS = {1: "integer", 2: "signed integer", 3: "float", 5: "complex integer", 6: "complex"}
# OpenEXR's list of channels, where the type of the first one follows its name, and these types.
EXR_CHANNELS, EXR_NUMBERS = b"channels\0chlist\0", ("32-bit integer", "16-bit float", "32-bit float")


class Header(NamedTuple):
    """What the header and structure of an image file tell, without any pixel.

    Attributes
    ----------
    size : (width, height) as stored, or None where only a decoder can tell
    everyday : whole, as far as its structure shows, and of a kind that decoders meet every day
    animated : it holds more than one picture
    depth : bytes that a value takes once it is decoded, at most
    buffer : bytes a pixel that its decoder holds meanwhile, beside the pixels
    channels : values of a pixel, at most, 3 for palettes, with alpha one more; 0 where only a decoder can tell
    """

    size: tuple[int, int] | None
    everyday: bool = False
    animated: bool = False
    depth: int = 2
    buffer: int = 0
    channels: int = 0

    @property
    def has_alpha(self) -> bool:
        """Whether there is an alpha channel, or a palette with transparent entries."""
        return self.channels in (2, 4)


def max_pixels() -> int:
    """Return the limit of --max_pixels."""
    return int(os.environ.get(LIMIT_VARIABLE, MAX_PIXELS))


def parse(data: bytes) -> Header:
    """Return what the structure of an image file tells; no pixel is decoded and nothing large is allocated.

    Raises
    ------
    UnreadableImage
        If it is of no format that can be read, has more pixels than the limit, or is cut short.
    """
    if not data:
        raise UnreadableImage("empty file")
    parser = _parser(data)
    if parser is None:
        raise UnreadableImage("not an image of a format that can be read")
    try:
        header = parser(data)
    except (struct.error, IndexError) as error:
        raise UnreadableImage("cut short") from error
    if header.size:
        check_limit(*header.size)
    return header


def check_limit(width: int, height: int) -> None:
    """Raise UnreadableImage for an image of more pixels than are allowed."""
    if width * height > max_pixels():
        raise UnreadableImage(f"{width} x {height} pixels; --max_pixels {max_pixels()} is the limit")


def _check_length(width: int, height: int, length: int, needed: float) -> None:
    """Raise UnreadableImage for a file that holds less than its size needs, be it compressed as it may."""
    check_limit(width, height)
    if length < needed:
        raise UnreadableImage(f"cut short: {length} bytes can't hold {width} x {height} pixels")


def is_deep_png(beginning: bytes) -> bool:
    """Tell whether a file, of which 32 bytes suffice, is a PNG of 16 bit."""
    return beginning.startswith(PNG_SIGNATURE) and beginning[24:25] == b"\x10"


def is_supported(beginning: bytes) -> bool:
    """Tell whether the first bytes of a file (32 suffice) are those of a format that can be read."""
    return _parser(beginning) is not None


def is_animated(file: BinaryIO) -> bool:
    """Tell whether an open file holds more pictures than its first; reads no more of it than it must.

    Raises OSError as reading does, and struct.error where the file is cut short.
    """
    beginning = file.read(SEARCHED)
    parser = _parser(beginning)
    if parser is _png:
        return b"acTL" in beginning.partition(b"IDAT")[0]
    if parser is _webp:
        return beginning[12:16] == b"VP8X" and bool(beginning[20] & WEBP_ANIMATED)
    if parser is _gif:
        return _gif(beginning + file.read()).animated
    if parser in (_jpeg_xl, _avif):
        return jpeg_xl.header(beginning).animated if parser is _jpeg_xl else beginning[8:12] == b"avis"
    if parser is not _tiff:
        return False
    order = tiff.byte_order(beginning)
    file.seek(struct.unpack_from(order + "I", beginning, 4)[0])
    file.seek(12 * struct.unpack(order + "H", file.read(2))[0], os.SEEK_CUR)
    return struct.unpack(order + "I", file.read(4)) != (0,) and _has_pages(file)


def _has_pages(file: BinaryIO) -> bool:
    """Tell whether a TIFF file holds several pictures, of which none is a smaller version of another one."""
    file.seek(0)
    found = tiff.directories(data := file.read())
    return sum(not one.reduced for one in found) > 1 and not tiff.is_camera_raw(data, found)


def _parser(data: bytes) -> Callable[[bytes], Header] | None:
    for signature, parser in SIGNATURES:
        if data.startswith(signature):
            return parser
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    codec = codec_of(data)
    return codec and {AVIF: _avif, HEIF: _heif, JPEG_XL: _jpeg_xl, CAMERA_RAW: _camera_raw}[codec]


def _unusual(_: bytes) -> Header:
    """Return an empty header: the decoder tells the rest, in a process of its own."""
    return Header(None)


def _maybe_transparent(_: bytes) -> Header:
    """Return the header of a format that may have alpha, which the decoder tells as well."""
    return Header(None, channels=4)


def _png(data: bytes) -> Header:
    """Walk the chunks (PNG specification, 5 and 11)."""
    width, height, depth, color, *_ = struct.unpack_from(">IIBBBBB", data, 16)
    values, depths = PNG_COLORS.get(color, (1, ()))
    names, inflatable = set(), 0
    for name, length in _png_chunks(data):
        names.add(name)
        inflatable += length * (name == b"IDAT")
    _check_length(width, height, inflatable, width * height * depth * values // 8 / tiff.MOST_INFLATED)
    critical = {name for name in names if name[:1].isupper()}
    animated = b"acTL" in names
    usual = data[12:16] == b"IHDR" and depth in depths and b"IEND" in names and critical <= PNG_CRITICAL
    everyday = usual and bool(inflatable) and not animated
    channels = (3 if color == PALETTE else values) + (b"tRNS" in names)
    return Header((width, height), everyday, animated, depth=2 if depth == 16 else 1, channels=channels)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    position = len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        position += 12 + length
        if position > len(data):
            raise UnreadableImage(f"cut short: a chunk of {length} bytes is announced")
        yield name, length
        if name == b"IEND":
            return


def _jpeg(data: bytes) -> Header:
    """Walk the segments up to the first scan, and the scans where there are several (ITU T.81, annex B)."""
    kind, width, height, precision, position, components = 0, 0, 0, 0, 2, b""
    while (marker := data[position + 1]) != jpeg.SCAN:
        if data[position] != 0xFF:  # damaged, or an odd one; some decoders search for the next marker
            return Header(None)
        if marker in jpeg.FRAMES:
            kind = marker
            precision, height, width, count = struct.unpack_from(">BHHB", data, position + 4)
            components = data[position + 10 : position + 10 + 3 * count : 3]
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
        while data[position + 1] == 0xFF:  # fill bytes
            position += 1
    _check_length(width, height, len(data), width * height / MOST_JPEG_PIXELS)
    scans = 1
    if kind == jpeg.PROGRESSIVE or data[position + 4] < len(components):
        scans = jpeg.check_scans(data, position, components, kind == jpeg.PROGRESSIVE)
    ended = data.rfind(jpeg.END_OF_IMAGE, position) > 0
    usual = kind in JPEG_USUAL_FRAMES and precision == 8 and scans <= USUAL_SCANS and width * height > 0
    # Of a progressive one the coefficients, of 16 bit, are kept until the last scan.
    buffer = 6 if kind == jpeg.PROGRESSIVE else 0
    channels = 1 if len(components) == 1 else 3
    return Header((width, height), everyday=usual and ended, depth=1, buffer=buffer, channels=channels)


def _webp(data: bytes) -> Header:
    """Parse the first chunks (RFC 9649)."""
    if len(data) < 8 + struct.unpack_from("<I", data, 4)[0]:
        raise UnreadableImage("cut short")
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        everyday = data[23:26] == b"\x9d\x01\x2a"
        return Header((width, height), everyday, depth=1, buffer=WEBP_BUFFER, channels=3)
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        size, channels = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), 3 + (bits >> 28 & 1)
        return Header(size, data[20] == 0x2F, depth=1, buffer=WEBP_BUFFER, channels=channels)
    if kind != b"VP8X":
        return Header(None)
    width, height = (int.from_bytes(data[start : start + 3], "little") + 1 for start in (24, 27))
    animated = bool(data[20] & WEBP_ANIMATED)
    channels = 3 + bool(data[20] & WEBP_ALPHA)
    return Header((width, height), not animated, animated, depth=1, buffer=WEBP_BUFFER, channels=channels)


def _bmp(data: bytes) -> Header:
    start, header = struct.unpack_from("<II", data, 10)
    if header not in BMP_HEADERS:
        return Header(None)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    width, height = abs(width), abs(height)
    if compression or bits not in (24, 32):
        return Header((width, height), channels=3)
    _check_length(width, height, len(data), start + (width * bits + 31) // 32 * 4 * height)
    return Header((width, height), everyday=width * height > 0, depth=1, channels=3)


def _avif(data: bytes) -> Header:
    if not boxes.is_whole(data):
        raise UnreadableImage("cut short")
    depth = 2 if (boxes.bit_depth(data) or 16) > 8 else 1
    return Header(boxes.largest_size(data), animated=data[8:12] == b"avis", depth=depth, channels=4)


def _heif(data: bytes) -> Header:
    HEIF.require()
    return _avif(data)


def _jpeg_xl(data: bytes) -> Header:
    JPEG_XL.require()
    found = jpeg_xl.header(data)
    if found.floating:
        raise UnsupportedFormat(f"{found.depth}-bit float JPEG XL: not supported")
    return Header(found.size, animated=found.animated, depth=1 if found.depth == 8 else 2, channels=4)


def _camera_raw(_: bytes) -> Header:
    CAMERA_RAW.require()
    return Header(None, buffer=RAW_BUFFER, channels=3)


def _exr(data: bytes) -> Header:
    """Refuse an OpenEXR file, by the numbers in it."""
    numbers, place = "", data.find(EXR_CHANNELS) + len(EXR_CHANNELS) + 4
    if place > len(EXR_CHANNELS) + 4:
        kind = struct.unpack_from("<I", data, data.index(b"\0", place) + 1)[0]
        numbers = f"{EXR_NUMBERS[kind]} " if kind < len(EXR_NUMBERS) else ""
    raise UnsupportedFormat(f"{numbers}EXR: not supported")


def _float_hdr(_: bytes) -> Header:
    raise UnsupportedFormat("float HDR: not supported")


def _float_pfm(_: bytes) -> Header:
    raise UnsupportedFormat("32-bit float PFM: not supported")


def _tiff(data: bytes) -> Header:
    """Parse the first directory, and test what strips or tiles can hold."""
    found = tiff.directory(data)
    directories = tiff.directories(data)
    if tiff.is_camera_raw(data, directories):
        CAMERA_RAW.require()
        largest = max((one.size for one in directories), key=math.prod)
        return Header(largest if all(largest) else None, buffer=RAW_BUFFER, channels=3)
    if found.reduced:
        raise UnreadableImage("its first picture is a thumbnail, and it has no other that can be read")
    numbers, bits = found.first(tiff.SAMPLE_FORMAT), max(found.tags.get(tiff.BITS, (1,)))
    if numbers in TIFF_NUMBERS and (numbers > 1 or bits > 16):
        raise UnsupportedFormat(f"{bits}-bit {TIFF_NUMBERS[numbers]} TIFF: not supported")
    if 0 in found.size:
        return Header(None, animated=not found.single)
    check_limit(*found.size)
    check_limit(*found.segments.size)
    usual = (
        tiff.check_segments(found, data)
        and set(found.tags.get(tiff.BITS, ())) in ({8}, {16})
        and found.first(tiff.SAMPLES) in (1, 3, 4)
        and found.first(tiff.PHOTOMETRIC) != tiff.YCBCR
        and found.first(tiff.COMPRESSION) in tiff.USUAL_COMPRESSIONS
    )
    deep = max(found.tags.get(tiff.BITS, (16,))) > 8
    animated = not found.single
    channels = (1 if found.first(tiff.SAMPLES) < 3 else 3) + found.has_alpha
    everyday = usual and not animated
    return Header(found.size, everyday, animated, depth=2 if deep else 1, channels=channels)


def _big_tiff(data: bytes) -> Header:
    """Parse what the first directory of a BigTIFF file tells in single numbers."""
    order = tiff.byte_order(data)
    start = struct.unpack_from(order + "Q", data, 8)[0]
    tags = {}
    for number in range(struct.unpack_from(order + "Q", data, start)[0]):
        tag, kind, count = struct.unpack_from(order + "HHQ", data, start + 8 + 20 * number)
        if count == 1 and (letter := {**tiff.TYPES, 16: "Q"}.get(kind)):
            tags[tag] = struct.unpack_from(order + letter, data, start + 20 + 20 * number)[0]
    if tags.get(tiff.KIND, 0) & tiff.REDUCED:
        raise UnreadableImage("its first picture is a thumbnail; no other is read of a BigTIFF file")
    size = (tags[tiff.WIDTH], tags[tiff.HEIGHT]) if {tiff.WIDTH, tiff.HEIGHT} <= tags.keys() else None
    return Header(size, channels=tags.get(tiff.SAMPLES, 1))


def _gif(data: bytes) -> Header:
    """Walk the blocks up to a second picture (GIF89a)."""
    pictures = 0
    try:
        for block in _gif_blocks(data):
            pictures += block == 0x2C
            if pictures > 1:
                break
    except IndexError:  # cut short after its first picture, maybe
        pass
    control = data.find(GIF_CONTROL)
    channels = 3 + (control > 0 and data[control + len(GIF_CONTROL)] & 1)
    return Header(struct.unpack_from("<HH", data, 6), animated=pictures > 1, depth=1, channels=channels)


def _gif_blocks(data: bytes) -> Iterator[int]:
    position = 13 + _gif_palette(data[10])
    while data[position] in (0x21, 0x2C):
        yield data[position]
        position += 2 if data[position] == 0x21 else 11 + _gif_palette(data[position + 9])
        while data[position]:
            position += 1 + data[position]
        position += 1


def _gif_palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


SIGNATURES: tuple[tuple[bytes, Callable[[bytes], Header]], ...] = (
    (jpeg.SIGNATURE, _jpeg),
    (PNG_SIGNATURE, _png),
    (b"BM", _bmp),
    *((signature, _tiff) for signature in tiff.SIGNATURES),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"\x76\x2f\x31\x01", _exr),
    (b"#?RADIANCE", _float_hdr),
    (b"#?RGBE", _float_hdr),
    (b"PF", _float_pfm),
    (b"Pf", _float_pfm),
    *((signature, _big_tiff) for signature in tiff.BIG_SIGNATURES),
    # JPEG 2000, a file and a bare stream.
    (b"\0\0\0\x0cjP  ", _maybe_transparent),
    (b"\xff\x4f\xff\x51", _maybe_transparent),
    # Sun raster.
    (b"\x59\xa6\x6a\x95", _unusual),
    # PBM, PGM, PPM (as text and not), PAM.
    *((b"P" + kind, _unusual) for kind in (b"1", b"2", b"3", b"4", b"5", b"6", b"7")),
)  # fmt: skip
