"""Pixels from the bytes of an image file; run as a module, in a process that may crash or be killed."""

from __future__ import annotations

import io
import os
import queue
import struct
import sys
import threading
from contextlib import suppress
from functools import cache
from typing import Any, BinaryIO

import cv2
import numpy as np

from twimager.errors import UnreadableImage
from twimager.image import codec_pixels, headers, jpeg, tiff, truncation
from twimager.image.codecs import codec_of
from twimager.image.headers import max_pixels
from twimager.image.pixels import Pixels
from twimager.runtime import child, decoder_warnings

# Colour, EXIF orientation applied, 8 or 16 bit as stored. IMREAD_UNCHANGED would ignore the orientation.
READ_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
# Formats of which decoders fill in what is missing, and warn.
WARNED_OF = (jpeg.SIGNATURE, *tiff.SIGNATURES)
DEPTHS = (np.dtype(np.uint8), np.dtype(np.uint16))
# What a process of its own may take beyond what it needs to start: a picture of the greatest size allowed, of 8 bit,
# and a copy of its coarsest kind. 800 MB for the default.
BYTES_PER_PIXEL = 4
# A request: how many bytes follow, OpenCV's flags, or COMPLETE_ROWS for those of a file that is cut short. An answer:
# bytes a value (0: a message instead), height, width, how many rows are missing, bytes that follow.
REQUEST = struct.Struct("<QI")
ANSWER = struct.Struct("<BIIIQ")
COMPLETE_ROWS = 1 << 31
# In place of OpenCV's flags: colours and alpha.
ALPHA = 1 << 30
_TRYING = threading.Lock()


def decode_here(data: bytes, flags: int = READ_FLAGS) -> Pixels:
    """Return the pixels of an encoded image, upright.

    Parameters
    ----------
    flags : OpenCV's, or ALPHA

    Returns
    -------
    with the usual flags (h, w, 3) BGR, uint8 or uint16; (h, w) where the flags are for gray; with ALPHA what is stored,
    (h, w, 3 or 4) BGR or BGRA, or (h, w), not turned

    Raises
    ------
    UnreadableImage
        If `data` is no image, is cut short, or holds pixels that are neither 8 nor 16 bit.
    """
    try:
        read = cv2.IMREAD_UNCHANGED if flags == ALPHA else flags
        pixels: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), read)
    except cv2.error as error:
        raise UnreadableImage(_complaint(error.err)) from error
    if pixels is None:
        raise UnreadableImage("not an image, or a damaged one")
    if pixels.dtype not in DEPTHS:
        raise UnreadableImage(f"{pixels.dtype} pixels; only 8 and 16 bit are supported")
    return pixels


def is_as_shown(pixels: Pixels, data: bytes) -> bool:
    """Tell whether what was decoded with ALPHA has colours, alpha if there is any, and is upright."""
    return pixels.ndim == 3 and b"eXIf" not in data and b"EXIF" not in data


def _with_pillows_alpha(data: bytes) -> Pixels:
    """Return the pixels of an encoded image with the alpha that Pillow reads, (h, w, 4); (h, w, 3) if it reads none."""
    from PIL import Image, ImageOps

    from twimager.image.files import PILLOW_ERRORS

    pixels = decode_here(data)
    Image.MAX_IMAGE_PIXELS = None  # the header has been tested against --max_pixels
    with suppress(*PILLOW_ERRORS), Image.open(io.BytesIO(data)) as image:
        alpha = np.asarray(ImageOps.exif_transpose(image).convert("RGBA").getchannel("A"))
        if alpha.shape == pixels.shape[:2]:
            top = np.iinfo(pixels.dtype).max
            return np.dstack([pixels, alpha.astype(pixels.dtype) * pixels.dtype.type(top // 255)])
    return pixels


def _complaint(error: str) -> str:
    if "CV_IO_MAX_IMAGE" in error:
        return f"too many pixels; --max_pixels {max_pixels()} is the limit"
    return f"cannot be decoded: {error}"


def decode_unwarned(data: bytes, flags: int = READ_FLAGS) -> Pixels | None:
    """Return the pixels of an encoded image, as `decode_here` does; None where they may not be all there.

    Of JPEG and TIFF files OpenCV decodes what there is. That something is missing is only printed, by whichever thread:
    which file it is only a process can tell that decodes one at a time.
    """
    if not data.startswith(WARNED_OF):
        return decode_here(data, flags)
    if decoder_warnings.length() is None or not are_warnings_recorded():
        return None
    before = decoder_warnings.length()
    pixels = decode_here(data, flags)
    return pixels if decoder_warnings.length() == before else None


def are_warnings_recorded() -> bool:
    """Tell whether damaged files leave a trace; found out once, before any thread decodes."""
    with _TRYING:
        return try_damaged()


@cache
def try_damaged() -> bool:
    """Tell whether OpenCV warns of damaged files; not where its log is silenced or its stderr is another one."""
    noise = (np.arange(256) * 97 % 251).astype(np.uint8).reshape(16, 16)
    jpg = bytes(cv2.imencode(".jpg", noise)[1])
    tif = bytes(cv2.imencode(".tif", noise, [cv2.IMWRITE_TIFF_COMPRESSION, tiff.PACKBITS])[1])
    # A part of a scan, and runs of 124 bytes in place of the 256 pixels.
    for damaged in (jpg[: len(jpg) * 3 // 4] + jpeg.END_OF_IMAGE, tif[:8] + b"\x85" * 32 + tif[40:]):
        before = decoder_warnings.length()
        with suppress(UnreadableImage):
            decode_here(damaged)
        if decoder_warnings.length() == before:
            return False
    return True


def decode_in_full(data: bytes, flags: int = READ_FLAGS) -> Pixels:
    """Return the pixels of an encoded image, as `decode_here` does; for a process that decodes one file at a time.

    Raises
    ------
    UnreadableImage
        Also if the decoder warns of picture data that are missing or damaged.
    """
    if codec := codec_of(data):
        return codec_pixels.decode(codec, data, alpha=flags == ALPHA)
    if data.startswith(jpeg.SIGNATURE):
        data = jpeg.tidied(data)
    for _ in range(headers.USUAL_SCANS):
        decoder_warnings.taken()
        pixels, warnings = decode_here(data, flags), decoder_warnings.taken()
        shorter = jpeg.without_padding(data, warnings) if data.startswith(jpeg.SIGNATURE) else None
        if shorter is None:
            break
        data = shorter
    if damage := decoder_warnings.DAMAGE.search(warnings):
        raise UnreadableImage(f"damaged or cut short: {damage[1].decode('ascii', 'replace')}")
    return _with_pillows_alpha(data) if flags == ALPHA and not is_as_shown(pixels, data) else pixels


def decode_complete_rows(data: bytes) -> tuple[Pixels, int]:
    """Return the complete rows of a file that is cut short, (h, w, 3), and how many are missing.

    Raises UnreadableImage as `decode_in_full` does, and if there are none.
    """
    shortened, missing = truncation.complete_rows(data, _is_complete)
    if not _is_complete(shortened):
        raise UnreadableImage("damaged")
    return decode_here(shortened), missing


def _is_complete(data: bytes) -> bool:
    """Tell whether all picture data are there, and maybe more."""
    decoder_warnings.taken()
    with suppress(UnreadableImage):
        decode_here(data)
        return not decoder_warnings.DAMAGE.search(jpeg.EXTRANEOUS.sub(b"", decoder_warnings.taken()))
    return False


def serve() -> None:
    """Decode what comes in on stdin until it ends; the answers go to stdout."""
    answers = child.answers()
    decoder_warnings.recorded_by_parent()
    requests: queue.Queue[tuple[bytes, int]] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        request = requests.get()
        child.limit_memory(BYTES_PER_PIXEL * max_pixels() + codec_pixels.LIBRARY_BYTES)
        for part in answer(*request):
            answers.write(part)
        answers.flush()


def _listen(stdin: BinaryIO, requests: queue.Queue[tuple[bytes, int]]) -> None:
    """Take requests; end the process along with its parent, even in the midst of an image."""
    with suppress(struct.error, OSError, MemoryError):
        while True:
            size, flags = REQUEST.unpack(stdin.read(REQUEST.size))
            requests.put((stdin.read(size), flags))
    os._exit(0)


def answer(data: bytes, flags: int) -> list[Any]:
    """Return what is sent in answer to a request: a head, and the pixels or why there are none."""
    try:
        pixels, missing = decode_complete_rows(data) if flags == COMPLETE_ROWS else (decode_in_full(data, flags), 0)
        pixels = np.ascontiguousarray(pixels)
    except (UnreadableImage, MemoryError) as error:
        message = str(error).encode("utf-8", "replace") or b"it takes too much memory"
        return [ANSWER.pack(0, 0, 0, 0, len(message)), message]
    height, width = pixels.shape[:2]
    return [ANSWER.pack(pixels.itemsize, height, width, missing, pixels.nbytes), pixels]


if __name__ == "__main__":
    serve()
