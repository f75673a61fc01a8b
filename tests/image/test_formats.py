"""The table of docs/formats.md: one file of each format and feature is written and read.

`TWIMAGER_FORMATS=write` makes the table anew, where all extras are installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support import raws
from tests.support.formats import (
    ALPHA,
    DEEP,
    FLOAT,
    PIXELS,
    exr,
    heif,
    jpeg_xl,
    jpeg_xl_of_jpeg,
    opencv,
    pillow,
    turned,
    with_profile,
)  # fmt: skip
from tests.support.icc import adobe_rgb
from tests.support.paths import ROOT
from twimager.errors import UnreadableImage
from twimager.image import codecs
from twimager.image.codecs import Codec
from twimager.image.decode import decode, decode_with_alpha, decoded_data
from twimager.image.icc import embedded_profile, to_srgb

PAGE = ROOT / "docs/formats.md"
COLUMNS = ("8 bit", "10 to 16 bit", "float", "alpha", "ICC", "rotation", "several pictures")
# Gray levels, of 255, by which lossy formats may be off, and what another picture or other colours are off by.
LOSSY, OTHER = 4, 8

Features = dict[str, Callable[[], bytes]]


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


def alpha_cell(data: bytes) -> str:
    """What the table says of the alpha of a file."""
    with_alpha = decode_with_alpha(data)
    if with_alpha.alpha is None:
        return "ignored"
    opaque = ALPHA > 64  # below, colours that were multiplied by alpha have few levels
    assert off(with_alpha.alpha[..., None], ALPHA[..., None]) < LOSSY
    assert off(with_alpha.pixels[opaque], PIXELS[opaque]) < LOSSY
    return "read"


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
        return "converted" if off(converted, to_srgb(PIXELS, adobe_rgb())) < LOSSY else "ignored"
    if feature == "rotation":
        return "upright" if off(pixels, np.rot90(PIXELS, -1)) < OTHER else "ignored"
    if feature == "alpha":
        return alpha_cell(data)
    assert off(pixels) < (LOSSY if feature != "10 to 16 bit" else OTHER)
    if feature == "10 to 16 bit" and pixels.dtype == np.uint8:
        return "as 8 bit"
    return "the first" if feature == "several pictures" else "read"


@cache
def row(name: str) -> str:
    codec, features = FORMATS[name]
    extra = {codecs.HEIF: "`[heif]`", codecs.JPEG_XL: "`[jxl]`", codecs.CAMERA_RAW: "`[raw]`"}.get(codec or codecs.AVIF)
    cells = [cell(column, features[column]()) if column in features else "" for column in COLUMNS]
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
