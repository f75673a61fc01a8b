"""Propose the HRs like one that an LR was found to show: of the many frames of a shot, features propose only some."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.geometry import Matrix, resize_matrix
from twimager.propose.by_frame import by_differences, halved_thumbnails
from twimager.propose.proposal import Proposal

# HRs are alike whose thumbnails, of half their side, correlate so: frames of a shot do, as long as little moves; of 90
# photographs no two reached 0.82. With 0.97 the right frame of one of 400 LRs was out of reach.
ALIKE = 0.95
# So many HRs are proposed at a time: for 400 LRs of four made-up films, a right frame was always among the first four.
MAX_PROPOSED = 5
# Of so many that are like the best one, those most like the LR are proposed; comparing them takes 5 ms.
MAX_COMPARED = 256
# HRs that are compared with all others in one go: bounds the correlations that are in memory.
BATCH = 256


class SimilarHRs:
    """Which HRs are like one another, by their thumbnails."""

    def __init__(self, hrs: Sequence[Fingerprint]) -> None:
        self._hrs = hrs
        self._numbers = {hr.path: number for number, hr in enumerate(hrs)}
        self._thumbnails = halved_thumbnails(hrs)
        self._groups = _groups(self._thumbnails)

    def group(self, hr: Path) -> Path:
        """Return the first of the HRs that `propose` may lead to from this one, in however many steps."""
        number = self._numbers.get(hr)
        return hr if number is None else self._hrs[self._groups[number]].path

    def propose(self, best: Proposal, found: Matrix, tried: Set[Path]) -> list[Proposal]:
        """Return the HRs like an LR's best one that were not tried, those most like the LR, as proposals for it.

        Parameters
        ----------
        best : the proposal of the best HR
        found : (3, 3), takes its pixels to LR pixels; others that are like it lie there, too, but for small motions
        tried : HRs that are not to be proposed
        """
        number = self._numbers.get(best.hr.path)
        if number is None:
            return []
        group = np.flatnonzero(self._groups == self._groups[number])
        similarity = self._thumbnails[group] @ self._thumbnails[number]
        nearest = np.argsort(-similarity, kind="stable")[:MAX_COMPARED]
        hrs = [self._hrs[group[place]] for place in nearest if similarity[place] >= ALIKE]
        if all(hr.path in tried for hr in hrs):
            return []
        side = THUMBNAIL_SIDE, THUMBNAIL_SIDE
        to_lr = resize_matrix(best.lr.size, side) @ found @ resize_matrix(side, best.hr.size)
        pictures = (hr.thumbnail.reshape(side).astype(np.float32) for hr in hrs)
        seen = [cv2.warpPerspective(one, to_lr, side, borderMode=cv2.BORDER_REPLICATE).ravel() for one in pictures]
        lr = 255 - best.lr.thumbnail if best.negative else best.lr.thumbnail
        ordered = (hrs[place] for place in by_differences(lr, np.array(seen)))
        return [best._replace(hr=hr) for hr in ordered if hr.path not in tried][:MAX_PROPOSED]


def _groups(thumbnails: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return for each of n thumbnails, (n, pixels), the number of the first one in its group, (n,).

    Two are in one group if they are alike, or if a chain of others that are alike leads from one to the other.
    """
    groups = np.arange(len(thumbnails))
    for start in range(0, len(thumbnails), BATCH):
        later = groups[start:]
        for alike in thumbnails[start : start + BATCH] @ thumbnails[start:].T >= ALIKE:
            joined = later[alike]
            if len(joined) and (joined != joined[0]).any():
                groups[np.isin(groups, joined)] = joined.min()
    return groups


NOTHING_SIMILAR = SimilarHRs([])
