"""A cluster of images, what `cluster` is told, and what it returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twimager.cluster.clustering import Linkage
from twimager.errors import ExitCode
from twimager.fingerprint.fingerprint import Fingerprint


@dataclass(frozen=True)
class Cluster:
    """Images that are alike: its number, from 1 on, and its members, the best one first."""

    number: int
    members: Sequence[Fingerprint]

    @property
    def best(self) -> Fingerprint:
        """The member with the most pixels, of those the sharpest, of as sharp ones that with the most bytes."""
        return self.members[0]

    @property
    def folder(self) -> Path:
        """Where its images go, relative to DEST."""
        return Path(f"cluster_with_{len(self.members)}") / f"cluster_{self.number}"

    def distance(self, image: Fingerprint) -> int:
        """Return in how many bits the hashes of a member and of the best one differ."""
        return (image.hashes[0] ^ self.best.hashes[0]).bit_count()


@dataclass(frozen=True)
class ClusterOptions:
    """The command's options; docs/cluster.md says what each means. Without `dest` nothing is written."""

    folders: Sequence[Path]
    dest: Path | None
    similarity: float
    hash_side: int
    linkage: Linkage
    resize: float
    verify: bool
    save: Path | None
    jobs: int
    max_pixels: int


@dataclass(frozen=True)
class Clustering:
    """The clusters, the largest first, and how many files could not be read."""

    clusters: Sequence[Cluster]
    options: ClusterOptions
    unreadable: int

    @property
    def exit_code(self) -> ExitCode:
        """What the outcome means to the caller; the gravest applies."""
        if not any(len(cluster.members) > 1 for cluster in self.clusters):
            return ExitCode.NO_PAIR
        return ExitCode.INCOMPLETE if self.unreadable else ExitCode.DONE

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """How many members, and how many clusters have so many; the fewest first."""
        return sorted(Counter(len(cluster.members) for cluster in self.clusters).items())
