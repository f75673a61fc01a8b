"""What a network of the user's own makes of a picture: a vector, to be compared with others by its direction."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import UsageError
from twimager.image.pixels import Pixels, to_8_bit
from twimager.similarity.preprocessing import Preprocessing

Embedding = NDArray[np.float32]


class Network:
    """An image network, run by OpenCV, for one thread at a time: others wait."""

    def __init__(self, path: Path, wanted: Preprocessing) -> None:
        """Load an ONNX file, and try it; UsageError if it can't be read, or takes no such pictures."""
        self._path, self._wanted = path, wanted
        self._lock = threading.Lock()
        try:
            # By its bytes: OpenCV can't open every name that Windows allows.
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), np.uint8))
        except OSError as error:
            raise UsageError(f"--model: {path} can't be read: {error.strerror}") from error
        except cv2.error as error:
            raise UsageError(f"--model: {path} is no ONNX network that this OpenCV can run") from error
        self.embed(np.full((*wanted.size[::-1], 3), 128, np.uint8))

    def embed(self, pixels: Pixels) -> Embedding:
        """Return what the network makes of a picture, (d,), of length 1.

        The whole picture is resized to what the network takes, whatever its proportions. An output of several places
        (1, d, h, w) is averaged over them. UsageError if the network can't take it.

        Parameters
        ----------
        pixels : (h, w, 3), BGR, uint8 or uint16
        """
        try:
            shown = blob(pixels, self._wanted)
            with self._lock:
                self._net.setInput(shown)
                output = np.array(self._net.forward(), np.float32)
        except cv2.error as error:
            width, height = self._wanted.size
            raise UsageError(
                f"--model: {self._path} takes no pictures of {width} x {height} (--model_size): {error.err}"
            ) from error
        vector = output.mean(axis=(2, 3)).ravel() if output.ndim == 4 else output.ravel()
        if not vector.size or not np.isfinite(vector).all():
            raise UsageError(f"--model: {self._path} makes no numbers of a picture")
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def blob(pixels: Pixels, wanted: Preprocessing) -> NDArray[np.float32]:
    """Return a picture as a network wants it: (1, 3, h, w)."""
    fitted = cv2.resize(to_8_bit(pixels), wanted.size, interpolation=cv2.INTER_AREA).astype(np.float32)
    ordered = fitted if wanted.bgr else fitted[..., ::-1]
    normal = (ordered * wanted.scale - np.array(wanted.mean)) / np.array(wanted.std)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


def cosine_similarity(first: Embedding, second: Embedding) -> float:
    """Return the cosine of the angle between two embeddings, -1..1; 1 if they are equal."""
    return float(np.clip(first @ second, -1, 1))
