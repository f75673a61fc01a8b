"""Decode image files; what is held for as long as a block lasts is admitted against the memory budget of the run."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from twimager.errors import UnreadableImage
from twimager.image import decoder_process, headers, jpeg, tiff
from twimager.image.decoder_process import ALPHA
from twimager.image.decoders import decoders
from twimager.image.depth import FullRange, full_range
from twimager.image.files import read_bytes
from twimager.image.headers import Header
from twimager.image.icc import embedded_profile, to_srgb
from twimager.image.opacity import straight
from twimager.image.pixels import Gray, Pixels, to_gray
from twimager.runtime.memory import budget

# What libraries raise for one image, or one pair, that is beyond them; it is no reason to end the run.
LIBRARY_ERRORS = (cv2.error, MemoryError, np.linalg.LinAlgError, ArithmeticError)
CHANNELS = 3
# Pixels beyond which an image is analysed from as few bytes of each as can be.
LARGE = 32_000_000
# Values of 14 bits in 16 are no larger in 8.
DIM = 63
# OpenCV holds what it has decoded while it is copied into an array; what another process has decoded arrives here too.
COPIES = 2
# Bytes that do not depend on the size of a picture: tables, rows, small copies.
OVERHEAD = 1 << 20
# Bytes a pixel that it takes to leave out what is transparent.
ALPHA_BYTES = 14
UNKNOWN = Header(None)

_in_memory: dict[Path, FullRange] = {}


def decode(data: bytes, header: Header | None = None) -> Pixels:
    """Return the pixels of an encoded image; of an animation those of the first picture.

    What is not an everyday file, or may be damaged, is decoded in another process, which may crash or hang.

    Parameters
    ----------
    header : that of `data`, where it is known

    Returns
    -------
    (h, w, 3) BGR, uint8 or uint16, upright, of full range: 10 or 12 bits that are in use are scaled to 16

    Raises
    ------
    UnreadableImage
        If `data` is no image, is cut short or damaged, has more pixels than are allowed or some that are neither 8
        nor 16 bit.
    """
    return decode_with_bits(data, header).pixels


def decode_with_bits(data: bytes, header: Header | None = None) -> FullRange:
    """Return what `decode` does, and how many bits are in use."""
    pixels = decoder_process.decode_unwarned(data) if (header or headers.parse(data)).everyday else None
    return full_range(decoders.decode(data) if pixels is None else pixels, data)


def decode_with_alpha(data: bytes, header: Header | None = None, missing: int = 0) -> FullRange:
    """Return the pixels of an encoded image, how many bits are in use, and its alpha.

    Of a file that lacks rows those that are complete, and no alpha. Colours are not multiplied by alpha, however they
    are stored. Parameters and errors are those of `decode`.
    """
    if missing:
        return full_range(decoders.complete_rows(data)[0], data)
    header = header or headers.parse(data)
    if not header.has_alpha:
        return decode_with_bits(data, header)
    found = decoder_process.decode_unwarned(data, ALPHA) if header.everyday else None
    if found is None or not decoder_process.is_as_shown(found, data):
        found = decoders.decode(data, ALPHA)
    scaled = full_range(found, data)
    if found.shape[2] == CHANNELS:
        return scaled
    found = scaled.pixels
    pixels, alpha = (np.asarray(p) for p in (cv2.cvtColor(found, cv2.COLOR_BGRA2BGR), cv2.extractChannel(found, 3)))
    if alpha.min() == np.iinfo(alpha.dtype).max:
        return scaled._replace(pixels=pixels)
    by_libtiff = data.startswith(tiff.BIG_SIGNATURES) and alpha.dtype == np.uint8
    if by_libtiff or (data.startswith(tiff.SIGNATURES) and tiff.directory(data).is_multiplied):
        pixels = straight(pixels, alpha)
    return FullRange(pixels, scaled.bits, alpha)


def decode_rows(data: bytes) -> tuple[Pixels, int]:
    """Return the complete rows of an image that is cut short, and how many are missing.

    Returns
    -------
    pixels : (h, w, 3) BGR, uint8 or uint16, upright
    missing : in rows

    Raises
    ------
    UnreadableImage
        If no rows are complete: the file is damaged otherwise, or not stored row by row.
    """
    rows, missing = decoders.complete_rows(data)
    return full_range(rows, data).pixels, missing


def decode_gray(data: bytes, header: Header | None = None, directly: bool = False) -> Gray:
    """Return the gray of an encoded image, (h, w), uint8 or uint16, upright; raises as `decode` does.

    Of a JPEG the colours, which it stores apart, are not decoded: that saves a quarter of the time.

    Parameters
    ----------
    header : that of `data`, where it is known
    directly : decode to 8 bit, in a third to a sixth of the memory, unless less than 16 may be in use
    """
    return _gray_with_bits(data, header or headers.parse(data), directly).pixels


def _gray_with_bits(data: bytes, header: Header, directly: bool) -> FullRange:
    if header.everyday and (directly or data.startswith(jpeg.SIGNATURE)):
        pixels = decoder_process.decode_unwarned(data, cv2.IMREAD_GRAYSCALE)
        pixels = decoders.decode(data, cv2.IMREAD_GRAYSCALE) if pixels is None else pixels
        if header.depth == 1 or pixels.max() > DIM:
            return FullRange(pixels, 8 * header.depth)
    found = decode_with_bits(data, header)
    return found._replace(pixels=to_gray(found.pixels))


def read_image(path: Path) -> Pixels:
    """Return the pixels of an image file, (h, w, 3) BGR, uint8 or uint16; raises as `decode` does."""
    return decode(read_bytes(path))


class Analysed(NamedTuple):
    """What `decoded_for_analysis` yields.

    Attributes
    ----------
    pixels : gray, (h, w), or colours, (h, w, 3) BGR; uint8 or uint16
    profile : the colour profile to convert colours by
    depth : bytes of a value in the file, at most
    bits : how many of a value are in use
    alpha : (h, w), None where it is opaque everywhere
    """

    pixels: Pixels | Gray
    profile: bytes | None
    depth: int
    bits: int
    alpha: Pixels | None = None


def complaint(error: BaseException) -> str:
    """Return the message of one of LIBRARY_ERRORS, in a line."""
    if isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.StsNoMem:
        return "out of memory"
    return " ".join(str(getattr(error, "err", "") or error).split()) or type(error).__name__


@contextmanager
def in_memory(pixels: Pixels) -> Iterator[Path]:
    """Yield a path under which `decoded` and `decoded_for_analysis` find pixels that are in no file.

    It holds while the block lasts. As a PNG that is not compressed, 12 megapixels of 8 bit would take half a second
    more, and of 16 bit 0.9.

    Parameters
    ----------
    pixels : (h, w) gray or (h, w, 3) BGR, uint8 or uint16; never written to
    """
    path = Path(f"twimager-{uuid.uuid4()}")
    held = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)) if pixels.ndim == 2 else pixels.view()
    held.flags.writeable = False
    _in_memory[path] = full_range(held)
    try:
        yield path
    finally:
        del _in_memory[path]


@contextmanager
def decoded(path: Path, srgb: bool, more: float = 0, missing: int = 0) -> Iterator[Pixels]:
    """Yield the pixels of a file, (h, w, 3) BGR, uint8 or uint16, upright, of full range, bars and all.

    Parameters
    ----------
    srgb : whether pixels with another colour profile are converted
    more : bytes a pixel that the block takes beside them
    missing : how many rows the file lacks; where there are such, only those that are complete are decoded

    Raises
    ------
    UnreadableImage
        If it can't be read or takes more memory than there is, be it in the block.
    """
    with decoded_with_alpha(path, srgb, more, missing) as found:
        yield found.pixels


@contextmanager
def decoded_with_alpha(path: Path, srgb: bool, more: float = 0, missing: int = 0) -> Iterator[FullRange]:
    """Yield what `decoded` does, how many bits of a value are in use, and alpha."""
    if (held := _in_memory.get(path)) is not None:
        with _unreadable():
            yield held
        return
    with _opened(path) as (data, admit):
        header, profile = _header(data, missing), embedded_profile(data) if srgb else None
        admit(decoding_bytes(header, more=more))
        found = decode_with_alpha(data, header, missing)
        yield found._replace(pixels=to_srgb(found.pixels, profile)) if profile else found


@contextmanager
def decoded_for_analysis(path: Path, srgb: bool, missing: int = 0, more: float = 0) -> Iterator[Analysed]:
    """Yield what `decoded` does in the fewest bytes from which gray can be had, and the profile to convert it by.

    That is gray, (h, w), or where there is a profile colours, (h, w, 3): small copies are converted in less time. Of a
    large picture it is 8-bit gray, whatever its profile, which hardly changes that. Parameters are those of `decoded`.
    """
    if (held := _in_memory.get(path)) is not None:
        with _unreadable():
            yield Analysed(to_gray(held.pixels), None, held.pixels.itemsize, held.bits)
        return
    with _opened(path) as (data, admit):
        header = _header(data, missing)
        large = header.size is not None and math.prod(header.size) > LARGE
        profile = embedded_profile(data) if srgb and not large else None
        # What is of 16 bit may have to be decoded in full.
        admit(decoding_bytes(header, gray=large and header.depth == 1, more=1 + more))
        if profile or missing or header.has_alpha:
            found = decode_with_alpha(data, header, missing)
            found = found if profile else found._replace(pixels=to_gray(found.pixels))
        else:
            found = _gray_with_bits(data, header, large)
        depth = header.depth if large else found.pixels.itemsize
        yield Analysed(found.pixels, profile, depth, found.bits, found.alpha)


def missing_rows(path: Path) -> int:
    """Return how many rows a file lacks that is cut short; raises UnreadableImage as `decode_rows` does."""
    with _opened(path) as (data, admit):
        admit(decoding_bytes(UNKNOWN))
        return decode_rows(data)[1]


def _header(data: bytes, missing: int) -> Header:
    """Return the header of a file; an empty one for a file that lacks rows."""
    return UNKNOWN if missing else headers.parse(data)


def decoding_bytes(header: Header, *, gray: bool = False, more: float = 0) -> int:
    """Return how many bytes it takes to decode a file with this header, its own not counted.

    In full, or to 8-bit gray; `more` bytes a pixel are taken beside them. What only a decoder can tell the size of is
    taken to be as large as its process may decode.
    """
    if header.size is None:
        return min(budget.limit // 2, (COPIES + 1) * CHANNELS * headers.max_pixels())
    more += ALPHA_BYTES * header.has_alpha
    directly = gray and header.everyday and not header.has_alpha
    pixel = 1 if directly else (CHANNELS + header.has_alpha) * header.depth
    held = max(COPIES * pixel, pixel + header.buffer) + (0 if header.everyday else pixel)
    return int(math.prod(header.size) * (held + more)) + OVERHEAD


@contextmanager
def decoded_data(data: bytes) -> Iterator[FullRange]:
    """Yield the pixels of an encoded image, and how many bits of a value are in use; raises as `decoded` does."""
    header = headers.parse(data)
    with budget.admit(decoding_bytes(header)), _unreadable():
        yield decode_with_bits(data, header)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[bytes, Callable[[int], None]]]:
    """Yield what a file holds, and what admits its pixels."""
    with budget.admit_file(path) as admit, _unreadable():
        yield read_bytes(path), admit


@contextmanager
def _unreadable() -> Iterator[None]:
    """Raise UnreadableImage in place of LIBRARY_ERRORS."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise UnreadableImage(complaint(error)) from error
