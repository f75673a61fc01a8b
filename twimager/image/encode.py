"""Encode pixels as image files."""

from __future__ import annotations

import cv2
import numpy as np

from twimager.image.pixels import Pixels, to_8_bit
from twimager.options import Format

# OpenCV's WebP quality for lossless, and JPEG without its usual halving of the colours' resolution.
LOSSLESS = 101
FULL_COLOR = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
# In noisy pictures no more values than this equal the one above.
NOISY = 0.2


def encode(pixels: Pixels, kind: Format, quality: int = 95, profile: bytes | None = None) -> bytes:
    """Return pixels as the bytes of a file; lossless but for JPEG.

    Parameters
    ----------
    pixels : (h, w) or (h, w, 3) BGR, uint8 or uint16; the latter as 8 bit where the format has no more
    quality : of JPEG, 0 to 100
    profile : an ICC profile to embed; not in TIFF
    """
    if kind in (Format.JPG, Format.WEBP):
        pixels = to_8_bit(pixels)
    settings = {
        Format.JPG: [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, FULL_COLOR],
        Format.WEBP: [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS],
        Format.PNG: _png_settings(pixels) if kind is Format.PNG else [],
    }
    # Not by `imencodeWithMetadata` where there is none: in files of OpenCV's own they would be other bytes.
    about = [[cv2.IMAGE_METADATA_ICCP], [np.frombuffer(profile, np.uint8)]] if profile else []
    save = cv2.imencodeWithMetadata if profile else cv2.imencode
    data: bytes = save(f".{kind.value}", pixels, *about, settings.get(kind, []))[1].tobytes()
    return data


def _png_settings(pixels: Pixels) -> list[int]:
    """Return OpenCV's settings for what makes the smaller file in less time.

    Rows are stored as differences from the row above. Looking for repetitions in them pays for drawings and clean film
    (a fifth to nine tenths smaller); most photographs get 1 to 5 % smaller by it, for a fifth more time.
    """
    settings = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    above, below = pixels[:-1:16], pixels[1::16]
    if not len(below) or (above == below).mean() > NOISY:
        return settings
    return [*settings, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
