"""Estimate a layer, its alpha and its colour, from what the pixels of many frames are like."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.common_layer.statistics import Array, Statistics
from twimager.image.inpaint import filled

# Edges of a layer have gradients so many standard errors long in some pixels, and so many in all. Without a layer no
# pixel of 60 frames of a film, nor of 48 times 16 to 40 photographs, had more than 5.2.
SURE, LIKELY = 5.5, 3.0
# Opaque is what varies by no more than this share of the standard deviation of the picture.
OPAQUE = 0.2
# Pixels that are too few to be a layer.
MIN_PIXELS = 12
# Gaps in edges of so many pixels are closed.
GAP, WIDE_GAP = 3, 9
# An area that they enclose is of the layer if it has so much alpha in all.
MIN_AREA_ALPHA = 0.2
# What has less alpha is no layer, and what has more is opaque: compression varies there too.
MIN_ALPHA, OPAQUE_ALPHA = 0.08, 0.9
# The background beside a layer begins so many pixels from what is found of it.
RIM = 2
# The mask is so many pixels wider than the layer: compression carries its edges further.
MARGIN = 2


class Layer(NamedTuple):
    """A layer that frames share.

    Attributes
    ----------
    color : (h, w, 3) uint8, BGR; only where alpha is above 0
    alpha : (h, w) float32, 0..1
    """

    color: NDArray[np.uint8]
    alpha: Array

    @property
    def rgba(self) -> NDArray[np.uint8]:
        """The layer as (h, w, 4) uint8, BGRA as OpenCV writes it."""
        return np.dstack([self.color, np.rint(255 * self.alpha).astype(np.uint8)])

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(h, w) uint8: 255 where the picture is free of the layer, 0 where it is not, and a little around it."""
        found = (self.alpha > 0).astype(np.uint8)
        return np.where(_dilated(found, MARGIN) > 0, 0, 255).astype(np.uint8)


def estimate_layer(statistics: Statistics) -> Layer | None:
    """Return the layer that frames share, None if there is none.

    A frame is (1 - alpha) background + alpha color. Backgrounds vary and their gradients average out, those of the
    layer do not [1]_. Where it lies, frames vary by (1 - alpha) times what they vary by beside it; alpha and the mean
    give the colour.

    References
    ----------
    .. [1] Dekel, Rubinstein, Liu and Freeman, "On the effectiveness of visible watermarks", CVPR 2017, section 3.1
    """
    deviation = np.sqrt(statistics.variance)
    found = _extent(statistics.consistency, deviation)
    background = _dilated(found, RIM) == 0
    beside = np.maximum(filled(deviation, background), 1)
    alpha = np.asarray(np.clip(1 - deviation / beside, 0, 1) * found, np.float32)
    alpha[alpha > OPAQUE_ALPHA] = 1
    alpha[alpha < MIN_ALPHA] = 0
    if not alpha.any():
        return None
    shown = alpha[..., None]
    color = (statistics.mean - (1 - shown) * filled(statistics.mean, background)) / np.maximum(shown, MIN_ALPHA)
    return Layer(np.clip(np.rint(color), 0, 255).astype(np.uint8) * (shown > 0), alpha)


def _extent(consistency: Array, deviation: Array) -> NDArray[np.uint8]:
    """Return where a layer lies, (h, w), 1 or 0: what hardly varies, edges, and what they enclose if it varies less."""
    opaque = _morphed(deviation < OPAQUE * np.median(deviation), cv2.MORPH_OPEN, GAP)
    likely = (consistency > LIKELY) | (opaque > 0)
    _, labels = cv2.connectedComponents(likely.astype(np.uint8))
    sure = np.bincount(labels[(consistency > SURE) | (opaque > 0)], minlength=labels.max() + 1) >= MIN_PIXELS
    sure[0] = False
    found = _morphed(sure[labels], cv2.MORPH_CLOSE, GAP)
    outlines, _ = cv2.findContours(_morphed(found, cv2.MORPH_CLOSE, WIDE_GAP), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    enclosed = cv2.drawContours(np.zeros_like(found), outlines, -1, 1, cv2.FILLED)
    beside = filled(deviation, _dilated(enclosed, RIM) == 0)
    _, areas = cv2.connectedComponents(enclosed & (1 - found))
    inside, outside = (np.bincount(areas.ravel(), values.ravel()) for values in (deviation, beside))
    return np.asarray(found | (enclosed & (inside < (1 - MIN_AREA_ALPHA) * outside)[areas]))


def _morphed(region: NDArray[Any], operation: int, side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.morphologyEx(region.astype(np.uint8), operation, np.ones((side, side), np.uint8)))


def _dilated(region: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.dilate(region, np.ones((2 * by + 1,) * 2, np.uint8)))
