"""What a pair is on its way through a run: a candidate, deferred, verified or rejected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from twimager.align.matching import Match
from twimager.errors import Rejection
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Rect
from twimager.propose.proposal import Proposal
from twimager.verify.agreement_map import AgreementMap
from twimager.verify.overlay import Overlay
from twimager.verify.scores import Scores


class Candidate(NamedTuple):
    """An aligned pair that is compared with the LR's other candidates.

    Attributes
    ----------
    overlay : both on one grid of the LR
    hr, lr : the working images of both
    score_gap : how far its score is below that of the LR's best candidate
    detail : the share, along a side, of its HR's pixels that hold detail: less than 1 if it is found to be enlarged
    fineness : how strong the HR's finest detail is, where measured
    tone_distance : mean CIE Delta E of what both show, as it is, where measured
    """

    proposal: Proposal
    match: Match
    scores: Scores
    overlay: Overlay
    hr: WorkingImage
    lr: WorkingImage
    score_gap: float = 0.0
    detail: float = 1.0
    fineness: float | None = None
    tone_distance: float | None = None


class Part(NamedTuple):
    """Which part of the pairs one is in, with `--split`.

    Attributes
    ----------
    split : train or val
    group : the number, from 1, of the pairs that share content with it
    """

    split: Literal["train", "val"]
    group: int


class ClipFrame(NamedTuple):
    """The LR and the HR frame of one moment: their files, and their numbers in the videos."""

    lr: Path
    hr: Path
    lr_number: int
    hr_number: int


class Clip(NamedTuple):
    """Frames in a row of two videos.

    Attributes
    ----------
    frames : of both, those of the pair among them
    number : of the chosen frame that it is around, from 0, among those of all videos
    video, of_video : the number of the two videos, from 1, and of the chosen frame among theirs, from 1
    """

    frames: tuple[ClipFrame, ...]
    number: int
    video: int
    of_video: int


class VerifiedPair(NamedTuple):
    """A pair that passed every gate.

    Attributes
    ----------
    common : the LR pixels that the HR covers
    window : the LR pixels that will be written
    rivals : HRs that show the LR as well as this one
    score_gap : how far its score is below that of the LR's best candidate
    native_scale : HR source pixels that hold detail, along a side, per output pixel
    agreement : where both agree; None if nothing differs
    part : whether it is to train on or to validate with; None without `--split`
    clip : the frames around it; None without `--clips`
    weave : how far its own transform is off the one that the pairs of its videos have in common, LR pixels, in the
        centre; None where none is known
    """

    proposal: Proposal
    match: Match
    scores: Scores
    common: Rect
    window: Rect
    rivals: tuple[Path, ...] = ()
    score_gap: float = 0.0
    native_scale: float = 1.0
    agreement: AgreementMap | None = None
    part: Part | None = None
    clip: Clip | None = None
    weave: float | None = None

    def of_frame(self, frame: ClipFrame) -> VerifiedPair:
        """Return another frame of its clip as a pair, which shares all that is known of this one."""
        lr, hr = self.proposal.images
        proposal = self.proposal._replace(lr=replace(lr, path=frame.lr), hr=replace(hr, path=frame.hr))
        return self._replace(proposal=proposal, agreement=None)


class RejectedPair(NamedTuple):
    """A pair that was rejected; what was not computed by then is None."""

    proposal: Proposal
    rejection: Rejection
    match: Match | None = None
    scores: Scores | None = None
    agreement: AgreementMap | None = None


class Deferred(NamedTuple):
    """A candidate below the LR's best one; it is refined and verified only if the assignment chooses it.

    That is where the best one is assigned to another LR. `score_gap` is a lower bound.
    """

    proposal: Proposal
    match: Match
    scores: Scores
    score_gap: float


Choice = VerifiedPair | Deferred

T = TypeVar("T")


def reject(pair: Choice | Candidate, rejection: Rejection) -> RejectedPair:
    """Return a pair as rejected."""
    return RejectedPair(pair.proposal, rejection, pair.match, pair.scores)


def partition(outcomes: Iterable[T | RejectedPair]) -> tuple[list[T], list[RejectedPair]]:
    """Return the outcomes that are not rejected, and those that are."""
    passed, rejected = list[T](), list[RejectedPair]()
    for outcome in outcomes:
        if isinstance(outcome, RejectedPair):
            rejected.append(outcome)
        else:
            passed.append(outcome)
    return passed, rejected
