"""The state of a run that is running: what has been decided so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from twimager.errors import OF_TWO_MOMENTS, Reason, Rejection
from twimager.options import Options
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal
from twimager.report.decided import DecidedPairs
from twimager.report.records import NOT_READ, Note, Record, RejectedImage, Report, how_far, left, numbers
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
        self._decided = DecidedPairs()
        self._paired: set[Path] = set()
        self._accepted = 0
        self._rejected_images: list[RejectedImage] = []
        self._notes: dict[Note, None] = {}
        self._untold: dict[Path, dict[Path, RejectedPair]] = {}

    def __len__(self) -> int:
        """How many pairs were accepted."""
        return self._accepted

    def take(self, pair: VerifiedPair) -> None:
        """Enter the images of a chosen pair as taken."""
        self.taken |= {image.path for image in pair.proposal.images}

    def release(self, pair: VerifiedPair) -> None:
        """Enter the images of a chosen pair as not taken after all."""
        self.taken -= {image.path for image in pair.proposal.images}

    def accept(self, record: Record) -> None:
        """Enter a pair that was written, or would be."""
        self._decided.accept(record)
        self._accepted += 1
        lr, hr = (image.path for image in record.pair.proposal.images)
        self._paired |= {lr, hr}
        self._console.decision(f"{lr.name} = {hr.name}: {numbers(record.pair)}")
        self._tell_rejected(lr)

    def reject(self, *pairs: RejectedPair) -> None:
        """Enter rejected pairs; of one that was reopened, the evaluation that came closer."""
        for pair in pairs:
            self._decided.reject(pair)
            lr, hr = (image.path for image in pair.proposal.images)
            if pair.rejection.reason in OF_TWO_MOMENTS:
                self.taken |= {lr, *self.duplicates.get(lr, ())}
            if self._console.shows_details:
                of_lr = self._untold.setdefault(lr, {})
                of_lr[hr] = max(of_lr.get(hr, pair), pair, key=how_far)

    def _tell_rejected(self, lr: Path, told: RejectedPair | None = None) -> None:
        """Write a line on each HR that was rejected for an LR, by the evaluation that came closest, but for one."""
        for hr, pair in self._untold.pop(lr, {}).items():
            if not told or hr != told.proposal.hr.path:
                self._console.detail(f"{lr.name} - {hr.name}: {pair.rejection}")

    def reopen(self, proposals: Iterable[Proposal]) -> None:
        """Strike the rejections of proposals that are evaluated anew."""
        self._decided.forget_reopened()
        for proposal in proposals:
            self._decided.reopen(proposal)

    def is_certainly_rejected(self, proposal: Proposal) -> bool:
        """Return whether a proposal was rejected in spite of many inliers: more features change nothing."""
        return self._decided.is_certainly_rejected(proposal)

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
        decided = self._decided
        accounted_for = self._paired | {image.path for image in self._rejected_images}
        for side, paths in (("LR", lr_paths), ("HR", hr_paths)):
            for path in (path for path in paths if path not in accounted_for):
                evaluated = [same for same in self._same(path) if decided.is_rejected(same)]
                came_closest = self._closest(evaluated) if side == "LR" else None
                if stopped and (side == "HR" or not evaluated):
                    why = Rejection(Reason.NOT_REACHED, stopped)
                elif came_closest and came_closest.rejection.reason is Reason.DIFFERENT:
                    name, detail = came_closest.proposal.hr.path.name, came_closest.rejection.detail
                    why = Rejection(Reason.NO_SUCH_FRAME, f"closest {name}: {detail}")
                else:
                    similar = any(decided.is_rejected(same, similar=True) for same in evaluated)
                    why = Rejection(Reason.NO_PARTNER if similar else Reason.NOTHING_SIMILAR)
                self.reject_images(side, {path: why})
                if side == "LR":
                    self._console.decision(left(path, why.reason, came_closest, max_difference))
                    self._tell_rejected(path, came_closest)
        for lr in list(self._untold):
            self._tell_rejected(lr)

    def _same(self, path: Path) -> tuple[Path, ...]:
        """Return an image and its duplicates: one of several was evaluated for all."""
        return self.duplicates.get(path, (path,))

    def _closest(self, lrs: Iterable[Path]) -> RejectedPair | None:
        """Return the rejected pair of LRs of the same bytes that came closest."""
        return max(filter(None, map(self._decided.closest, lrs)), key=how_far, default=None)

    def report(self, options: Options) -> Report:
        """Return the report of the run so far; of what was rejected several times the closest, and failures."""
        return Report(
            options, self._decided.accepted, self._decided.rejected, tuple(self._rejected_images), tuple(self._notes),
            tuple(self.near_hashes), tuple(self.seconds.items()), self.aborted, self.interrupted,
        )  # fmt: skip
