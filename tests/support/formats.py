"""Files of many formats, of one picture."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image

from tests.support.icc import adobe_rgb
from tests.support.pictures import cat
from twimager.image.boxes import boxes

PIXELS = cat()[100:164, 100:196]
DEEP = np.asarray(PIXELS.astype(np.uint16) * 257 + 3, np.uint16)
FLOAT = (PIXELS / 255).astype(np.float32)
ALPHA = np.repeat(np.arange(96, dtype=np.uint8)[None] * 2, 64, axis=0)


def pillow(kind: str, alpha: bool = False, more: bool = False, **settings: Any) -> bytes:
    rgb = PIXELS[..., ::-1]
    first = Image.fromarray(np.dstack([rgb, ALPHA]) if alpha else np.ascontiguousarray(rgb))
    if more:
        settings |= {"save_all": True, "append_images": [Image.fromarray(np.ascontiguousarray(rgb[::-1, ::-1]))]}
    buffer = BytesIO()
    first.save(buffer, kind, **settings)
    return buffer.getvalue()


def opencv(extension: str, pixels: Any = PIXELS, *settings: int) -> bytes:
    return bytes(cv2.imencode(extension, pixels, settings)[1])


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def with_profile(jp2: bytes) -> bytes:
    """A JPEG 2000 file with a colour profile in place of the number of its colour space."""
    start, end = next((start, end) for kind, start, end in boxes(jp2) if kind == b"jp2h")
    at, stop = next((at - 8, stop) for kind, at, stop in boxes(jp2, start, end) if kind == b"colr")
    body = b"\2\0\0" + adobe_rgb()
    made = jp2[start:at] + struct.pack(">I4s", 8 + len(body), b"colr") + body + jp2[stop:end]
    return jp2[: start - 8] + struct.pack(">I4s", 8 + len(made), b"jp2h") + made + jp2[end:]


def heif(pixels: Any = PIXELS, mode: str = "BGR", more: bool = False, **info: Any) -> bytes:
    import pillow_heif

    file = pillow_heif.from_bytes(mode, (96, 64), np.ascontiguousarray(pixels).tobytes())
    file[0].info.update(info)
    if more:
        file.add_frombytes(mode, (96, 64), np.ascontiguousarray(pixels[::-1, ::-1]).tobytes())
    buffer = BytesIO()
    file.save(buffer, quality=95, chroma=444)
    return buffer.getvalue()


def jpeg_xl(pixels: Any) -> bytes:
    """A JPEG XL file; imagecodecs takes 16-bit values for linear ones."""
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(np.ascontiguousarray(pixels), lossless=True))


def jpeg_xl_of_jpeg(**settings: Any) -> bytes:
    """A JPEG that is kept in a JPEG XL file."""
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode_jpeg(pillow("JPEG", quality=95, subsampling=0, **settings)))


def exr() -> bytes:
    """The beginning of an OpenEXR file of half floats."""
    channels = b"".join(name + b"\0" + struct.pack("<IB3xii", 1, 0, 1, 1) for name in (b"B", b"G", b"R")) + b"\0"
    return b"\x76\x2f\x31\x01\2\0\0\0channels\0chlist\0" + struct.pack("<I", len(channels)) + channels + bytes(99)
