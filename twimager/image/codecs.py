"""Formats that libraries of their own decode: how they are recognised, and what has to be installed for them."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from twimager.errors import UnsupportedFormat
from twimager.image import boxes, jpeg_xl, tiff

AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
CR3_BRAND = b"crx "
# ORF, RW2, RAF, X3F, CRW and MRW; the other camera raws are TIFF files.
RAW_SIGNATURES = (
    b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"II\x1a\0\0\0HEAPCCDR", b"\0MRM",
)  # fmt: skip
# Bytes a pixel that LibRaw holds while it develops: the samples, four 16-bit values, and what it makes of them.
RAW_BUFFER = 24


class Codec(NamedTuple):
    """A format that a library of its own decodes.

    Attributes
    ----------
    name : of the format
    packages : what has to be installed, a module and its package each
    """

    name: str
    packages: tuple[tuple[str, str], ...] = ()

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [package for module, package in self.packages if not _is_installed(module)]

    def require(self) -> None:
        """Raise UnsupportedFormat if a package is missing."""
        if self.missing:
            raise UnsupportedFormat(f"{self.name}: pip install {' '.join(self.missing)}")


@cache
def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


AVIF = Codec("AVIF")
HEIF = Codec("HEIF", (("pillow_heif", "pillow-heif"),))
JPEG_XL = Codec("JPEG XL", (("imagecodecs", "imagecodecs"), ("pillow_jxl", "pillow-jxl-plugin")))
CAMERA_RAW = Codec("camera raw", (("rawpy", "rawpy"),))


def codec_of(data: bytes) -> Codec | None:
    """Return what decodes a file, None for OpenCV; 32 bytes suffice but for camera raws that are TIFF files."""
    if data.startswith((jpeg_xl.CODESTREAM, jpeg_xl.CONTAINER)):
        return JPEG_XL
    brands = boxes.brands(data)
    if data.startswith(RAW_SIGNATURES) or CR3_BRAND in brands or _is_raw_tiff(data):
        return CAMERA_RAW
    if AVIF_BRANDS & set(brands):
        return AVIF
    return HEIF if HEIF_BRANDS & set(brands) else None


def _is_raw_tiff(data: bytes) -> bool:
    with suppress(struct.error):
        return data.startswith(tiff.SIGNATURES) and tiff.is_camera_raw(data, tiff.directories(data))
    return False
