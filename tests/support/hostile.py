"""Files that are damaged or lie, made from nothing but the example photographs."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from PIL import Image

from tests.support.pictures import cat
from twimager.image.tiff import directory

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, data: bytes, length: int | None = None) -> bytes:
    """A PNG chunk, that may announce another length than it has."""
    announced = len(data) if length is None else length
    return struct.pack(">I", announced) + name + data + struct.pack(">I", zlib.crc32(name + data))


def header(width: int, height: int, depth: int = 8, color: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))


def png(width: int, height: int, packed: bytes = zlib.compress(bytes(100))) -> bytes:
    """A PNG that promises so many pixels, whatever it holds."""
    return PNG + header(width, height) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def encoded(extension: str, pixels: Any = None, settings: tuple[int, ...] = ()) -> bytes:
    small = cat()[100:148, 100:164] if pixels is None else pixels
    return bytes(cv2.imencode(extension, small, settings)[1])


def saved(kind: str, pictures: int = 1, **settings: Any) -> bytes:
    """A file made by Pillow, of several pictures."""
    first, *others = (
        Image.fromarray(np.ascontiguousarray(np.roll(cat()[:100, :150], 20 * number, axis=1)[..., ::-1]))
        for number in range(pictures)
    )
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": others} if others else {}
    first.save(buffer, kind, **more, **settings)
    return buffer.getvalue()


def bmp_of(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIIIII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + bytes(100)


def gif_of(width: int, height: int) -> bytes:
    return saved("GIF")[:6] + struct.pack("<HH", width, height) + saved("GIF")[10:]


def jpeg_of(width: int, height: int) -> bytes:
    whole = encoded(".jpg")
    frame = whole.index(b"\xff\xc0") + 5
    return whole[:frame] + struct.pack(">HH", height, width) + whole[frame + 4 :]


Entry = tuple[int, int, int, int]


def tiff(strips: list[bytes], size: tuple[int, int], rows: int, compression: int, *more: Entry) -> bytes:
    """A gray 8-bit TIFF of these strips, its directory before them; `more` entries follow those of their own tag."""
    (width, height), number = size, len(strips)
    tags = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: 0, 277: 1, 278: rows, 279: 0}
    begin = 8 + 2 + 12 * (len(tags) + len(more)) + 4
    offsets = [begin + 8 * number + sum(map(len, strips[:index])) for index in range(number)]
    arrays = {273: (begin, offsets), 279: (begin + 4 * number, [len(strip) for strip in strips])}
    own = [
        (tag, 4, number, arrays[tag][1][0] if number == 1 else arrays[tag][0]) if tag in arrays else (tag, 4, 1, value)
        for tag, value in tags.items()
    ]
    entries = sorted((*own, *more), key=lambda entry: entry[0])
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    arrays_packed = b"".join(struct.pack(f"<{number}I", *numbers) for _, numbers in arrays.values())
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + arrays_packed + b"".join(strips)


def strips_of(gray: Any, rows: int, compression: int) -> list[bytes]:
    """The strips of a gray image, as OpenCV writes them."""
    settings = (cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_ROWSPERSTRIP, rows)
    data = encoded(".tif", gray, (*settings, cv2.IMWRITE_TIFF_PREDICTOR, 1))
    found = directory(data).segments
    return [data[start : start + count] for start, count in zip(found.offsets, found.counts, strict=True)]


def claiming(data: bytes, offset: int, layout: str, *sides: int) -> bytes:
    """A file whose header claims other sides."""
    made = bytearray(data)
    struct.pack_into(layout, made, offset, *sides)
    return bytes(made)


def damaged() -> dict[str, bytes]:
    """One file of every kind of damage, none of which can be read."""
    whole = {kind: encoded(f".{kind}") for kind in ("png", "jpg", "bmp", "tiff")}
    whole["webp"] = saved("WEBP", lossless=True)
    cut = {f"cut.{kind}": data[: len(data) // 2] for kind, data in whole.items()}
    turned = bytearray(whole["png"])
    turned[len(turned) // 2] ^= 0xFF
    return {
        **cut,
        "empty.png": b"",
        "flipped.png": bytes(turned),
        "bomb.png": png(100_000, 100_000),
        "hollow.png": png(12_000, 12_000),
        "greedy.png": PNG + header(8, 8) + chunk(b"IDAT", bytes(40), length=0x3FFFFFFF),
        "greedy_text.png": PNG + header(8, 8) + chunk(b"tEXt", b"Author\0me", length=0x3FFFFFFF),
        "hollow.jpg": jpeg_of(10_000, 12_000),
        "bomb.jpg": jpeg_of(60_000, 60_000),
        "bomb.bmp": bmp_of(60_000, 60_000),
        "hollow.bmp": bmp_of(3_000, 3_000),
        "bomb.gif": gif_of(60_000, 60_000),
        "liar.png": b"MZ this is a program",
        "page.jpg": b"<!DOCTYPE html><html>404</html>",
        "no_frame.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF",
        "hollow.tif": tiff([bytes(10)], (14_000, 14_000), 14_000, 5),
        "claim.webp": claiming(whole["webp"], 21, "<I", 13_999 | 13_999 << 14),
        "claim.j2k": claiming(saved("JPEG2000", no_jp2=True), 8, ">II", 14_000, 14_000),
        "stream.j2k": b"\xff\x4f\xff\x51" + bytes(60),
        "text.ppm": b"P3 99999999 99999999 255 0 0 0",
    }
