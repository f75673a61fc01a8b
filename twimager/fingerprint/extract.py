"""Extract the fingerprint of an image: hashes and thumbnail, and features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from twimager.fingerprint.decoded_image import DecodedImage, decode_image
from twimager.fingerprint.features import Features
from twimager.fingerprint.fingerprint import Fingerprint, Recipe
from twimager.fingerprint.phash import ENOUGH_PIXELS, picture_hashes, thumbnail
from twimager.fingerprint.rootsift import root_sift
from twimager.fingerprint.working_image import keep_working_image, valid_pixels
from twimager.geometry import resize_matrix, transform_points
from twimager.image.pixels import Gray, frame_size, limited

# Compression moves flat pixels by no more levels; nothing can be aligned by what is flat.
FLAT_LEVELS = 4


def fingerprint(path: Path, recipe: Recipe) -> Fingerprint:
    """Read an image file once and return its fingerprint; raises UnreadableImage."""
    decoded = decode_image(path, recipe)
    return extract_features(fingerprint_without_features(path, decoded, recipe), decoded.gray, recipe)


def fingerprint_without_features(path: Path, decoded: DecodedImage, recipe: Recipe) -> Fingerprint:
    """Return the fingerprint of a decoded image, which is kept as its working image, without features."""
    keep_working_image(path, decoded.gray)
    gray = decoded.gray
    small = limited(gray, ENOUGH_PIXELS * recipe.hash_side)
    image = Fingerprint(
        path, decoded.size, picture_hashes(small, recipe.hash_side), None, decoded.bars, recipe.srgb, thumbnail(small),
        missing=decoded.missing, depth=decoded.depth, mask=decoded.mask, combing=decoded.combing, detail=decoded.detail,
        bits=decoded.bits, opaque=decoded.opaque,
    )  # fmt: skip
    valid = valid_pixels(image, frame_size(gray))
    seen = gray if valid is None else gray[valid]
    return replace(image, is_flat=not seen.size or int(seen.max()) - int(seen.min()) <= FLAT_LEVELS)


def extract_features(image: Fingerprint, gray: Gray, recipe: Recipe) -> Fingerprint:
    """Return a fingerprint with the features of its working image; unchanged if the recipe has none.

    Parameters
    ----------
    gray : (h, w) uint8, the working image
    """
    if not recipe.features:
        return image
    small = _stretched(limited(gray, recipe.side), recipe.stretch)
    keypoints, descriptors = root_sift(
        small, recipe.features, recipe.contrast, recipe.sigma, valid_pixels(image, frame_size(small))
    )
    to_full = resize_matrix(frame_size(small), image.size)
    points = transform_points(to_full, np.array([k.pt for k in keypoints], np.float64).reshape(-1, 2))
    radii = np.array([k.size for k in keypoints]) * np.sqrt(to_full[0, 0] * to_full[1, 1])
    angles = np.radians([k.angle for k in keypoints])
    features = Features(points.astype(np.float32), radii.astype(np.float32), angles.astype(np.float32), descriptors)
    return replace(image, features=features)


def _stretched(gray: Gray, stretch: float) -> Gray:
    """Return a picture that is so many times as wide by its height: shrunk along one side, as that loses no pixels."""
    if stretch == 1:
        return gray
    height, width = gray.shape
    size = round(width * min(stretch, 1)), round(height / max(stretch, 1))
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
