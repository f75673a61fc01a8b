"""What holds while a call lasts: images in memory, messages to the logger, settings of the process."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import UnreadableImage
from twimager.fingerprint.working_image import drop_working_images
from twimager.image.decode import in_memory
from twimager.image.decoders import decoders
from twimager.image.pixels import frame_size
from twimager.runtime.console import Console

# (h, w) gray or (h, w, 3) BGR as OpenCV reads it, uint8 or uint16; or a file.
Image = NDArray[Any] | str | os.PathLike[str]
# FAISS's threads wait for each other at full speed unless OpenMP is told not to before FAISS is imported.
WAIT_POLICY, PASSIVE = "OMP_WAIT_POLICY", "PASSIVE"
log = logging.getLogger("twimager")
log.addHandler(logging.NullHandler())


@contextmanager
def image_file(image: Image, name: str, size: tuple[int, int] | None = None) -> Iterator[Path]:
    """Yield the path of an image, of an array one that stands for it; ValueError if that has another size."""
    if not isinstance(image, np.ndarray):
        yield Path(image)
        return
    if image.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"{name} has values of {image.dtype}; they must be uint8 or uint16")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or not image.size:
        raise ValueError(f"{name} is an array of shape {image.shape}; it must be (h, w) or (h, w, 3)")
    if size and frame_size(image) != size:
        raise ValueError(f"{name} is {image.shape[1]}x{image.shape[0]}; {size[0]}x{size[1]} was aligned")
    with in_memory(np.ascontiguousarray(image)) as path:
        yield path


@contextmanager
def naming(image: Image, name: str) -> Iterator[None]:
    """Name the image in the errors that are raised for it."""
    try:
        yield
    except UnreadableImage as error:
        raise type(error)(f"{name if isinstance(image, np.ndarray) else os.fspath(image)}: {error}") from error


class LogConsole(Console):
    """Passes messages on to the logger; shows nothing."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def warn(self, message: str) -> None:
        """Log what went wrong with one file or pair."""
        log.warning("%s", message)

    def note(self, message: str) -> None:
        """Log what is no problem but good to know."""
        log.info("%s", message)

    def decision(self, message: str) -> None:
        """Log a pair that is taken, or an LR that is in none."""
        log.debug("%s", message)

    def detail(self, message: str) -> None:
        """Log a detail."""
        log.debug("%s", message)


class _Call:
    """What calls change in the process, as long as one goes on: OpenCV's threads would compete with the workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = self._threads = 0
        self._policy: str | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._calls:
                self._threads, self._policy = cv2.getNumThreads(), os.environ.get(WAIT_POLICY)
                os.environ.setdefault(WAIT_POLICY, PASSIVE)
                cv2.setNumThreads(1)
            self._calls += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls:
                return
            cv2.setNumThreads(self._threads)
            if self._policy is None:
                os.environ.pop(WAIT_POLICY, None)
            decoders.close()
            drop_working_images()


call = _Call()
