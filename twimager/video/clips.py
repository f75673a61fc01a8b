"""Frames in a row of two videos: where a frame of either is repeated or skipped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import percentile_filter

from twimager.video.signatures import Signatures
from twimager.video.timeline import Timeline

# A frame repeats the one before it if it differs by less than this share of what frames near to it do, where these
# move: by so many levels, in the upper quartile of so many frames, as of an animation every second one may repeat.
REPEATED, MOVING, QUARTILE, NEAR = 0.2, 0.5, 75, 13
# No frame is shown for so many times the usual period, unless one after it is missing.
GAP = 1.5


def before(clips: int) -> int:
    """Return how many frames of a clip of so many are before the one that it is around."""
    return clips // 2


def is_repeated(lr: Signatures, hr: Signatures, timeline: Timeline) -> NDArray[np.bool_]:
    """Tell which LR frames, (n,), show the same again, or have an HR frame that does."""
    step, usual = _steps(timeline)
    there = np.maximum(timeline.hr_frames, 0)
    return np.asarray(((step >= 0) & (step < usual)) | _stands_still(lr) | _stands_still(hr)[there])


def is_skipped(lr: Signatures, hr: Signatures, timeline: Timeline) -> NDArray[np.bool_]:
    """Tell before which LR frames, (n,), a frame is missing in either video, or both: the first has none before it."""
    step, usual = _steps(timeline)
    there = np.maximum(timeline.hr_frames, 0)
    skipped = np.asarray((step < 0) | (step > usual) | _is_late(lr) | _is_late(hr)[there])
    skipped[0] = True
    return skipped


def _steps(timeline: Timeline) -> tuple[NDArray[np.int64], int]:
    """Return how many HR frames each LR frame is on from the one before, (n,), and how many that usually are."""
    step = np.diff(timeline.hr_frames, prepend=timeline.hr_frames[:1] - 1)
    mapped = timeline.hr_frames >= 0
    within = step[1:][mapped[1:] & mapped[:-1]]
    usual = max(1, round(float(np.median(within)))) if len(within) else 1
    step[0] = usual
    return step, usual


def _stands_still(video: Signatures) -> NDArray[np.bool_]:
    """Tell which frames differ from the one before by far less than those near to them do."""
    usual = percentile_filter(video.difference, QUARTILE, NEAR, mode="nearest")
    still = np.asarray((usual >= MOVING) & (video.difference < REPEATED * usual))
    still[0] = False
    return still


def _is_late(video: Signatures) -> NDArray[np.bool_]:
    """Tell which frames come so late that one before them is missing."""
    return np.diff(video.seconds, prepend=video.seconds[0] - video.period) > GAP * video.period
