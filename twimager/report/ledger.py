"""The state of a run that is running: what has been decided so far."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from twimager.errors import OF_TWO_MOMENTS, Reason, Rejection
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.options import Options
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal
from twimager.report.records import (
    NOT_READ,
    Note,
    Record,
    RejectedImage,
    Report,
    closest,
    closest_by,
    how_far,
    left,
    numbers,
)
from twimager.runtime.console import Console


class Ledger:
    """What has been decided in a run, for one thread.

    Attributes
    ----------
    duplicates : the files of the same bytes, by each of them
    taken : the images of the pairs that were chosen, whether they could be written or not, and LRs of two moments
    near_hashes : for each LR that was evaluated by itself, how many HRs were near its hashes
    seconds : how long each stage took
    aborted, interrupted : whether the run was ended in a window of `--debug`, or by a signal
    """

    def __init__(self, console: Console) -> None:
        """Write a line on each decision to the console, and below it as details the candidates that were rejected."""
        self._console = console
        self.duplicates: dict[Path, tuple[Path, ...]] = {}
        self.taken: set[Path] = set()
        self.near_hashes: list[int] = []
        self.seconds: dict[str, float] = {}
        self.aborted = self.interrupted = False
        self._pairs: list[Record] = []
        self._rejected: list[RejectedPair] = []
        self._reopened: dict[Hashable, RejectedPair] = {}
        self._rejected_images: list[RejectedImage] = []
        self._notes: dict[Note, None] = {}
        self._images: dict[Path, Fingerprint] = {}
        self._untold: dict[Path, dict[Path, RejectedPair]] = {}

    def __len__(self) -> int:
        """How many pairs were accepted."""
        return len(self._pairs)

    def take(self, pair: VerifiedPair) -> None:
        """Enter the images of a chosen pair as taken."""
        self.taken |= {image.path for image in pair.proposal.images}

    def release(self, pair: VerifiedPair) -> None:
        """Enter the images of a chosen pair as not taken after all."""
        self.taken -= {image.path for image in pair.proposal.images}

    def accept(self, record: Record) -> None:
        """Enter a pair that was written, or would be."""
        proposal = self._without_features(record.pair.proposal)
        self._pairs.append(replace(record, pair=record.pair._replace(proposal=proposal)))
        self._console.decision(f"{proposal.lr.path.name} = {proposal.hr.path.name}: {numbers(record.pair)}")
        self._tell_rejected(proposal.lr.path)

    def reject(self, *pairs: RejectedPair) -> None:
        """Enter rejected pairs; of one that was reopened, the evaluation that came closer."""
        for latest in pairs:
            if latest.rejection.reason in OF_TWO_MOMENTS:
                lr = latest.proposal.lr.path
                self.taken |= {lr, *self.duplicates.get(lr, ())}
            closer = max(latest, self._reopened.pop(latest.proposal.key, latest), key=how_far)
            pair = closer._replace(proposal=self._without_features(closer.proposal))
            self._rejected.append(pair)
            lr, hr = (image.path for image in pair.proposal.images)
            of_lr = self._untold.setdefault(lr, {})
            of_lr[hr] = max(of_lr.get(hr, pair), pair, key=how_far)

    def _tell_rejected(self, lr: Path, told: RejectedPair | None = None) -> None:
        """Write a line on each HR that was rejected for an LR, by the evaluation that came closest, but for one."""
        for hr, pair in self._untold.pop(lr, {}).items():
            if not told or hr != told.proposal.hr.path:
                self._console.detail(f"{lr.name} - {hr.name}: {pair.rejection}")

    def _without_features(self, proposal: Proposal) -> Proposal:
        lr, hr = (self._images.setdefault(image.path, image.without_features) for image in proposal.images)
        return proposal._replace(lr=lr, hr=hr)

    def reopen(self, proposals: Iterable[Proposal]) -> None:
        """Strike the rejections of proposals that are evaluated anew."""
        anew = {proposal.key for proposal in proposals}
        self._reopened = {pair.proposal.key: pair for pair in self._rejected if pair.proposal.key in anew}
        self._rejected = [pair for pair in self._rejected if pair.proposal.key not in anew]

    def certainly_rejected(self) -> set[Hashable]:
        """Return the keys of proposals that were rejected in spite of many inliers: more features change nothing."""
        return {pair.proposal.key for pair in self._rejected if pair.match and pair.match.is_certain}

    def reject_images(self, side: str, images: Mapping[Path, Rejection]) -> None:
        """Enter images of a side that are in no pair, and why."""
        self._rejected_images += [RejectedImage(side, path, why) for path, why in images.items()]

    @property
    def unreadable(self) -> int:
        """How many files could not be read."""
        return sum(image.rejection.reason in NOT_READ for image in self._rejected_images)

    def note(self, path: Path, text: str) -> bool:
        """Enter a remark on an image that is used; return whether it is new."""
        known = len(self._notes)
        self._notes[Note(path, text)] = None
        return len(self._notes) > known

    def account_for_unpaired(
        self, lr_paths: Sequence[Path], hr_paths: Sequence[Path], stopped: str, max_difference: float
    ) -> None:
        """Enter why each other image is in no pair; `stopped` is what ended the run early, empty if nothing did.

        `max_difference` is the limit of what may be contradicted, which the decision on an LR names.
        """
        paired = {image.path for record in self._pairs for image in record.pair.proposal.images}
        accounted_for = paired | {image.path for image in self._rejected_images}
        evaluated = self._images_of(self._rejected)
        similar = self._images_of(pair for pair in self._rejected if pair.rejection.reason is not Reason.FEW_MATCHES)
        differing, nearest = self._lrs_that_differ(), closest(self._rejected)
        for side, paths in (("LR", lr_paths), ("HR", hr_paths)):
            for path in (path for path in paths if path not in accounted_for):
                if stopped and (side == "HR" or path not in evaluated):
                    why = Rejection(Reason.NOT_REACHED, stopped)
                else:
                    why = Rejection(Reason.NO_PARTNER if path in similar else Reason.NOTHING_SIMILAR)
                    why = differing.get(path, why)
                self.reject_images(side, {path: why})
                if side == "LR":
                    came_closest = nearest.get(self._same(path)[0])
                    self._console.decision(left(path, why.reason, came_closest, max_difference))
                    self._tell_rejected(path, came_closest)
        for lr in list(self._untold):
            self._tell_rejected(lr)

    def _images_of(self, pairs: Iterable[RejectedPair]) -> set[Path]:
        """Return the images of pairs, and their duplicates."""
        return {same for pair in pairs for image in pair.proposal.images for same in self._same(image.path)}

    def _same(self, path: Path) -> tuple[Path, ...]:
        """Return an image and its duplicates: one of several was evaluated for all."""
        return self.duplicates.get(path, (path,))

    def _lrs_that_differ(self) -> dict[Path, Rejection]:
        """Return the LRs of which a part shows something else than the HR that came closest, and that HR."""
        return {
            same: Rejection(Reason.NO_SUCH_FRAME, f"closest {pair.proposal.hr.path.name}: {pair.rejection.detail}")
            for lr, pair in closest(self._rejected).items()
            for same in self._same(lr)
            if pair.rejection.reason is Reason.DIFFERENT
        }

    def report(self, options: Options) -> Report:
        """Return the report of the run so far; of what was rejected several times the closest, and failures."""
        rejected = closest_by(
            self._rejected,
            lambda pair: (pair.proposal.lr.path, pair.proposal.hr.path, pair.rejection.reason is Reason.FAILED),
        )
        return Report(
            options, tuple(self._pairs), tuple(rejected.values()), tuple(self._rejected_images), tuple(self._notes),
            tuple(self.near_hashes), tuple(self.seconds.items()), self.aborted, self.interrupted,
        )  # fmt: skip
