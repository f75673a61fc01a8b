"""RootSIFT: the features of a picture, found and described."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Gray

# Of so many times the features that are kept, those with the greatest contrast x size are: what is large in the HR is
# still there in the LR. 300 of them tell as much as the 1500 strongest by contrast alone.
DETECTED = 1.25
# How soft the finest pictures are that are searched: Lowe's.
SIGMA = 1.6
# RootSIFT values lie in 0..1 and rarely above 0.5: 512 uses the range of a byte as SIFT itself does. In four bits, as
# many HRs are found by vote, but one pair in eighty of hard framings can't be matched.
DESCRIPTOR_SCALE = 512
# Where each of the 4 x 4 x 8 bins (row, column, direction) goes when the picture is mirrored: relative to a feature's
# own orientation, rows swap sides and directions turn the other way.
MIRRORED_BINS = np.arange(128).reshape(4, 4, 8)[::-1, :, -np.arange(8) % 8].ravel()


def root_sift(
    gray: Gray, features: int, contrast: float, sigma: float = SIGMA
) -> tuple[list[cv2.KeyPoint], NDArray[np.uint8]]:
    """Detect SIFT features (Lowe, IJCV 2004) and describe them as RootSIFT (Arandjelovic and Zisserman, CVPR 2012).

    Return so many at most, the strongest first, and their descriptors, (n, 128); `contrast` is SIFT's threshold,
    `sigma` its sigma.
    """
    if not features:
        return [], np.empty((0, 128), np.uint8)
    # Without the precise upscale every position is off by a quarter of a pixel.
    detected = round(DETECTED * features)
    sift = cv2.SIFT_create(detected, contrastThreshold=contrast, sigma=sigma, enable_precise_upscale=True)
    keypoints, described = sift.detectAndCompute(gray, None)
    if described is None:
        return [], np.empty((0, 128), np.uint8)
    strongest = np.argsort([-k.response * k.size for k in keypoints], kind="stable")[:features]
    described = described[strongest]
    root = np.sqrt(described / np.maximum(described.sum(axis=1, keepdims=True), 1))
    descriptors = np.minimum(np.rint(root * DESCRIPTOR_SCALE), 255).astype(np.uint8)
    return [keypoints[i] for i in strongest], descriptors
