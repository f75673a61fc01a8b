"""What a run did: one record a pair, one a rejection."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from twimager.errors import ExitCode, Reason, Rejection
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.options import Options
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal
from twimager.verify.overlay import Scores

NOT_READ = (Reason.UNREADABLE, Reason.UNSUPPORTED, Reason.NOT_REGULAR)


@dataclass(frozen=True)
class Record:
    """A pair, where its files went (None: not written), and whether a review has accepted it already."""

    pair: VerifiedPair
    lr_output: Path | None
    hr_output: Path | None
    accepted: bool = False


@dataclass(frozen=True)
class RejectedImage:
    """An image that is in no pair, and why."""

    side: str
    path: Path
    rejection: Rejection


@dataclass(frozen=True)
class Note:
    """What is to be known of an image that is used."""

    path: Path
    text: str


@dataclass
class Report:
    """Everything that came out of a run; `tell` hears of each decision as it falls.

    `images` are those of the pairs, as they are kept here: without their features. `near_hashes` is, for each LR that
    was evaluated by itself, how many HRs were near its hashes; `copies` are the files of the same bytes, by each of
    them; `seconds` how long each stage took.
    """

    options: Options
    tell: Callable[[str], None]
    pairs: list[Record] = field(default_factory=list)
    rejected_pairs: list[RejectedPair] = field(default_factory=list)
    rejected_images: list[RejectedImage] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    images: dict[Path, Fingerprint] = field(default_factory=dict)
    near_hashes: list[int] = field(default_factory=list)
    copies: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    earlier: dict[Hashable, RejectedPair] = field(default_factory=dict)
    aborted: bool = False
    interrupted: bool = False

    def accept(self, record: Record) -> None:
        """Enter a pair."""
        proposal = self._without_features(record.pair.proposal)
        self.pairs.append(replace(record, pair=record.pair._replace(proposal=proposal)))
        self.tell(f"{proposal.lr.path.name} = {proposal.hr.path.name}: {numbers(record.pair)}")

    def turn_down(self, *pairs: RejectedPair) -> None:
        """Enter pairs that were turned down; of one that was looked at anew, the attempt that came further."""
        for latest in pairs:
            earlier = self.earlier.pop(latest.proposal.key, latest)
            pair = max(latest, earlier, key=how_far)
            self.rejected_pairs.append(pair._replace(proposal=self._without_features(pair.proposal)))
            self.tell(f"{pair.proposal.lr.path.name} - {pair.proposal.hr.path.name}: {pair.rejection}")

    def _without_features(self, proposal: Proposal) -> Proposal:
        lr, hr = (self.images.setdefault(image.path, image.without_features) for image in proposal.images)
        return proposal._replace(lr=lr, hr=hr)

    def forget(self, proposals: Iterable[Hashable]) -> None:
        """Strike rejections of proposals, named by their keys, that are looked at anew; `earlier` has them."""
        anew = set(proposals)
        self.earlier = {pair.proposal.key: pair for pair in self.rejected_pairs if pair.proposal.key in anew}
        self.rejected_pairs = [pair for pair in self.rejected_pairs if pair.proposal.key not in anew]

    @property
    def paired_paths(self) -> set[Path]:
        """The images that are in a pair."""
        return {image.path for record in self.pairs for image in record.pair.proposal.images}

    @property
    def decided_paths(self) -> set[Path]:
        """The images that are in a pair, or in one that was skipped by hand or could not be written."""
        final = (Reason.SKIPPED, Reason.NOT_WRITTEN)
        dropped = (pair for pair in self.rejected_pairs if pair.rejection.reason in final)
        return self.paired_paths | {image.path for pair in dropped for image in pair.proposal.images}

    @property
    def exit_code(self) -> ExitCode:
        """What the run's outcome means to the caller; the gravest applies."""
        if self.aborted:
            return ExitCode.INTERRUPTED
        if not self.pairs:
            return ExitCode.NO_PAIR
        return ExitCode.INCOMPLETE if self.unreadable or self.failed or self.unwritten else ExitCode.DONE

    @property
    def unreadable(self) -> int:
        """How many files could not be read."""
        return sum(image.rejection.reason in NOT_READ for image in self.rejected_images)

    @property
    def failed(self) -> int:
        """How many pairs could not be compared."""
        return self._rejected(Reason.FAILED)

    @property
    def unwritten(self) -> int:
        """How many pairs could not be written."""
        return self._rejected(Reason.NOT_WRITTEN)

    def _rejected(self, reason: Reason) -> int:
        return sum(pair.rejection.reason is reason for pair in self.rejected_pairs)


def how_far(pair: RejectedPair) -> tuple[float, int]:
    """Return the closeness of a pair that was turned down."""
    return closeness(pair.scores, pair.match.inliers if pair.match else None)


def numbers(pair: VerifiedPair) -> str:
    """Return what a person wants to know of a pair, in a few words."""
    scores = pair.scores
    found = "same frame" if pair.match.inliers is None else f"{pair.match.inliers} inliers"
    words = f"{found}, correlation {scores.correlation:.3f}, coverage {scores.coverage:.3f}"
    return words + ", mirrored" * pair.proposal.mirrored


def closeness(scores: Scores | None, inliers: int | None) -> tuple[float, int]:
    """Return how far a pair came that was turned down: by its pixels, where those were compared, else its features."""
    return scores.similarity if scores else -math.inf, -1 if inliers is None else inliers
