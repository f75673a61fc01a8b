"""Which HR might show the same picture as which LR."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import NamedTuple

from twimager.fingerprint.fingerprint import Fingerprint

# So many HRs at most are compared with an LR on the word of one source: where 28 crops of each photograph overlap, the
# true one was not among the first eight by votes for 7 of 1,000 LRs, not among the first ten for 4.
CANDIDATES = 10


class Source(Enum):
    """Who proposes a pair; the value is what reports call it."""

    FRAME = "frame"
    HASH = "hash"
    FEATURES = "features"


class Proposal(NamedTuple):
    """An LR and an HR worth a closer look, the latter flipped left to right if `mirrored`."""

    lr: Fingerprint
    hr: Fingerprint
    source: Source
    mirrored: bool = False

    @property
    def key(self) -> tuple[Path, Path, bool]:
        """What is the same for the same proposal of another source."""
        return self.lr.path, self.hr.path, self.mirrored

    @property
    def images(self) -> tuple[Fingerprint, Fingerprint]:
        """Both images."""
        return self.lr, self.hr
