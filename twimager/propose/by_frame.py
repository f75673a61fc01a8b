"""Propose pairs that show the same frame: those whose hashes are near and whose thumbnails correlate.

That suffices for film frames, and copies that were merely shrunk: no features need be found in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.fingerprint import NO_THUMBNAIL, Fingerprint
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.propose.proposal import Proposal, Source
from twimager.runtime.mapped import mapped

# Correlation of thumbnails of half their side, which tell frames from others as well as larger ones do. Of copies in
# the same frame, faded and noisy, nearly all reach it, even where they are off by a fiftieth of the frame; of those
# cropped by 3 to 20 % one in a hundred does.
SAME_FRAME = 0.97
# At least this share of the LRs must have an HR of the same frame before pairs are proposed by frames: elsewhere those
# few may be other crops of one photograph.
MIN_SHARE = 0.5
# So many HRs are proposed for an LR: of up to 45 of the same frame, the right one was always among them, in three
# clips, ...
MAX_PROPOSED = 16
# ... out of so many of the same frame; where there are more, features decide.
MAX_SAME_FRAME = 64
# Thumbnails that are halved in one go, which takes 6 KB each.
BATCH = 4096


class Frames:
    """Hashes and thumbnails of the LRs' frames, to be compared with those of HRs."""

    def __init__(self, lrs: Sequence[Fingerprint], distance: int) -> None:
        """Compare with these LRs; hashes may differ by so many bits."""
        self._lrs, self._distance = lrs, distance
        self._hashes = np.array([lr.hashes[0] for lr in lrs], np.uint64)
        self._thumbnails = halved_thumbnails(lrs)

    def __getstate__(self) -> dict[str, object]:
        """Return what other processes need, which only compare: not the LRs."""
        return {**vars(self), "_lrs": ()}

    def alike(self, hr: Fingerprint) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return the indices, (n,), of the LRs that may show the HR's frame, and the thumbnails' correlation, (n,)."""
        near = np.flatnonzero(np.bitwise_count(self._hashes ^ np.uint64(hr.hashes[0])) <= self._distance)
        similarity = self._thumbnails[near] @ halved(hr.thumbnail[None])[0]
        same = similarity >= SAME_FRAME
        return near[same], similarity[same]

    def suffice(self, hr: Fingerprint) -> bool:
        """Tell whether an HR may be paired by its frame: too many LRs of the same frame can't be told apart by it."""
        return 0 < len(self.alike(hr)[0]) <= MAX_SAME_FRAME

    def propose(self, hrs: Sequence[Fingerprint]) -> list[list[Proposal]]:
        """Return, for every LR, the HRs that may show its frame, the most similar first, MAX_PROPOSED at most.

        None for an LR that has more than MAX_SAME_FRAME, and none at all where too few of the LRs have any.
        """
        found: list[list[tuple[float, int]]] = [[] for _ in self._lrs]
        counts = np.zeros(len(self._lrs), np.intp)
        for number, hr in enumerate(hrs):
            indices, similarity = self.alike(hr)
            counts[indices] += 1
            few = counts[indices] <= MAX_SAME_FRAME
            for index, value in zip(indices[few].tolist(), similarity[few].tolist(), strict=True):
                found[index].append((-value, number))
        if np.count_nonzero(counts) < MIN_SHARE * len(self._lrs):
            return [[] for _ in self._lrs]
        return [
            [Proposal(lr, hr, Source.FRAME) for hr in _most_similar(lr, [hrs[number] for _, number in sorted(near)])]
            if count <= MAX_SAME_FRAME
            else []
            for lr, near, count in zip(self._lrs, found, counts, strict=True)
        ]


def _most_similar(lr: Fingerprint, hrs: list[Fingerprint]) -> list[Fingerprint]:
    """Return the HRs of a scene that are most similar to the LR, MAX_PROPOSED at most."""
    if len(hrs) <= MAX_PROPOSED:
        return hrs
    return [hrs[index] for index in by_differences(lr.thumbnail, np.array([hr.thumbnail for hr in hrs]))[:MAX_PROPOSED]]


def by_differences(lr: NDArray[np.uint8], hrs: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the order, (n,), of a scene's frames by their similarity to an LR in what they differ from their mean in.

    Tone and a small affine motion are regressed out of the differences first.

    Parameters
    ----------
    lr, hrs : thumbnails, (pixels,) and (n, pixels)
    """
    frames = _normalized(np.concatenate([lr[None], hrs]))
    scene = frames[1:].mean(axis=0)
    down, right = np.gradient(scene.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    y, x = np.mgrid[-1 : 1 : THUMBNAIL_SIDE * 1j, -1 : 1 : THUMBNAIL_SIDE * 1j]
    motion = [(slope * factor).ravel() for slope in (right, down) for factor in (1, x, y)]
    nuisances = np.stack([np.ones_like(scene), scene, scene * abs(scene), *motion], axis=1)
    differences = (frames - scene).T
    residuals = differences - nuisances @ np.linalg.lstsq(nuisances, differences, rcond=None)[0]
    distances = np.linalg.norm(residuals[:, 1:] - residuals[:, :1], axis=0)
    return np.argsort(distances, kind="stable")


def halved_thumbnails(images: Sequence[Fingerprint]) -> NDArray[np.float32]:
    """Return the thumbnails of n images with half the side, normalised, (n, pixels), in a file."""
    parts = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    empty = np.empty((0, NO_THUMBNAIL.size // 4), np.float32)
    return mapped((halved(np.array([image.thumbnail for image in part])) for part in parts), empty)


def halved(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return thumbnails, (n, pixels), with half the side, normalised."""
    half = THUMBNAIL_SIDE // 2
    return _normalized(thumbnails.reshape(-1, half, 2, half, 2).mean(axis=(2, 4)).reshape(-1, half * half))


def _normalized(thumbnails: NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float32]:
    """Return thumbnails, (..., pixels), of zero mean and length 1; one of a single colour becomes zero."""
    values = thumbnails - thumbnails.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.where(lengths, lengths, np.inf), np.float32)
