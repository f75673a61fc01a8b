"""What becomes of transparency in the files of a pair: both keep it, or it is laid on one background in both."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.colors import Colors, unit
from twimager.image.inpaint import inpainted
from twimager.image.pixels import Pixels
from twimager.options import Alpha, WriteSettings
from twimager.pairs import VerifiedPair

WHITE, BLACK = (np.full((1, 1, 3), value, np.float32) for value in (1, 0))
# A background is of one colour where so much of it is within so many levels of the median, be it compressed.
PLAIN_SHARE, PLAIN_LEVELS = 0.95, 12


def treatment(pair: VerifiedPair, write: WriteSettings) -> Alpha:
    """Return what becomes of a pair's transparency; AUTO: one is laid on what the other, which is opaque, shows."""
    transparent = [image.opaque is not None for image in pair.proposal.images]
    if not any(transparent):
        return Alpha.DROP
    if write.alpha is not Alpha.AUTO or not all(transparent):
        return write.alpha
    return Alpha.KEEP if write.has_alpha else Alpha.WHITE


def resample_with_alpha(pixels: Pixels, alpha: Pixels, resampled: Callable[[Pixels], Pixels]) -> tuple[Pixels, Pixels]:
    """Return pixels, (h, w, 3), and their alpha, (h, w), resampled; what is transparent lends no colour to its edges.

    For that, colours are multiplied by alpha meanwhile. Where nothing is left of it they are black.
    """
    top, opacity = np.iinfo(alpha.dtype).max, unit(alpha)
    shown = np.clip(resampled(opacity), 0, 1)
    colors = resampled(unit(pixels) * opacity[..., None]) / np.maximum(shown, 0.5 / top)[..., None]
    made = np.rint(np.stack([*np.moveaxis(colors, -1, 0), shown], axis=-1) * top)
    made[..., :3] = np.clip(made[..., :3], pixels.min(), pixels.max()) * (made[..., 3:] > 0)
    whole = made.astype(pixels.dtype)
    return np.ascontiguousarray(whole[..., :3]), whole[..., 3]


def background(other: Pixels, transparent: NDArray[np.bool_], size: tuple[int, int]) -> Colors:
    """Return what the other picture of a pair shows where one is transparent, in colours that are laid below that one.

    Parameters
    ----------
    other : (h, w, 3), on the LR's grid
    transparent : (h, w), where the one shows nothing at all
    size : (width, height) of the one

    Returns
    -------
    (1, 1, 3) where it is of one colour, white where there is nothing to tell it by; else (height, width, 3)
    """
    if not transparent.any():
        return WHITE
    shown = unit(other[transparent])
    color = np.median(shown, axis=0)
    if (abs(shown - color).max(axis=-1) <= PLAIN_LEVELS / 255).mean() >= PLAIN_SHARE:
        return np.asarray(color[None, None], np.float32)
    filled = unit(inpainted(other, transparent))
    return np.asarray(np.clip(cv2.resize(filled, size, interpolation=cv2.INTER_CUBIC), 0, 1))


def laid_out(pixels: Pixels, alpha: Pixels | None, how: Alpha, below: Callable[[Pixels], Colors]) -> Pixels:
    """Return pixels, (h, w, 3), as they are written: with alpha, (h, w, 4), on a background, or as they are.

    Parameters
    ----------
    alpha : (h, w), None for opaque
    below : returns the background of AUTO, of alpha
    """
    top = np.iinfo(pixels.dtype).max
    if how is Alpha.KEEP:
        return np.dstack([pixels, np.full(pixels.shape[:2], top, pixels.dtype) if alpha is None else alpha])
    if how is Alpha.DROP or alpha is None:
        return pixels
    behind = {Alpha.WHITE: WHITE, Alpha.BLACK: BLACK}.get(how)
    opacity = unit(alpha)[..., None]
    laid = opacity * unit(pixels) + (1 - opacity) * (below(alpha) if behind is None else behind)
    return np.asarray(np.rint(laid * top).astype(pixels.dtype))
