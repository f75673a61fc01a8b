"""Image files: list them, read their pixels, encode them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twimager.errors import UnreadableImage
from twimager.options import Format

# (h, w, 3), BGR, uint8 or uint16.
Pixels = NDArray[Any]
# (h, w), 0 to 255: uint8, or float32 where roundings would matter.
Gray = NDArray[np.uint8] | NDArray[np.float32]

# Colour, EXIF orientation applied, 8 or 16 bit as stored. IMREAD_UNCHANGED would ignore the orientation.
READ_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
# What file managers leave behind; files whose names begin with a dot are passed over too.
NOT_IMAGES = {"thumbs.db", "desktop.ini"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PILLOW_NAMES = {Format.WEBP: "WEBP", Format.TIFF: "TIFF", Format.JPG: "JPEG"}
# EXIF's (and TIFF's) tag for how a picture is to be turned, and its value for not at all.
ORIENTATION, UPRIGHT = 0x0112, 1
# OpenCV's WebP quality for lossless, and JPEG without its usual halving of the colours' resolution.
LOSSLESS = 101
FULL_COLOR = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444


def list_files(folder: Path, recursive: bool) -> list[Path]:
    """Return the files of `folder` (and below it), sorted by their path inside it, hidden ones left out."""
    found = _walk(folder) if recursive else folder.iterdir()
    wanted = (p for p in found if p.is_file() and not p.name.startswith(".") and p.name.lower() not in NOT_IMAGES)
    return sorted(wanted, key=lambda p: p.relative_to(folder).parts)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        yield from (Path(parent, name) for name in names)


def decode(data: bytes) -> Pixels:
    """Return the pixels of an encoded image: (h, w, 3), BGR, uint8 or uint16, upright.

    Raises
    ------
    UnreadableImage
        If `data` is no image, is cut short, or holds pixels that are neither 8 nor 16 bit.
    """
    if not data:
        raise UnreadableImage("empty file")
    try:
        pixels: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), READ_FLAGS)
    except cv2.error as error:
        raise UnreadableImage(f"cannot be decoded: {error.err}") from error
    if pixels is None:
        raise UnreadableImage("not an image, or a damaged one")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(f"{pixels.dtype} pixels; only 8 and 16 bit are supported")
    return pixels


def read_bytes(path: Path) -> bytes:
    """Return what a file holds; UnreadableImage if it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(error.strerror or str(error)) from error


def read_image(path: Path) -> Pixels:
    """Return the pixels of an image file, as `decode` does."""
    return decode(read_bytes(path))


def encode(pixels: Pixels, kind: Format, quality: int = 95) -> bytes:
    """Return `pixels` as a file: losslessly but for JPEG, of 8 or 16 bit as they are where the format has both."""
    if kind in (Format.JPG, Format.WEBP):
        pixels = to_8_bit(pixels)
    settings = {
        Format.JPG: [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, FULL_COLOR],
        Format.WEBP: [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS],
    }
    data: bytes = cv2.imencode(f".{kind.value}", pixels, settings.get(kind, []))[1].tobytes()
    return data


def is_plain(data: bytes, kind: Format) -> bool:
    """Tell whether any reader sees in this file just what `decode` does: of that format, upright, a single picture."""
    if kind is Format.PNG:
        return data.startswith(PNG_SIGNATURE) and b"eXIf" not in data and b"acTL" not in data
    try:
        with Image.open(BytesIO(data), formats=[PILLOW_NAMES[kind]]) as image:
            single = getattr(image, "n_frames", 1) == 1 and image.getexif().get(ORIENTATION, UPRIGHT) == UPRIGHT
            return single and image.format == PILLOW_NAMES[kind]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def to_8_bit(pixels: Pixels) -> Pixels:
    """Return 8-bit pixels; 16-bit ones are divided by 257, so that white stays white."""
    return pixels if pixels.dtype == np.uint8 else np.asarray(cv2.convertScaleAbs(pixels, alpha=1 / 257))


def shrink(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return `pixels` at `size` (width, height), area-averaged."""
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def frame_size(pixels: Pixels) -> tuple[int, int]:
    """Return (width, height)."""
    return pixels.shape[1], pixels.shape[0]
