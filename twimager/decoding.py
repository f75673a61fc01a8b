"""Pixels from the bytes of an image file; run as a module, in a process that may crash or be killed."""

from __future__ import annotations

import os
import queue
import struct
import sys
import threading
from contextlib import suppress
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager import children
from twimager.anatomy import max_pixels
from twimager.errors import UnreadableImage

# (h, w, 3), BGR, uint8 or uint16.
Pixels = NDArray[Any]

# Colour, EXIF orientation applied, 8 or 16 bit as stored. IMREAD_UNCHANGED would ignore the orientation.
READ_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
DEPTHS = (np.dtype(np.uint8), np.dtype(np.uint16))
# What a process of its own may take beyond what it needs to start: a picture of the greatest size allowed, of 8 bit,
# and a copy of its coarsest kind. 800 MB for the default.
BYTES_PER_PIXEL = 4
# A request: how many bytes follow. An answer: bytes a value (0: a message instead), height, width, bytes that follow.
REQUEST = struct.Struct("<Q")
ANSWER = struct.Struct("<BIIQ")


def decode_here(data: bytes, flags: int = READ_FLAGS) -> Pixels:
    """Return the pixels of an encoded image, upright: with the usual flags (h, w, 3), BGR, uint8 or uint16.

    Raises
    ------
    UnreadableImage
        If `data` is no image, is cut short, or holds pixels that are neither 8 nor 16 bit.
    """
    try:
        pixels: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise UnreadableImage(_complaint(error.err)) from error
    if pixels is None:
        raise UnreadableImage("not an image, or a damaged one")
    if pixels.dtype not in DEPTHS:
        raise UnreadableImage(f"{pixels.dtype} pixels; only 8 and 16 bit are supported")
    return pixels


def _complaint(error: str) -> str:
    if "CV_IO_MAX_IMAGE" in error:
        return f"too many pixels; --max_pixels {max_pixels()} is the limit"
    return f"cannot be decoded: {error}"


def _serve() -> None:
    """Decode what comes in on stdin until it ends; the answers go to stdout."""
    answers = children.answers()
    _limit_memory(BYTES_PER_PIXEL * max_pixels())
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        for part in _answer(requests.get()):
            answers.write(part)
        answers.flush()


def _listen(stdin: BinaryIO, requests: queue.Queue[bytes]) -> None:
    """Take requests; end the process with the one that asks, even in the midst of an image."""
    with suppress(struct.error, OSError, MemoryError):
        while True:
            (size,) = REQUEST.unpack(stdin.read(REQUEST.size))
            requests.put(stdin.read(size))
    os._exit(0)


def _answer(data: bytes) -> list[Any]:
    try:
        pixels = np.ascontiguousarray(decode_here(data))
    except (UnreadableImage, MemoryError) as error:
        message = str(error).encode("utf-8", "replace") or b"it takes too much memory"
        return [ANSWER.pack(0, 0, 0, len(message)), message]
    height, width = pixels.shape[:2]
    return [ANSWER.pack(pixels.itemsize, height, width, pixels.nbytes), pixels]


def _limit_memory(allowance: int) -> None:
    """Let this process take so many bytes more, where the system can be told so."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as sizes:
            taken = int(sizes.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + allowance, taken + allowance))


if __name__ == "__main__":
    _serve()
