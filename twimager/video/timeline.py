"""The map from the time of one video to that of another, and from its frames to the other's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.video.descriptors import CHUNK, Describer, Descriptors, Framing, coarse, picture_of_all
from twimager.video.frame_map import Films, assign_lines, certainty, exact_frames
from twimager.video.registration import Pairs, refine_framing, search_framing
from twimager.video.signatures import Signatures, Thumbnails
from twimager.video.voting import MAX_STRETCH, Line, Matches, find_lines, find_matches, fit_lines

# (n,), numbers of frames
Frames = NDArray[np.int64]


class Segment(NamedTuple):
    """A part of the LR video that the HR video shows without a jump.

    Attributes
    ----------
    lr_first, lr_last : its first and last LR frame
    lr_from, lr_to : when these are shown, in seconds
    hr_from, hr_to : when the HR video shows them, in seconds
    rate : seconds of the HR video per second of the LR's
    confidence : 0..1, how the mapped frames correlate in the median
    """

    lr_first: int
    lr_last: int
    lr_from: float
    lr_to: float
    hr_from: float
    hr_to: float
    rate: float
    confidence: float

    @property
    def offset(self) -> float:
        """Seconds by which the HR video shows its beginning later than the LR video."""
        return self.hr_from - self.lr_from


@dataclass(frozen=True)
class Timeline:
    """Which part of an LR video is which of an HR video.

    Attributes
    ----------
    segments : in the order of the LR video
    hr_frames : (n,), of every LR frame the HR frame that shows the same, -1 for none
    framing : where the LR frame lies in the HR frame
    """

    segments: list[Segment]
    hr_frames: Frames
    framing: Framing

    @property
    def mapped(self) -> float:
        """The share, 0..1, of the LR frames that the HR video shows."""
        return float((self.hr_frames >= 0).mean()) if len(self.hr_frames) else 0.0


# Frames a second among which matches are searched for, of the LR and of the HR video: fewer and more, and between these
# such that there are so many.
LR_RATES, HR_RATES = (4.0, 12.0), (8.0, 24.0)
LR_FRAMES, HR_FRAMES = 15_000, 60_000
# LR frames, and HR frames among which they find their like, by which the framing is found.
TRIED, TRIED_AMONG = 100, 3000
# Matches are on a line if they are off by fewer seconds.
NEAR_LINE = 0.12
# Pairs of frames that it is refined by.
REFINED_BY = 128


def find_timeline(lr: Signatures, hr: Signatures) -> Timeline:
    """Return which part of an LR video is which of an HR video, and which frame.

    Where the LR is cropped, letterboxed or squeezed is found first; then lines from LR time to HR time by voting, which
    line each frame is on, and the very frame, both by dynamic programming.
    """
    lr_chosen, hr_chosen = _spread(lr, LR_FRAMES, LR_RATES), _spread(hr, HR_FRAMES, HR_RATES)
    describer, lines = _searched(lr, hr, lr_chosen, hr_chosen), list[Line]()
    for _ in range(2):
        matches, lines = _voted(lr, hr, describer, lr_chosen, hr_chosen)
        describer = _refined(lr, hr, describer, *_on_lines(lr, hr, matches, lines))
    for _ in range(2):
        films = Films(lr, hr, describer)
        runs = [(lines[number], first, last) for number, first, last in _runs(assign_lines(films, lines))]
        lines, numbers, frames = _refitted(films, runs)
        describer = _refined(lr, hr, describer, numbers, frames)
    return _mapped(Films(lr, hr, describer), lines)


def common_share(lr: Signatures, hr: Signatures) -> float:
    """Return the share, 0..1, of an LR video that an HR video has, estimated on fewer frames."""
    lr_chosen, hr_chosen = _spread(lr, 0, LR_RATES), _spread(hr, 0, HR_RATES)
    _, lines = _voted(lr, hr, _searched(lr, hr, lr_chosen, hr_chosen), lr_chosen, hr_chosen)
    on_lines = np.zeros(len(lr_chosen), bool)
    for line in lines:
        on_lines |= (lr.seconds[lr_chosen] >= line.first) & (lr.seconds[lr_chosen] <= line.last)
    return float(on_lines.mean())


def _searched(lr: Signatures, hr: Signatures, lr_chosen: Frames, hr_chosen: Frames) -> Describer:
    """Return what describes both videos, in the framing that fits a sample of the chosen frames."""
    return search_framing(
        lr.thumbnails[_some(lr_chosen, TRIED)], hr.thumbnails[_some(hr_chosen, TRIED_AMONG)],
        (picture_of_all(lr.thumbnails), picture_of_all(hr.thumbnails)),
    )  # fmt: skip


def _voted(
    lr: Signatures, hr: Signatures, describer: Describer, lr_chosen: Frames, hr_chosen: Frames
) -> tuple[Matches, list[Line]]:
    """Return what matches among chosen frames, and the lines that these vote for."""
    matches = find_matches(
        _described_coarsely(describer.lr, lr.thumbnails, lr_chosen),
        _described_coarsely(describer.hr, hr.thumbnails, hr_chosen),
        lr.seconds[lr_chosen], hr.seconds[hr_chosen],
    )  # fmt: skip
    return matches, find_lines(matches, _length(lr) / len(lr_chosen), _nominal_rate(lr, hr))


def _described_coarsely(
    describe: Callable[[NDArray[np.uint8]], Descriptors], thumbnails: Thumbnails, chosen: Frames
) -> Descriptors:
    """Return the coarse descriptors of chosen frames, which are looked at a part at a time."""
    parts = (chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK))
    return np.concatenate([coarse(describe(thumbnails[part])) for part in parts])


def _nominal_rate(lr: Signatures, hr: Signatures) -> float:
    """Return the rate at which each LR frame is another HR frame, if films are sped up by as much, else 1."""
    rate = hr.period / lr.period
    return rate if abs(rate - 1) <= MAX_STRETCH else 1.0


def _length(video: Signatures) -> float:
    return float(video.seconds[-1] - video.seconds[0])


def _spread(video: Signatures, count: int, rates: tuple[float, float]) -> Frames:
    """Return frames of a video, evenly spread: about `count`, but within so many a second."""
    rate = min(max(count / max(_length(video), 1.0), rates[0]), rates[1])
    slots = np.floor((video.seconds - video.seconds[0]) * rate + 1e-6).astype(np.int64)
    return np.flatnonzero(np.diff(slots, prepend=-1) > 0)


def _some(numbers: Frames, most: int) -> Frames:
    """Return so many of some numbers at most, evenly spread."""
    chosen = np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(np.int64)
    return np.asarray(numbers[chosen])


def _on_lines(lr: Signatures, hr: Signatures, matches: Matches, lines: list[Line]) -> tuple[Frames, Frames]:
    """Return the LR and the HR frames of the matches that are on lines."""
    on_line = np.zeros(len(matches.lr), bool)
    for line in lines:
        within = (matches.lr >= line.first) & (matches.lr <= line.last)
        on_line |= within & (np.abs(line.at(matches.lr) - matches.hr) < NEAR_LINE)
    return np.searchsorted(lr.seconds, matches.lr[on_line]), np.searchsorted(hr.seconds, matches.hr[on_line])


def _refined(lr: Signatures, hr: Signatures, describer: Describer, numbers: Frames, frames: Frames) -> Describer:
    """Return what describes both videos in the framing that fits LR frames and HR frames that show the same."""
    if not len(numbers):
        return describer
    chosen = _some(np.arange(len(numbers)), REFINED_BY)
    at = frames[chosen]
    before, after = np.maximum(at - 1, 0), np.minimum(at + 1, len(hr) - 1)
    pairs = Pairs(lr.thumbnails[numbers[chosen]], *(hr.thumbnails[one] for one in (at, before, after)))
    return refine_framing(describer, pairs)


def _runs(assigned: Frames) -> list[tuple[int, int, int]]:
    """Return the runs of frames that are on one line: its number, the first frame, and the one after the last."""
    starts = np.flatnonzero(np.diff(assigned, prepend=-2) != 0)
    ends = np.append(starts[1:], len(assigned))
    return [(int(assigned[start]), int(start), int(end)) for start, end in zip(starts, ends, strict=True)
            if assigned[start] >= 0]  # fmt: skip


def _refitted(films: Films, runs: list[tuple[Line, int, int]]) -> tuple[list[Line], Frames, Frames]:
    """Return the lines through the very frames of runs, those that motion tells for certain counting most; and these.

    Returns
    -------
    lines, LR frames, HR frames
    """
    parts, numbers, found = [], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for line, first, last in runs:
        frames, band = exact_frames(films, line, first, last)
        weight = certainty(frames, band)
        parts.append(Matches(films.lr.seconds[first:last], films.hr.seconds[frames], weight + 1e-3))
        numbers.append(np.arange(first, last))
        found.append(frames)
    return fit_lines(parts, _nominal_rate(films.lr, films.hr)), np.concatenate(numbers), np.concatenate(found)


def _mapped(films: Films, lines: list[Line]) -> Timeline:
    """Return the segments of the lines, and the HR frame of each LR frame on them."""
    hr_frames = np.full(len(films.lr), -1, np.int64)
    segments = []
    for number, first, last in _runs(assign_lines(films, lines)):
        line = lines[number]
        frames, band = exact_frames(films, line, first, last)
        reach = band.scores.shape[1] // 2
        scores = band.scores[np.arange(len(frames)), np.clip(frames - band.base + reach, 0, 2 * reach)]
        usual = float(np.median(scores))
        if _stands_still(films, line, first, last, frames):
            continue
        hr_frames[first:last] = np.where(scores > min(MIN_FRAME, usual / 2), frames, -1)
        lr_from, lr_to = (float(films.lr.seconds[k]) for k in (first, last - 1))
        hr_from, hr_to = line.at(np.array([lr_from, lr_to]))
        segments.append(
            Segment(first, last - 1, lr_from, lr_to, float(hr_from), float(hr_to), line.rate, max(0.0, usual))
        )
    return Timeline(segments, hr_frames, films.describer.framing)


def _stands_still(films: Films, line: Line, first: int, last: int, frames: Frames) -> bool:
    """Tell whether the HR hardly goes on while the LR does: its last frame before a cut is like what it lacks then."""
    passed = line.rate * (films.lr.seconds[last - 1] - films.lr.seconds[first])
    return bool(films.hr.seconds[frames[-1]] - films.hr.seconds[frames[0]] < passed / 2)


# A frame that correlates less, within a segment, shows something else, as a title in another language.
MIN_FRAME = 0.4
