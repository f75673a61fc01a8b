"""The table of docs/formats.md: one file of each format and feature is written and read.

`TWIMAGER_FORMATS=write` makes the table anew, where all extras are installed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.support import raws
from tests.support.icc import adobe_rgb
from tests.support.paths import ROOT
from tests.support.pictures import cat
from twimager.errors import UnreadableImage
from twimager.image import codecs
from twimager.image.boxes import boxes
from twimager.image.codecs import Codec
from twimager.image.decode import decode, decode_with_alpha, decoded_data
from twimager.image.icc import embedded_profile, to_srgb

PAGE = ROOT / "docs/formats.md"
COLUMNS = ("8 bit", "10 to 16 bit", "float", "alpha", "ICC", "rotation", "several pictures")
PIXELS = cat()[100:164, 100:196]
DEEP = np.asarray(PIXELS.astype(np.uint16) * 257 + 3, np.uint16)
FLOAT = (PIXELS / 255).astype(np.float32)
# Gray levels, of 255, by which lossy formats may be off, and what another picture or other colours are off by.
LOSSY, OTHER = 4, 8

Made = bytes | None
Features = dict[str, Callable[[], Made]]


def pillow(kind: str, alpha: bool = False, more: bool = False, **settings: Any) -> bytes:
    rgb = PIXELS[..., ::-1]
    first = Image.fromarray(np.dstack([rgb, ALPHA]) if alpha else np.ascontiguousarray(rgb))
    if more:
        settings |= {"save_all": True, "append_images": [Image.fromarray(np.ascontiguousarray(rgb[::-1, ::-1]))]}
    buffer = BytesIO()
    first.save(buffer, kind, **settings)
    return buffer.getvalue()


ALPHA = np.repeat(np.arange(96, dtype=np.uint8)[None] * 2, 64, axis=0)


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
    import pillow_jxl

    jpeg = pillow("JPEG", quality=95, subsampling=0, **settings)
    return bytes(pillow_jxl.Encoder("RGB", quality=95, use_container=True)(jpeg, 96, 64, jpeg_encode=True))


def exr() -> bytes:
    """The beginning of an OpenEXR file of half floats."""
    channels = b"".join(name + b"\0" + struct.pack("<IB3xii", 1, 0, 1, 1) for name in (b"B", b"G", b"R")) + b"\0"
    return b"\x76\x2f\x31\x01\2\0\0\0channels\0chlist\0" + struct.pack("<I", len(channels)) + channels + bytes(99)


FORMATS: dict[str, tuple[Codec | None, Features]] = {
    "PNG": (None, {
        "8 bit": lambda: opencv(".png"), "10 to 16 bit": lambda: opencv(".png", DEEP),
        "alpha": lambda: pillow("PNG", alpha=True), "ICC": lambda: pillow("PNG", icc_profile=adobe_rgb()),
        "rotation": lambda: pillow("PNG", exif=turned()), "several pictures": lambda: pillow("PNG", more=True),
    }),
    "JPEG": (None, {
        "8 bit": lambda: pillow("JPEG", quality=95), "ICC": lambda: pillow("JPEG", quality=95, icc_profile=adobe_rgb()),
        "rotation": lambda: pillow("JPEG", quality=95, exif=turned()),
        "several pictures": lambda: pillow("MPO", quality=95, more=True),
    }),
    "TIFF": (None, {
        "8 bit": lambda: opencv(".tif"), "10 to 16 bit": lambda: opencv(".tif", DEEP),
        "float": lambda: opencv(".tif", FLOAT), "alpha": lambda: pillow("TIFF", alpha=True),
        "ICC": lambda: pillow("TIFF", icc_profile=adobe_rgb()), "rotation": lambda: pillow("TIFF", exif=turned()),
        "several pictures": lambda: pillow("TIFF", more=True),
    }),
    "BigTIFF": (None, {
        "8 bit": lambda: pillow("TIFF", big_tiff=True), "alpha": lambda: pillow("TIFF", alpha=True, big_tiff=True),
        "ICC": lambda: pillow("TIFF", big_tiff=True, icc_profile=adobe_rgb()),
        "rotation": lambda: pillow("TIFF", big_tiff=True, exif=turned()),
    }),
    "WebP": (None, {
        "8 bit": lambda: pillow("WEBP", lossless=True),
        "alpha": lambda: pillow("WEBP", lossless=True, exact=True, alpha=True),
        "ICC": lambda: pillow("WEBP", lossless=True, icc_profile=adobe_rgb()),
        "rotation": lambda: pillow("WEBP", lossless=True, exif=turned()),
        "several pictures": lambda: pillow("WEBP", lossless=True, more=True),
    }),
    "BMP": (None, {"8 bit": lambda: opencv(".bmp"), "alpha": lambda: pillow("BMP", alpha=True)}),
    "GIF": (None, {"8 bit": lambda: pillow("GIF"), "several pictures": lambda: pillow("GIF", more=True)}),
    "JPEG 2000": (None, {
        "8 bit": lambda: pillow("JPEG2000"), "10 to 16 bit": lambda: opencv(".jp2", DEEP),
        "alpha": lambda: pillow("JPEG2000", alpha=True), "ICC": lambda: with_profile(pillow("JPEG2000")),
    }),
    "PBM, PGM, PPM, PAM": (None, {"8 bit": lambda: opencv(".ppm"), "10 to 16 bit": lambda: opencv(".ppm", DEEP)}),
    "Sun raster": (None, {"8 bit": lambda: opencv(".ras")}),
    "AVIF": (codecs.AVIF, {
        "8 bit": lambda: pillow("AVIF", quality=95),
        "10 to 16 bit": lambda: opencv(".avif", DEEP >> 6, cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_SPEED, 9),
        "alpha": lambda: pillow("AVIF", quality=95, alpha=True),
        "ICC": lambda: pillow("AVIF", quality=95, icc_profile=adobe_rgb()),
        "rotation": lambda: pillow("AVIF", quality=95, exif=turned()),
        "several pictures": lambda: pillow("AVIF", quality=95, more=True),
    }),
    "HEIF (HEIC)": (codecs.HEIF, {
        "8 bit": heif, "10 to 16 bit": lambda: heif(DEEP, "BGR;16"),
        "alpha": lambda: heif(np.dstack([PIXELS, ALPHA]), "BGRA"),
        "ICC": lambda: heif(icc_profile=adobe_rgb(), icc_profile_type="prof"),
        "rotation": lambda: heif(exif=turned().tobytes()), "several pictures": lambda: heif(more=True),
    }),
    "JPEG XL": (codecs.JPEG_XL, {
        "8 bit": lambda: jpeg_xl(PIXELS[..., ::-1]),
        "10 to 16 bit": lambda: jpeg_xl(raws.linear_samples(PIXELS)[..., ::-1]),
        "float": lambda: jpeg_xl(FLOAT), "alpha": lambda: jpeg_xl(np.dstack([PIXELS[..., ::-1], ALPHA])),
        "ICC": lambda: jpeg_xl_of_jpeg(icc_profile=adobe_rgb()), "rotation": lambda: jpeg_xl_of_jpeg(exif=turned()),
        "several pictures": lambda: jpeg_xl(np.stack([PIXELS[..., ::-1], PIXELS[::-1, ::-1, ::-1]])),
    }),
    "camera raw (DNG, NEF, CR2, CR3, ARW, RAF, ...)": (codecs.CAMERA_RAW, {
        "10 to 16 bit": lambda: raws.bayer(PIXELS), "rotation": lambda: raws.bayer(PIXELS, (274, raws.SHORT, [6])),
    }),
    "OpenEXR": (None, {"float": exr}),
    "Radiance HDR": (None, {"float": lambda: opencv(".hdr", FLOAT)}),
    "PFM": (None, {"float": lambda: opencv(".pfm", FLOAT)}),
}  # fmt: skip


def off(pixels: Any, wanted: Any = PIXELS) -> float:
    """How many gray levels, of 255, pixels are off by."""
    if pixels.shape != wanted.shape:
        return np.inf
    scale = {1: 1, 2: 257}
    return float(np.abs(pixels / scale[pixels.itemsize] - wanted / scale[wanted.itemsize]).mean())


def cell(feature: str, data: bytes) -> str:
    """What the table says of a file that is PIXELS with a feature."""
    try:
        pixels = decode(data)
    except UnreadableImage:
        return "not read"
    if feature == "ICC":
        with decoded_data(data):
            profile = embedded_profile(data)
        converted = to_srgb(pixels, profile) if profile else pixels
        assert off(to_srgb(PIXELS, adobe_rgb())) > LOSSY
        is_converted = off(converted, to_srgb(PIXELS, adobe_rgb())) < LOSSY
        assert is_converted or off(pixels) < LOSSY
        return "converted" if is_converted else "ignored"
    if feature == "rotation":
        assert min(off(pixels), off(pixels, np.rot90(PIXELS, -1))) < OTHER
        return "upright" if off(pixels) > OTHER else "ignored"
    if feature == "alpha":
        pixels, _, alpha = decode_with_alpha(data)
        assert off(pixels[ALPHA > OTHER], PIXELS[ALPHA > OTHER]) < LOSSY, "alpha is multiplied by"
        assert alpha is None or off(alpha, ALPHA) < LOSSY
        return "ignored" if alpha is None else "read"
    assert off(pixels) < (LOSSY if feature != "10 to 16 bit" else OTHER)
    if feature == "10 to 16 bit" and pixels.dtype == np.uint8:
        return "as 8 bit"
    return "the first" if feature == "several pictures" else "read"


@cache
def row(name: str) -> str:
    codec, features = FORMATS[name]
    extra = {codecs.HEIF: "`[heif]`", codecs.JPEG_XL: "`[jxl]`", codecs.CAMERA_RAW: "`[raw]`"}.get(codec or codecs.AVIF)
    cells = [cell(column, features[column]() or b"") if column in features else "" for column in COLUMNS]
    return f"| {' | '.join([name, extra or '', *cells])} |"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_read_as_the_table_says(name: str) -> None:
    codec = FORMATS[name][0]
    for module, _ in codec.packages if codec else ():
        pytest.importorskip(module)
    assert row(name) in PAGE.read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(os.environ.get("TWIMAGER_FORMATS") != "write", reason="the table is only written on demand")
def test_the_table_is_written() -> None:
    head = [f"| {' | '.join(['format', 'extra', *COLUMNS])} |", "|" + "---|" * (len(COLUMNS) + 2)]
    before, *_, after = PAGE.read_text(encoding="utf-8").split("<!-- table -->")
    table = "\n".join(["", *head, *map(row, FORMATS), ""])
    PAGE.write_text("<!-- table -->".join([before, table, after]), encoding="utf-8")


def test_the_table_has_no_other_formats() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[1:]] == list(FORMATS)
