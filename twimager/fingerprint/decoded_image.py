"""Decoded images: what fingerprints are made from, bars and what is no picture found."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from twimager.errors import UnreadableImage
from twimager.fingerprint.combing import comb_share
from twimager.fingerprint.enlargement import detail_share
from twimager.fingerprint.fingerprint import Bars, Recipe
from twimager.fingerprint.letterbox import picture_area
from twimager.fingerprint.mask import Mask, both
from twimager.fingerprint.working_image import MASKED_BYTES, working_gray
from twimager.geometry import Rect, Size
from twimager.image.decode import decoded_for_analysis, missing_rows
from twimager.image.inpaint import inpainted
from twimager.image.opacity import is_opaque
from twimager.image.pixels import Gray, frame_size, limited, to_gray


class DecodedImage(NamedTuple):
    """What fingerprints are made from: an image file's working image, and what else decoding it has shown.

    Attributes
    ----------
    gray : (h, w) uint8, the picture without bars, shorter side WORKING_SIDE or less
    size : (width, height) of the picture itself
    bars : what lies around it
    missing : how many rows the file lacks
    depth : bytes that a value of the file's pixels has, at most
    mask : the recipe's, if it fits the file's frame, without what is transparent
    combing : the share, 0..1, of the picture in which alternate lines differ as in an interlaced frame, where measured
    detail : the share, along a side, of the picture's pixels that hold detail; 1 where not measured
    bits : how many of a value are in use
    opaque : which pixels of the file's frame are not transparent, None for all
    """

    gray: Gray
    size: Size
    bars: Bars
    missing: int = 0
    depth: int = 2
    mask: Mask | None = None
    combing: float = 0.0
    detail: float = 1.0
    bits: int = 16
    opaque: Mask | None = None


def decode_image(path: Path, recipe: Recipe) -> DecodedImage:
    """Read an image file and decode it to its working image.

    Raises
    ------
    UnreadableImage
        If it can't be read or decoded; where the recipe has `truncated`, if no rows of it are complete.
    """
    try:
        return _decode(path, recipe)
    except UnreadableImage:
        if not recipe.truncated:
            raise
    return _decode(path, recipe, missing_rows(path))


def _decode(path: Path, recipe: Recipe, missing: int = 0) -> DecodedImage:
    more = MASKED_BYTES if recipe.mask else 0
    with decoded_for_analysis(path, recipe.srgb, missing, more) as (frame, profile, depth, bits, alpha):
        whole = frame_size(frame)
        fitting = recipe.mask if recipe.mask and recipe.mask.fits(whole) else None
        opaque = None if alpha is None else Mask.of(is_opaque(alpha))
        mask = both(fitting, opaque)
        luma = to_gray(frame) if profile else frame
        picture = _masked_picture_area(luma, mask, fitting) if mask else picture_area(luma)
        pixels = picture.cut(frame)
        gray = working_gray(pixels, profile)
        combing = comb_share(to_gray(pixels) if profile else pixels) if recipe.combing else 0.0
        detail = detail_share(pixels) if recipe.detail else 1.0
    size = (picture.width, picture.height)
    bars = Bars(picture.x, picture.y, whole[0] - picture.x - picture.width, whole[1] - picture.y - picture.height)
    if mask:
        gray = inpainted(gray, mask.on(whole, picture, frame_size(gray)))
    small = limited(gray, max(1, round(min(size) * recipe.resize)))
    return DecodedImage(small, size, bars, missing, depth, mask, combing, detail, bits, opaque)


def _masked_picture_area(frame: Gray, mask: Mask, of_side: Mask | None) -> Rect:
    """Return the part of a frame that is neither bars, be there captions in them, nor left out from side to side.

    Bars are found in what `mask` leaves; `of_side` is what leaves out. What is transparent is no bar: it stays.
    """
    size = frame_size(frame)
    whole = Rect(0, 0, *size)
    valid = mask.on(size, whole, size)
    if not valid.any():
        return whole
    inner = Rect(*cv2.boundingRect(of_side.on(size, whole, size).astype(np.uint8))) if of_side else whole
    return picture_area(inpainted(inner.cut(frame), inner.cut(valid))).moved(inner.x, inner.y)
