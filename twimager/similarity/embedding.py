"""Embeddings by a network of the user's own: a vector a picture, compared by cosine similarity."""

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

    def __init__(self, path: Path, preprocessing: Preprocessing) -> None:
        """Load an ONNX file, and try it; raises UsageError if it can't be read, or takes no such pictures."""
        self._path, self._preprocessing = path, preprocessing
        self._lock = threading.Lock()
        try:
            # By its bytes: OpenCV can't open every name that Windows allows.
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), np.uint8))
        except OSError as error:
            raise UsageError(f"--model: {path} can't be read: {error.strerror}") from error
        except cv2.error as error:
            raise UsageError(f"--model: {path} is no ONNX network that this OpenCV can run") from error
        self.embed(np.full((*preprocessing.size[::-1], 3), 128, np.uint8))

    def embed(self, pixels: Pixels) -> Embedding:
        """Return the embedding of a picture.

        The whole picture is resized to what the network takes, whatever its proportions. An output of several
        positions, (1, d, h, w), is averaged over them.

        Parameters
        ----------
        pixels : (h, w, 3), BGR, uint8 or uint16

        Returns
        -------
        (d,) float32, of length 1

        Raises
        ------
        UsageError
            If the network can't take the picture, or returns no finite numbers.
        """
        try:
            network_input = blob(pixels, self._preprocessing)
            with self._lock:
                self._net.setInput(network_input)
                output = np.array(self._net.forward(), np.float32)
        except cv2.error as error:
            width, height = self._preprocessing.size
            raise UsageError(
                f"--model: {self._path} takes no pictures of {width} x {height} (--model_size): {error.err}"
            ) from error
        vector = output.mean(axis=(2, 3)).ravel() if output.ndim == 4 else output.ravel()
        if not vector.size or not np.isfinite(vector).all():
            raise UsageError(f"--model: {self._path} makes no numbers of a picture")
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def blob(pixels: Pixels, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return the input of a network, (1, 3, h, w) float32, of a picture, (h, w, 3) BGR uint8 or uint16."""
    resized = cv2.resize(to_8_bit(pixels), preprocessing.size, interpolation=cv2.INTER_AREA).astype(np.float32)
    ordered = resized if preprocessing.bgr else resized[..., ::-1]
    normal = (ordered * preprocessing.scale - np.array(preprocessing.mean)) / np.array(preprocessing.std)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


def cosine_similarity(first: Embedding, second: Embedding) -> float:
    """Return the cosine of the angle between two embeddings, (d,) of length 1: -1..1, 1 if they are equal."""
    return float(np.clip(first @ second, -1, 1))
