"""Files that are damaged or lie, made from nothing but the example photographs."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from pictures import cat
from PIL import Image

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


def damaged() -> dict[str, bytes]:
    """One file of every kind of damage, none of which can be read."""
    whole = {kind: encoded(f".{kind}") for kind in ("png", "jpg", "webp", "bmp", "tiff")}
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
        "stream.j2k": b"\xff\x4f\xff\x51" + bytes(60),
        "text.ppm": b"P3 99999999 99999999 255 0 0 0",
    }
