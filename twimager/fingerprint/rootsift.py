"""RootSIFT: the features of a picture, found and described."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Gray

# Of so many times the features that are kept, those with the greatest contrast x size are: what is large in the HR is
# still there in the LR. 300 of them tell as much as the 1500 strongest by contrast alone.
DETECTED = 1.25
# Sigma of the finest level of the scale space: Lowe's.
SIGMA = 1.6
# RootSIFT values lie in 0..1 and rarely above 0.5: 512 uses the range of a byte as SIFT itself does. In four bits, as
# many HRs are found by vote, but one pair in eighty of hard framings can't be matched.
DESCRIPTOR_SCALE = 512
# Where each of the 4 x 4 x 8 bins (row, column, direction) goes when the picture is mirrored: relative to a feature's
# own orientation, rows swap sides and directions turn the other way.
MIRRORED_BINS = np.arange(128).reshape(4, 4, 8)[::-1, :, -np.arange(8) % 8].ravel()
# The same for its negative: every gradient, and so a feature's own orientation, turns by half a turn.
NEGATIVE_BINS = np.arange(128).reshape(4, 4, 8)[::-1, ::-1].ravel()


def root_sift(
    gray: Gray, features: int, contrast: float, sigma: float = SIGMA, valid: NDArray[np.bool_] | None = None
) -> tuple[list[cv2.KeyPoint], NDArray[np.uint8]]:
    """Return SIFT keypoints [1]_, the strongest first, and their RootSIFT descriptors [2]_, (n, 128) uint8.

    Parameters
    ----------
    gray : (h, w) uint8
    features : how many are returned, at most
    contrast : SIFT's threshold of contrast
    sigma : SIFT's sigma of the finest level, in pixels
    valid : (h, w), where keypoints may be; None for everywhere

    References
    ----------
    .. [1] Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004
    .. [2] Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012
    """
    if not features:
        return [], np.empty((0, 128), np.uint8)
    # Without the precise upscale every position is off by a quarter of a pixel.
    detected = round(DETECTED * features)
    sift = cv2.SIFT_create(detected, contrastThreshold=contrast, sigma=sigma, enable_precise_upscale=True)
    keypoints, described = sift.detectAndCompute(gray, None if valid is None else valid.astype(np.uint8))
    if described is None:
        return [], np.empty((0, 128), np.uint8)
    strongest = np.argsort([-k.response * k.size for k in keypoints], kind="stable")[:features]
    described = described[strongest]
    root = np.sqrt(described / np.maximum(described.sum(axis=1, keepdims=True), 1))
    descriptors = np.minimum(np.rint(root * DESCRIPTOR_SCALE), 255).astype(np.uint8)
    return [keypoints[i] for i in strongest], descriptors
