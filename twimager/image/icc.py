"""Colour profiles: bring the pixels of a file that has one to sRGB, which all others are taken to be in."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from twimager.image import boxes
from twimager.image.codecs import AVIF, HEIF, codec_of
from twimager.image.files import PILLOW_ERRORS
from twimager.image.pixels import Pixels

# How PNG, JPEG, WebP and TIFF files (of either byte order) begin, and what announces a profile in them; in a PNG it
# stands before the pixels, which then need not be searched for it.
PNG, PNG_PIXELS = b"\x89PNG", b"IDAT"
ANNOUNCED = {
    PNG: b"iCCP",
    b"\xff\xd8": b"ICC_PROFILE\0",
    b"RIFF": b"ICCP",
    b"II": struct.pack("<HH", 34675, 7),
    b"MM": struct.pack(">HH", 34675, 7),
}
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
# A profile that changes no colour by more levels than this is sRGB itself, whatever it is called.
SAME_COLOR = 2
# Rows that are converted at a time: each pixel takes many times its own bytes.
BAND = 128
# From the profiles' white point (D50) to linear sRGB (ICC's sRGB profile, inverted).
XYZ_TO_SRGB = np.array([[3.1339, -1.6169, -0.4906], [-0.9785, 1.9160, 0.0333], [0.0720, -0.2290, 1.4057]])


def embedded_profile(data: bytes) -> bytes | None:
    """Return the colour profile that an image file holds, if that is for RGB and not sRGB; else None."""
    try:
        profile = _profile(data)
        return profile if profile and _to_srgb(profile) else None
    except PILLOW_ERRORS:
        return None


def _profile(data: bytes) -> bytes | None:
    codec = codec_of(data)
    if codec in (AVIF, HEIF):
        return boxes.profile(data)
    beginning = next((beginning for beginning in ANNOUNCED if data.startswith(beginning)), None)
    if beginning is None or codec:
        return None
    end = data.find(PNG_PIXELS) if beginning == PNG else len(data)
    if data.find(ANNOUNCED[beginning], 0, end) < 0:
        return None
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        return image.info.get("icc_profile") if image.mode in ("RGB", "RGBA", "P", "RGBX") else None


def to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """Return pixels in sRGB.

    8-bit ones are LittleCMS's, relative colorimetric; 16-bit ones, for which Pillow has no mode, are computed from the
    profile's curves and primaries, and left as they are where it has tables instead.

    Parameters
    ----------
    pixels : (h, w, 3) BGR, uint8 or uint16
    profile : an ICC profile, for RGB

    Returns
    -------
    (h, w, 3) BGR, of the same type
    """
    convert = _deep_converter(profile) if pixels.dtype == np.uint16 else _converter(profile)
    if convert is None:
        return pixels
    converted = np.empty_like(pixels)
    for top in range(0, len(pixels), BAND):
        converted[top : top + BAND] = convert(pixels[top : top + BAND])
    return converted


def _converter(profile: bytes) -> Callable[[Pixels], Pixels] | None:
    """Return what converts 8-bit pixels, None where there is nothing to convert."""
    transform = _to_srgb(profile)
    if transform is None:
        return None

    def convert(pixels: Pixels) -> Pixels:
        picture = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
        return np.asarray(ImageCms.applyTransform(picture, transform))[..., ::-1]

    return convert


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from an RGB profile to sRGB; None where there is nothing to transform."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            return None
        made = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    change = np.asarray(ImageCms.applyTransform(Image.fromarray(colors), made)).astype(int) - colors
    return made if abs(change).max() > SAME_COLOR else None


def _deep_converter(profile: bytes) -> Callable[[Pixels], Pixels] | None:
    """Return what converts 16-bit pixels, by a profile's tone curves and primaries; None if it is damaged or has none.

    See ICC.1:2010, 10.5, 10.15 and annex F.3.
    """
    try:
        tags = _tags(profile)
        if not {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"} <= tags.keys():
            return None
        ramp = np.linspace(0, 1, 65536)
        curves = [_curve(tags[name], ramp).astype(np.float32) for name in (b"bTRC", b"gTRC", b"rTRC")]
        primaries = np.stack([_fixed(tags[name][8:20]) for name in (b"bXYZ", b"gXYZ", b"rXYZ")], axis=1)
        mixture = (XYZ_TO_SRGB[::-1] @ primaries).astype(np.float32)
    except (struct.error, ValueError, IndexError):
        return None

    def convert(pixels: Pixels) -> Pixels:
        linear = np.stack([curve[pixels[..., channel]] for channel, curve in enumerate(curves)], axis=-1)
        level = np.clip(cv2.transform(linear, mixture), 0, 1)
        encoded = np.where(level <= 0.0031308, 12.92 * level, 1.055 * level ** (1 / 2.4) - 0.055)
        return np.asarray(np.rint(encoded * 65535), np.uint16)

    return convert


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return a profile's tags by name."""
    count = struct.unpack_from(">I", profile, 128)[0]
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(count))
    return {name: profile[start : start + size] for name, start, size in entries}


def _curve(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a tone curve's linear values for encoded ones of 0 to 1."""
    if tag[:4] == b"curv":
        count = struct.unpack_from(">I", tag, 8)[0]
        table = np.frombuffer(tag, ">u2", count, 12)
        if count == 0:
            return x
        return np.asarray(
            x ** (table[0] / 256) if count == 1 else np.interp(x, np.linspace(0, 1, count), table / 65535)
        )
    kind = struct.unpack_from(">H", tag, 8)[0]
    g, a, b, c, d, e, f = (*_fixed(tag[12:]), *[0.0] * 7)[:7]
    if kind == 0:
        return np.asarray(x**g)
    bent = np.clip(a * x + b, 0, None) ** g
    if kind in (1, 2):  # below, the straight part is the constant c, or 0
        return np.asarray(bent + (c if kind == 2 else 0))
    return np.asarray(np.where(x >= d, bent + e, c * x + f))


def _fixed(data: bytes) -> NDArray[np.float64]:
    """Return 16.16 fixed-point numbers."""
    return np.frombuffer(data, ">i4", len(data) // 4) / 65536
