"""The map of a pair's agreement, as pairs carry it from the workers to the report, the masks and the store."""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Rect, Size, resize_matrix, translation
from twimager.image.warp import resample
from twimager.verify.agreement import Label

# More pixels than any map has.
MAX_PIXELS = 1 << 22


class AgreementMap(NamedTuple):
    """Where an LR and its aligned HR agree, coarsely.

    Attributes
    ----------
    area : the pixels of the LR's picture that the map shows
    size : (width, height) of the map
    packed : a `Label` a pixel, row by row, compressed
    """

    area: Rect
    size: Size
    packed: bytes

    @classmethod
    def of(cls, labels: NDArray[np.uint8], area: Rect) -> AgreementMap:
        """Return labels, (h, w), of an area of the LR as a map."""
        return cls(area, (labels.shape[1], labels.shape[0]), zlib.compress(np.ascontiguousarray(labels).tobytes()))

    @property
    def labels(self) -> NDArray[np.uint8]:
        """A `Label` a pixel, (h, w); ValueError where the map is damaged."""
        width, height = self.size
        if not 0 < width * height <= MAX_PIXELS:
            raise ValueError("no size of a map")
        found = np.frombuffer(zlib.decompressobj().decompress(self.packed, MAX_PIXELS), np.uint8)
        if found.max(initial=0) > max(Label):
            raise ValueError("no labels")
        return found.reshape(height, width)

    @property
    def is_sound(self) -> bool:
        """Whether the map is of an area, and has labels."""
        try:
            return min(self.area[2:]) > 0 and self.labels.size > 0
        except (ValueError, zlib.error):
            return False

    def on(self, window: Rect, size: Size) -> NDArray[np.uint8]:
        """Return the labels of a window of the LR, (height, width), on a grid of `size` (width, height).

        What lies outside the map's area differs.
        """
        labels = self.labels
        x = _nearest(
            window.x, window.width, size[0], area=self.area.x, area_length=self.area.width, pixels=labels.shape[1]
        )
        y = _nearest(
            window.y, window.height, size[1], area=self.area.y, area_length=self.area.height, pixels=labels.shape[0]
        )
        framed = cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=[int(Label.DIFFER)])
        return np.asarray(framed[np.ix_(y, x)])

    def soft_mask(self, window: Rect, size: Size) -> NDArray[np.uint8]:
        """Return the mask of a window of the LR, (height, width), on a grid of `size`: 255 agrees, 0 differs.

        Edges are soft, and lie in what agrees: nothing differs in a pixel above 0. Outside the map's area it goes on as
        at its edge.
        """
        from_map = translation(self.area.x - window.x, self.area.y - window.y) @ resize_matrix(self.size, self.area[2:])
        to_grid = resize_matrix(window[2:], size) @ from_map
        reach = max(1, math.ceil(1 / min(to_grid[0, 0], to_grid[1, 1])))
        agrees = np.where(self.labels == Label.DIFFER, 0, 255).astype(np.uint8)
        safe = cv2.erode(agrees, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        return np.asarray(resample(safe, to_grid, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _nearest(start: int, length: int, count: int, *, area: int, area_length: int, pixels: int) -> NDArray[np.int64]:
    """Return the map's pixel, counted from 1, nearest to each of `count` places along a window; 0 and -1 outside."""
    places = start + (np.arange(count) + 0.5) * length / count
    return np.clip(np.floor((places - area) * pixels / area_length), -1, pixels).astype(np.int64) + 1
