"""The results of a run that has ended: its pairs, and what was rejected."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from twimager.errors import ExitCode, Reason, Rejection
from twimager.options import Options
from twimager.output.clips import WrittenFrame
from twimager.output.names import NOT_WRITTEN, Outputs
from twimager.output.tiles import Tile
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.verify.scores import Scores

if TYPE_CHECKING:
    from twimager.video.matching import VideoMatch
    from twimager.video.selection import Selection

# How the note on an image ends whose values do not use all of their bits.
BITS_IN_USE = "of 16 bits are in use"
NOT_READ = (Reason.UNREADABLE, Reason.UNSUPPORTED, Reason.NOT_REGULAR)


@dataclass(frozen=True)
class Record:
    """A pair, where its files went, whether a review has accepted it already, and its tiles, or its clip's frames."""

    pair: VerifiedPair
    outputs: Outputs = NOT_WRITTEN
    accepted: bool = False
    tiles: tuple[Tile, ...] = ()
    clip: tuple[WrittenFrame, ...] = ()

    @property
    def files(self) -> list[Path]:
        """All files that were written."""
        tiles, frames = [tile.outputs for tile in self.tiles], [frame.outputs for frame in self.clip]
        return [path for outputs in (self.outputs, *tiles, *frames) for path in outputs.paths]


@dataclass(frozen=True)
class RejectedImage:
    """An image that is in no pair, and why."""

    side: str
    path: Path
    rejection: Rejection


class Moment(NamedTuple):
    """A frame of a video.

    Attributes
    ----------
    number : 0 for the first frame
    pts : its presentation timestamp, in the stream's time base
    """

    video: Path
    number: int
    pts: int
    seconds: float


class FilmResult(NamedTuple):
    """Two videos that belong together, which of their frames were chosen, and how far the pairs' geometry weaves.

    Attributes
    ----------
    weave : LR pixels from the transform that the pairs have in common to their own, the median; None of few pairs, or
        without `--steady`
    """

    match: VideoMatch
    chosen: Selection
    weave: float | None


@dataclass(frozen=True)
class Note:
    """A remark on an image that is used."""

    path: Path
    text: str


@dataclass(frozen=True)
class Report:
    """A whole run.

    Attributes
    ----------
    near_hashes : for each LR that was evaluated by itself, how many HRs were near its hashes
    seconds : how long each stage took
    aborted, interrupted : whether the run was ended in a window of `--debug`, or by a signal
    moments : of images that are frames of videos, which
    films : what was found of videos that belong together
    """

    options: Options
    pairs: Sequence[Record] = ()
    rejected_pairs: Sequence[RejectedPair] = ()
    rejected_images: tuple[RejectedImage, ...] = ()
    notes: tuple[Note, ...] = ()
    near_hashes: tuple[int, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    aborted: bool = False
    interrupted: bool = False
    moments: Mapping[Path, Moment] = field(default_factory=dict)
    films: tuple[FilmResult, ...] = ()

    @property
    def stopped(self) -> bool:
        """Whether the run ended early."""
        return self.aborted or self.interrupted

    @property
    def exit_code(self) -> ExitCode:
        """What the run's outcome means to the caller; the gravest applies."""
        if self.aborted:
            return ExitCode.INTERRUPTED
        if not self.pairs:
            return ExitCode.NO_PAIR
        incomplete = self.unreadable or self.unwritten or self.reasons[Reason.FAILED]
        return ExitCode.INCOMPLETE if incomplete else ExitCode.DONE

    @cached_property
    def reasons(self) -> Counter[Reason]:
        """How many pairs were rejected for each reason."""
        return Counter(pair.rejection.reason for pair in self.rejected_pairs)

    @property
    def unreadable(self) -> int:
        """How many files could not be read."""
        return sum(image.rejection.reason in NOT_READ for image in self.rejected_images)

    @property
    def unwritten(self) -> int:
        """How many pairs could not be written."""
        return self.reasons[Reason.NOT_WRITTEN]


def how_far(pair: RejectedPair) -> tuple[float, int]:
    """Return the closeness of a rejected pair."""
    return closeness(pair.scores, pair.match.inliers if pair.match else None)


def closest(pairs: Iterable[RejectedPair]) -> dict[Path, RejectedPair]:
    """Return for each LR of rejected pairs the one that came closest."""
    found: dict[Path, RejectedPair] = {}
    for pair in pairs:
        lr = pair.proposal.lr.path
        found[lr] = max(found.get(lr, pair), pair, key=how_far)
    return found


def closeness(scores: Scores | None, inliers: int | None) -> tuple[float, int]:
    """Return how close a rejected pair came: by its pixels where those were compared, else by its features."""
    return scores.similarity if scores else -math.inf, -1 if inliers is None else inliers


def left(lr: Path, reason: Reason, nearest: RejectedPair | None, max_difference: float) -> str:
    """Return in a line why an LR is in no pair, and which number of the HR that came closest fails which limit."""
    if not nearest:
        return f"{lr.name} left: {reason.value}"
    why = str(nearest.rejection)
    contradicted = nearest.scores.contradicted if nearest.scores else None
    if nearest.rejection.reason is Reason.DIFFERENT and contradicted is not None:
        why = f"contradicted {contradicted:.3f}, at most {max_difference:g}; {nearest.rejection.detail}"
    first = f"{reason.value}; " * (reason is not Reason.NO_PARTNER)  # that the closest one was rejected says as much
    return f"{lr.name} left: {first}closest {nearest.proposal.hr.path.name}, {why}"


def numbers(pair: VerifiedPair) -> str:
    """Return a pair's main figures in a few words."""
    scores = pair.scores
    found = "same frame" if pair.match.inliers is None else f"{pair.match.inliers} inliers"
    words = [found, f"correlation {scores.correlation:.3f}", f"coverage {scores.coverage:.3f}"]
    shares = {"agreed": scores.agreed, "different": scores.different, "unjudged": scores.unjudged}
    words += [f"{name} {share:.2f}" for name, share in shares.items() if share is not None]
    return ", ".join(words + ["mirrored"] * pair.proposal.mirrored + ["negative"] * pair.proposal.negative)
