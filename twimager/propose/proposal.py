"""Proposed pairs: which HR may show the same picture as which LR."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import NamedTuple

from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.working_image import WorkingImage

# So many HRs at most are evaluated for an LR by one source: where 28 crops of each photograph overlap, the true one was
# not among the first eight by votes for 7 of 1,000 LRs, not among the first ten for 4.
CANDIDATES = 10


class Source(Enum):
    """What a pair is proposed by; the value is its name in reports."""

    FRAME = "frame"
    HASH = "hash"
    FEATURES = "features"
    THUMBNAIL = "thumbnail"


class Proposal(NamedTuple):
    """An LR and an HR to be evaluated.

    Attributes
    ----------
    mirrored : whether the HR is flipped left to right
    negative : whether one is the other's negative
    stretch : the LR's features were found in a copy that is so many times as wide by its height
    """

    lr: Fingerprint
    hr: Fingerprint
    source: Source
    mirrored: bool = False
    negative: bool = False
    stretch: float = 1.0

    @property
    def key(self) -> tuple[Path, Path, bool, bool, float]:
        """What identifies the proposal, whatever its source."""
        return self.lr.path, self.hr.path, self.mirrored, self.negative, self.stretch

    def as_shown(self, hr: WorkingImage) -> WorkingImage:
        """Return a copy of the HR as the LR shows it: inverted where one is the other's negative."""
        return hr.negative if self.negative else hr

    @property
    def without_features(self) -> Proposal:
        """The same without features, which take most of the memory."""
        return self._replace(lr=self.lr.without_features, hr=self.hr.without_features)

    @property
    def images(self) -> tuple[Fingerprint, Fingerprint]:
        """Both images."""
        return self.lr, self.hr
