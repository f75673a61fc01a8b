"""How many bits of the 16 of a value are in use, and pixels brought to full range, 8 or 16 bit.

Cameras, scanners and microscopes have 10, 12 or 14 bits, which many programs store as they are: white is 4095.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from twimager.image import tiff
from twimager.image.codecs import codec_of
from twimager.image.headers import PNG_SIGNATURE
from twimager.image.pixels import Pixels, to_8_bit

FULL = 16
# What devices have. None of 100 photographs and 250 frames of a film is darker than half of white all over, and what is
# darker than a quarter (14 bits), or a sixteenth (12), all over is nearly black: it is seen the better for it, and
# written as it is unless --depth says otherwise.
USUAL_BITS = (8, 10, 12, 14)
# Of a value that was stretched from 8 bit to 16, both bytes are equal, or the lower one is 0: dark ones are dark.
STRETCHES = (257, 256)
# So many rows apart it is tested whether values are stretched.
STRIDE = 8
MAX_SAMPLE, SMAX_SAMPLE = 281, 341
# Rows that are scaled at a time.
BAND = 256


class FullRange(NamedTuple):
    """Pixels whose white is the greatest value of their type, how many bits their file uses for it, and their alpha.

    Attributes
    ----------
    pixels : (h, w, 3) BGR, uint8 or uint16
    bits : 8 for uint8; 8 to 16 for uint16
    alpha : (h, w), of the type of the pixels; None where it is opaque everywhere, or was not decoded
    """

    pixels: Pixels
    bits: int
    alpha: Pixels | None = None


def full_range(pixels: Pixels, data: bytes = b"") -> FullRange:
    """Return decoded pixels, scaled by the bits that are in use: by what the file says, else by the largest value.

    Parameters
    ----------
    pixels : (h, w, ...), uint8 or uint16, as stored
    data : the file
    """
    if pixels.dtype == np.uint8:
        return FullRange(pixels, 8)
    bits = _bits_in_use(pixels, data)
    return FullRange(pixels if bits == FULL else _scaled_up(pixels, bits), bits)


def _bits_in_use(pixels: Pixels, data: bytes) -> int:
    largest = int(pixels.max())
    stated = _stated_bits(data)
    if stated and largest < 1 << stated:
        return stated
    # The PNG specification has fewer significant bits in the upper ones.
    if stated and data.startswith(PNG_SIGNATURE):
        return FULL
    bits = next((bits for bits in USUAL_BITS if largest < 1 << bits), FULL)
    rows = pixels[::STRIDE]
    return FULL if bits < FULL and any(not (rows % stretch).any() for stretch in STRETCHES) else bits


def _stated_bits(data: bytes) -> int | None:
    """Return the bits that suffice for what a file says is its largest value, at least 8; None where it says nothing.

    PNG: sBIT; TIFF: SMaxSampleValue, MaxSampleValue; PNM and PAM: maxval. What codecs decode is scaled already.
    """
    if codec_of(data):
        return FULL
    bits = 0
    with suppress(struct.error, IndexError, ValueError):
        if data.startswith(PNG_SIGNATURE):
            at = data.find(b"sBIT", 0, data.find(b"IDAT"))
            bits = max(data[at + 4 : at + 4 + struct.unpack_from(">I", data, at - 4)[0]]) if at > 0 else 0
        elif data.startswith(tiff.SIGNATURES):
            found = tiff.directory(data, {MAX_SAMPLE, SMAX_SAMPLE}).tags
            bits = max(found.get(SMAX_SAMPLE) or found.get(MAX_SAMPLE, (0,))).bit_length()
        elif data.startswith(b"P"):
            header = re.sub(rb"#[^\n]*", b"", data[:1024]).split()
            bits = int(header[header.index(b"MAXVAL") + 1 if data[1:2] == b"7" else 3]).bit_length()
            bits %= FULL  # which many programs write whatever the values are
    return bits if 8 <= bits <= FULL else None


def _scaled_up(pixels: Pixels, bits: int) -> Pixels:
    """Return pixels of so many bits, 8 to 15, of full range; the upper ones are repeated below: white stays white."""
    scaled = np.empty_like(pixels)
    for top in range(0, len(pixels), BAND):
        rows = pixels[top : top + BAND]
        scaled[top : top + BAND] = rows << (FULL - bits) | rows >> (2 * bits - FULL)
    return scaled


def at_depth(pixels: Pixels, depth: int | None, bits: int) -> Pixels:
    """Return pixels of full range as they are to be written.

    Parameters
    ----------
    pixels : (h, w, ...), uint8 or uint16
    depth : 8 or 16, of full range; None as in their file
    bits : that are in use there

    Returns
    -------
    (h, w, ...), uint8 or uint16
    """
    if depth == 8:
        return to_8_bit(pixels)
    if depth == FULL:
        return pixels if pixels.dtype == np.uint16 else pixels * np.uint16(257)
    if pixels.dtype == np.uint8 or bits == FULL:
        return pixels
    scaled = np.empty_like(pixels)
    factor = np.float32(((1 << bits) - 1) / 65535)
    for top in range(0, len(pixels), BAND):
        scaled[top : top + BAND] = np.rint(pixels[top : top + BAND] * factor)
    return scaled
