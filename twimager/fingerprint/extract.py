"""Make the fingerprint of an image file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from twimager.fingerprint.fingerprint import NO_DESCRIPTORS, NO_POINTS, Fingerprint, Recipe
from twimager.fingerprint.phash import ENOUGH_PIXELS, picture_hashes, thumbnail
from twimager.fingerprint.rootsift import root_sift
from twimager.fingerprint.working_image import View, recall, view
from twimager.geometry import resize_matrix, transform_points
from twimager.image.pixels import Gray, frame_size, limited

# Compression moves flat pixels by no more levels; nothing can be aligned by what is flat.
FLAT_LEVELS = 4


def fingerprint(path: Path, recipe: Recipe) -> Fingerprint:
    """Read an image file once and return what is remembered of it; raises UnreadableImage."""
    seen = view(path, recipe)
    return described(bare_fingerprint(path, seen, recipe), seen.gray, recipe)


def bare_fingerprint(path: Path, seen: View, recipe: Recipe) -> Fingerprint:
    """Return what is remembered of an image that looks like this, but for its features."""
    recall(path, seen)
    small = limited(seen.gray, ENOUGH_PIXELS * recipe.hash_side)
    return Fingerprint(
        path, seen.size, picture_hashes(small, recipe.hash_side), NO_POINTS, NO_POINTS[:, 0], NO_POINTS[:, 1],
        NO_DESCRIPTORS, seen.bars, recipe.srgb, thumbnail(small), is_bare=True,
        is_flat=int(seen.gray.max()) - int(seen.gray.min()) <= FLAT_LEVELS, missing=seen.missing, depth=seen.depth,
    )  # fmt: skip


def described(image: Fingerprint, gray: Gray, recipe: Recipe) -> Fingerprint:
    """Return an image with the features that are found on its working image."""
    small = limited(gray, recipe.side)
    keypoints, descriptors = root_sift(small, recipe.features, recipe.contrast, recipe.sigma)
    to_full = resize_matrix(frame_size(small), image.size)
    positions = np.array([k.pt for k in keypoints], np.float64).reshape(-1, 2)
    radii = np.array([k.size for k in keypoints]) * np.sqrt(to_full[0, 0] * to_full[1, 1])
    angles = np.radians([k.angle for k in keypoints])
    return replace(
        image, points=transform_points(to_full, positions).astype(np.float32), radii=radii.astype(np.float32),
        angles=angles.astype(np.float32), descriptors=descriptors, is_bare=False,
    )  # fmt: skip
