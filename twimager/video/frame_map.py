"""From lines between two times to single frames: which line an LR frame is on, and which HR frame shows the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from twimager.video.descriptors import Describer
from twimager.video.signatures import Signatures
from twimager.video.voting import Line

# A line may go on by so many seconds beyond the matches that it was found by.
BEYOND = 15.0
# Frames on a line correlate, or they are on none: by this at least, and by this much less than usual on that line.
MIN_CORRELATION, MAX_DROP = 0.5, 0.25
# What going over to a line costs, in frames that match perfectly.
SWITCH = 4.0
# Frames that are looked at on either side of a line, to tell whether it holds, and to find the very frame.
NEAR, BAND = 3, 8
# Independent pixels of a thumbnail, halved, and once more, as what disturbs them, such as a subtitle, lasts for many
# frames: what makes a log-likelihood of a difference between correlations, over what the best ones lack to 1, this at
# least.
EVIDENCE, MIN_NOISE = 25.0, 0.004
# What a frame that is missing or doubled costs, as a log-likelihood: enough that noise does not make any where next to
# nothing moves.
STEP = 8.0
# Frame rates that differ by less are the same; where they are not, steps by up to one frame are due, and cost little.
SAME_RATE, LITTLE_STEP = 0.03, 2.0
# A step is surprising if the LR frame differs from the one before it by more or less than the HR frames do that it goes
# over: by so many levels and so large a share. Of doubled frames they differ by 0.02 to 0.15 as much as of frames in a
# row, of these by 0.75 to 1.2, of ones with one missing by 1.6 to 2.1, wherever the HR's differ by half a level. What a
# surprise costs is its square, and at most so much, as a log-likelihood: a frame is not doubled that moves.
SURE_LEVELS, SURE_SHARE, MAX_SURPRISE = 0.1, 0.15, 40.0
# Levels by which HR frames differ of which that is measured by how much more or less the LR's do.
MOVES = 0.5
# What a frame's distance from the line costs, a squared HR frame, and at most: it decides where next to nothing moves.
PULL, MAX_PULL = 0.2, 3.0
# Seconds (sigma) over which the distance from a line is averaged, the certainty of a frame that counts in full, and the
# weight that keeps it at 0 where no frame is certain.
DRIFT, CERTAIN, UNCERTAIN = 1.0, 0.01, 1e-3
CHUNK = 1024


class Band(NamedTuple):
    """LR frames, and how they correlate with the HR frames around a line.

    Attributes
    ----------
    base : (n,), the HR frame nearest to the line
    scores : (n, 2 * reach + 1), the correlations with the HR frames from base - reach to base + reach; -1 where there
        is none
    """

    base: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Films:
    """Both videos, and what compares their frames."""

    lr: Signatures
    hr: Signatures
    describer: Describer

    def band(self, expected: NDArray[np.float64], first: int, reach: int) -> Band:
        """Return how LR frames, from `first` on, correlate with the HR frames around the times expected of each."""
        base = nearest(self.hr.seconds, expected)
        scores = np.full((len(base), 2 * reach + 1), -1, np.float32)
        for start in range(0, len(base), CHUNK):
            part = base[start : start + CHUNK]
            low, high = max(0, part.min() - reach), min(len(self.hr), part.max() + reach + 1)
            lr = self.describer.lr(self.lr.thumbnails[first + start : first + start + len(part)])
            hr = self.describer.hr(self.hr.thumbnails[low:high])
            for step in range(-reach, reach + 1):
                there = np.flatnonzero((part + step >= low) & (part + step < high))
                values = np.einsum("ij,ij->i", lr[there], hr[part[there] + step - low])
                scores[start + there, step + reach] = values
        return Band(base, scores)


def nearest(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which of rising times is nearest to each that is wanted."""
    after = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
    after = np.minimum(after, len(times) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(wanted - times[before] <= times[after] - wanted, before, after)


def assign_lines(films: Films, lines: Sequence[Line]) -> NDArray[np.int64]:
    """Return the number of the line that each LR frame is on, (n,), -1 for none.

    By dynamic programming: frames that correlate on a line are for it, others against it, and going over to one has its
    price.
    """
    count = len(films.lr)
    seconds = films.lr.seconds
    flat = flat_frames(films)
    # Of half precision, as hundreds of lines may be found in hours of film.
    evidence = np.full((len(lines), count), -np.inf, np.float16)
    for number, line in enumerate(lines):
        first, last = np.searchsorted(seconds, [line.first - BEYOND, line.last + BEYOND])
        best = films.band(line.at(seconds[first:last]), first, NEAR).scores.max(axis=1)
        core = best[(seconds[first:last] >= line.first) & (seconds[first:last] <= line.last)]
        threshold = max(MIN_CORRELATION, float(np.median(core)) - MAX_DROP)
        evidence[number, first:last] = np.clip((best - threshold) / (1 - threshold), -1, 1)
        evidence[number, first:last][flat[first:last]] = -FLAT
        evidence[number, (line.at(seconds) < films.hr.seconds[0] - SLACK)
                 | (line.at(seconds) > films.hr.seconds[-1] + SLACK)] = -np.inf  # fmt: skip
    return _best_path(evidence)


# What a frame that shows nothing takes from a line: so little that these neither begin nor end it.
FLAT = 0.01
# Seconds by which a line may lead beyond the ends of the HR video.
SLACK = 0.1


def flat_frames(films: Films) -> NDArray[np.bool_]:
    """Tell which LR frames show nothing, (n,): black ones, and the ends of fades."""
    flat = np.zeros(len(films.lr), bool)
    for start in range(0, len(flat), CHUNK):
        described = films.describer.lr(films.lr.thumbnails[start : start + CHUNK])
        flat[start : start + CHUNK] = (described**2).sum(axis=1) < 0.9
    return flat


def _best_path(evidence: NDArray[np.float16]) -> NDArray[np.int64]:
    """Return the line of each frame, -1 for none, of the path with the most evidence less what switching costs."""
    lines, count = evidence.shape
    total, none = np.full(lines, -np.inf), 0.0
    came = np.empty((count, lines), np.int16)
    came_to_none = np.empty(count, np.int16)
    for frame in range(count):
        best = int(total.argmax()) if lines else -1
        most, source = (total[best], best) if lines and total[best] > none else (none, -1)
        stay = total >= most - SWITCH
        came[frame] = np.where(stay, np.arange(lines), source)
        came_to_none[frame] = source
        total = np.where(stay, total, most - SWITCH) + evidence[:, frame]
        none = most
    path = np.empty(count, np.int64)
    state = int(total.argmax()) if lines and total.max() > none else -1
    for frame in range(count - 1, -1, -1):
        path[frame] = state
        state = int(came[frame, state] if state >= 0 else came_to_none[frame])
    return path


def exact_frames(films: Films, line: Line, first: int, last: int) -> tuple[NDArray[np.int64], Band]:
    """Return the HR frame of each LR frame from `first` to before `last`, which are on one line, and their band.

    Where next to nothing moves, frames are expected to be as far from the line as those near to them of which motion
    tells: with frames missing or doubled, or a frame rate that varies, these go to and fro.
    """
    expected = line.at(films.lr.seconds[first:last])
    frames, band = _nearby_frames(films, expected, first, line.rate)
    weight = np.minimum(certainty(frames, band) / CERTAIN, 1)
    sigma = DRIFT / films.lr.period
    weights = gaussian_filter1d(weight, sigma) + UNCERTAIN
    drift = gaussian_filter1d(weight * (films.hr.seconds[frames] - expected), sigma) / weights
    return _nearby_frames(films, expected + drift, first, line.rate)


def certainty(frames: NDArray[np.int64], band: Band) -> NDArray[np.float64]:
    """Return by how much each LR frame correlates more with its HR frame than with the next ones, (n,)."""
    reach = band.scores.shape[1] // 2
    at = np.clip(frames - band.base + reach, 1, 2 * reach - 1)
    rows = np.arange(len(at))
    beside = np.maximum(band.scores[rows, at - 1], band.scores[rows, at + 1])
    return np.asarray(np.clip(band.scores[rows, at] - beside, 0, None), np.float64)


def _nearby_frames(
    films: Films, expected: NDArray[np.float64], first: int, rate: float
) -> tuple[NDArray[np.int64], Band]:
    """Return the HR frame of each LR frame from `first` on, near to the HR times that are expected, and their band.

    By dynamic programming: each frame is for the HR frame that it correlates with most, by as much as motion tells them
    apart, and steps that the times do not account for have their price.
    """
    band = films.band(expected, first, BAND)
    steps = np.arange(-BAND, BAND + 1)
    index = np.clip(band.base[:, None] + steps, 0, len(films.hr) - 1)
    period, lr_period = films.hr.period, films.lr.period * rate
    slack = 0.0 if abs(lr_period / period - 1) < SAME_RATE else 1.0
    unit = max(period, lr_period)
    off = (films.hr.seconds[index] - expected[:, None]) / unit
    noise = max(MIN_NOISE, 1 - float(np.median(band.scores.max(axis=1))))
    pull = np.minimum(PULL * (off * unit / period) ** 2, MAX_PULL)
    cost = EVIDENCE * (1 - band.scores) / noise + pull
    lr_moved, hr_moved = films.lr.difference[first : first + len(cost)], films.hr.difference[band.base]
    moves, moved = hr_moved > MOVES, np.cumsum(films.hr.difference, dtype=np.float64)
    contrast = float(np.median(lr_moved[moves] / hr_moved[moves])) if moves.any() else 1.0
    came = np.empty(cost.shape, np.int32)
    total = cost[0].astype(np.float64)
    for start in range(1, len(cost), CHUNK):
        part = np.arange(start, min(start + CHUNK, len(cost)))
        change = np.abs(off[part, :, None] - off[part - 1, None, :])
        step = STEP * np.maximum(0, change - slack) + LITTLE_STEP * np.minimum(change, slack)
        if not slack:
            differing = contrast * np.abs(moved[index[part, :, None]] - moved[index[part - 1, None, :]])
            step += _surprise(lr_moved[part, None, None], differing)
        for frame, price in enumerate(step, start):
            through = total + price
            came[frame] = through.argmin(axis=1)
            total = through[np.arange(len(steps)), came[frame]] + cost[frame]
    path = np.empty(len(cost), np.int64)
    path[-1] = total.argmin()
    for frame in range(len(cost) - 1, 0, -1):
        path[frame - 1] = came[frame, path[frame]]
    return index[np.arange(len(path)), path], band


def _surprise(found: NDArray[np.float32], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what it costs that frames differ by `found` levels from the ones before them where others are expected."""
    surprise = (found - expected) / (SURE_LEVELS + SURE_SHARE * np.maximum(found, expected))
    return np.asarray(np.minimum(surprise**2, MAX_SURPRISE))
