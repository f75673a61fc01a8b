"""Lines from LR time to HR time that many frames of two videos agree on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.video.descriptors import Descriptors

# What films are sped up by for another system: 24 frames a second played as 25 or 30, and 1000/1001 of it.
KNOWN_RATES = (1.0, 25 / 24, 24 / 25, 1001 / 1000, 1000 / 1001, 25025 / 24000, 24000 / 25025, 30 / 24, 24 / 30)
# A match correlates by more than frames that show different things do, and is one of so many best of its frame.
MIN_MATCH, MATCHES = 0.45, 6
# A chain goes on over so many seconds, at a rate that is off from 1 by so much, and with jumps by so many seconds, as
# where frames are missing.
REACH, MAX_STRETCH, JITTER = 6.0, 0.12, 0.2
# What a second without a match takes from a chain, and one that the HR jumps by, in seconds of perfect matches; and
# what the least chain is worth.
GAP, JUMP, MIN_CHAIN = 0.05, 0.25, 0.3
# Seconds over which a part's slope is known to half a hundredth, and so if its matches are exact; the standard
# deviation, in seconds, of matches from their line; and how much more support a part's own rate must have than that of
# all, and one of KNOWN_RATES than 1 or the ratio of the frame rates.
LONG, LONG_IF_EXACT, NEAR, OWN_RATE, KNOWN_RATE = 20.0, 8.0, 0.06, 1.1, 1.1
# LR frames whose matches are searched for at once.
CHUNK = 128


class Line(NamedTuple):
    """HR time = rate * LR time + offset, in seconds, as seen from one LR time to another."""

    rate: float
    offset: float
    first: float
    last: float

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the HR times of LR times."""
        return self.rate * seconds + self.offset


class Matches(NamedTuple):
    """Frames that look alike: when they are shown, in seconds, in the order of the LR, and their correlation."""

    lr: NDArray[np.float64]
    hr: NDArray[np.float64]
    score: NDArray[np.float64]

    def some(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Matches:
        """Return some of them."""
        return Matches(*(column[chosen] for column in self))


def find_matches(
    lr: Descriptors, hr: Descriptors, lr_seconds: NDArray[np.float64], hr_seconds: NDArray[np.float64]
) -> Matches:
    """Return, of every LR frame, the moments of the HR video that are most like it.

    Parameters
    ----------
    lr, hr : (n, k) and (m, k)
    """
    found = []
    for start in range(0, len(lr), CHUNK):
        scores = lr[start : start + CHUNK] @ hr.T
        rows, columns = np.nonzero(scores > MIN_MATCH)
        values = scores[rows, columns]
        before, after = (scores[rows, np.clip(columns + step, 0, len(hr) - 1)] for step in (-1, 1))
        peaks = (values >= before) & ((values > after) | (columns == len(hr) - 1))
        rows, columns, values = (one[peaks] for one in (rows, columns, values))
        order = np.lexsort((-values, rows))
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        best = order[rank < MATCHES]
        found.append((lr_seconds[start + rows[best]], hr_seconds[columns[best]], values[best]))
    return Matches(*(np.concatenate(parts).astype(np.float64) for parts in zip(*found, strict=True)))


def find_lines(matches: Matches, step: float, nominal: float = 1.0) -> list[Line]:
    """Return the lines through chains of matches, at the rate that the chains agree on.

    Parameters
    ----------
    step : seconds between the LR frames that were matched
    nominal : the rate at which each LR frame is another HR frame
    """
    chains = [matches.some(chain) for chain in _chains(matches, step)]
    rates = _rates(chains, LONG, nominal)
    return [line for chain, rate in zip(chains, rates, strict=True) for line in _split(chain, rate, step)]


def fit_lines(parts: list[Matches], nominal: float) -> list[Line]:
    """Return a line through the exact matches of each part, at the rate that all agree on, or clearly its own."""
    return [
        Line(rate, _offset(part, rate), float(part.lr[0]), float(part.lr[-1]))
        for part, rate in zip(parts, _rates(parts, LONG_IF_EXACT, nominal), strict=True)
    ]


def _split(chain: Matches, rate: float, step: float) -> list[Line]:
    """Return the lines of one rate that a chain consists of, as far as they are worth a chain: it may jump a little."""
    lines = []
    while len(chain.lr) and (chain.score - MIN_MATCH).sum() * step >= MIN_CHAIN:
        offset = _offset(chain, rate)
        near = np.abs(chain.hr - rate * chain.lr - offset) < JITTER
        line = chain.some(near)
        if (line.score - MIN_MATCH).sum() * step >= MIN_CHAIN:
            lines.append(Line(rate, offset, float(line.lr[0]), float(line.lr[-1])))
        chain = chain.some(~near)
    return lines


def _rates(parts: list[Matches], long: float, nominal: float) -> list[float]:
    """Return the rate of each part: the one that all agree on, or its own if that has clearly more support.

    Parameters
    ----------
    long : parts of more seconds have a rate of their own
    """
    if not parts:
        return []
    own = [_slope(part) if part.lr[-1] - part.lr[0] > long else None for part in parts]
    tried = (*KNOWN_RATES, nominal, *(rate for rate in own if rate))
    common = max(tried, key=lambda rate: _prior(rate, nominal) * sum(_support(part, rate) for part in parts))
    return [rate if rate and _support(part, rate) > OWN_RATE * _support(part, common) else common
            for part, rate in zip(parts, own, strict=True)]  # fmt: skip


def _prior(rate: float, nominal: float) -> float:
    return 1.0 if rate in (1, nominal) else 1 / KNOWN_RATE if rate in KNOWN_RATES else 1 / OWN_RATE


def _support(part: Matches, rate: float) -> float:
    """Return the weight of the matches that are near to their line of a rate."""
    off = part.hr - rate * part.lr - _offset(part, rate)
    return float((part.score * np.exp(-(off**2) / (2 * NEAR**2))).sum())


def _offset(part: Matches, rate: float) -> float:
    """Return the offset that most matches have: the mode of a histogram, and the median of those near to it."""
    offsets = part.hr - rate * part.lr
    bins = np.round((offsets - offsets.min()) / NEAR).astype(np.int64)
    votes = np.convolve(np.bincount(bins, part.score), (1, 2, 1), "same")
    mode = offsets.min() + NEAR * int(votes[: bins.max() + 1].argmax())
    chosen = np.flatnonzero(np.abs(offsets - mode) <= 2 * NEAR)
    order = chosen[np.argsort(offsets[chosen])]
    weight = np.cumsum(part.score[order])
    return float(offsets[order[np.searchsorted(weight, weight[-1] / 2)]])


def _slope(part: Matches) -> float:
    """Return the median slope between matches that are half a part away from each other (Theil-Sen)."""
    half = len(part.lr) // 2
    steps = part.lr[half:] - part.lr[: len(part.lr) - half]
    return float(np.median((part.hr[half:] - part.hr[: len(part.hr) - half])[steps > 0] / steps[steps > 0]))


def _chains(matches: Matches, step: float) -> list[NDArray[np.int64]]:
    """Return chains of matches that go on in both videos at about one rate, the best first, each match in one.

    By dynamic programming: the best chain that ends with a match is that match and the best one it can follow.
    """
    worth = (matches.score - MIN_MATCH) * step
    if not len(worth):
        return []
    total, previous = worth.copy(), np.full(len(worth), -1)
    moments, starts = np.unique(matches.lr, return_index=True)
    ends = np.append(starts[1:], len(worth))
    reach = np.searchsorted(matches.lr, moments - REACH)
    for first, start, end in zip(reach, starts, ends, strict=True):
        if first == start:
            continue
        passed = matches.lr[start] - matches.lr[first:start]
        off = np.abs(np.subtract.outer(matches.hr[start:end], matches.hr[first:start]) - passed)
        gain = total[first:start] - GAP * passed - JUMP * off
        gain = np.where(off <= MAX_STRETCH * passed + JITTER, gain, -np.inf)
        best = gain.argmax(axis=1)
        most = gain[np.arange(end - start), best]
        longer = most > 0
        total[start:end] += np.where(longer, most, 0)
        previous[start:end] = np.where(longer, first + best, -1)
    return _untangled(total, previous)


def _untangled(total: NDArray[np.float64], previous: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the chains that end with each match, the best first, without what is in a better one."""
    taken = np.zeros(len(total), bool)
    chains = []
    for end in np.argsort(-total):
        if total[end] < MIN_CHAIN:
            break
        chain, at = [], end
        while at >= 0 and not taken[at]:
            chain.append(at)
            at = previous[at]
        left = total[end] - (total[at] if at >= 0 else 0)
        taken[chain] = True
        if left >= MIN_CHAIN and len(chain) > 2:
            chains.append(np.array(chain[::-1]))
    return chains
