"""Files that hold the same bytes: one of them is read and evaluated for all."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import chain
from pathlib import Path

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.stamp import Stamp
from twimager.image.files import open_regular, read_bytes
from twimager.pairs import Choice, RejectedPair, VerifiedPair, reject
from twimager.propose.proposal import CANDIDATES, Proposal
from twimager.runtime.memory import budget

# The paths of all files of the same bytes, by each of them; of what is unique nothing.
Duplicates = Mapping[Path, tuple[Path, ...]]
# Bytes from the middle of a file by which most of those of one length are told apart.
SAMPLE = 4096
# Bytes of their digest: among many files most lengths occur several times, and all samples would be in memory at once.
DIGEST = 16


def find_duplicates(
    paths: Sequence[Path], stamps: Mapping[Path, Stamp | None], ordered: Callable[..., Iterator[Hashable]]
) -> Duplicates:
    """Return which files hold the same bytes; only those of equal length, and an equal middle, are read whole.

    `ordered` maps a function over values, in their order, as `Workers.map_shards` does.
    """
    lengths = (seen.bytes if (seen := stamps[path]) else 0 for path in paths)
    groups = _grouped([paths], lengths)
    for key in (_middle, _digest):
        groups = _grouped(groups, ordered(key, [path for group in groups for path in group]))
    return {path: tuple(group) for group in groups for path in group}


def _grouped(groups: Sequence[Sequence[Path]], keys: Iterable[Hashable]) -> list[list[Path]]:
    """Return the groups, split by the keys of their members; without what is alone, or has no key."""
    split: dict[Hashable, list[Path]] = defaultdict(list)
    members = ((number, path) for number, group in enumerate(groups) for path in group)
    for (number, path), key in zip(members, keys, strict=True):
        if key:
            split[number, key].append(path)
    return [group for group in split.values() if len(group) > 1]


def _middle(path: Path) -> bytes | None:
    """Return a digest of some bytes from the middle of a file, None if it is empty or can't be read."""
    try:
        with open_regular(path, buffering=0) as (file, size):
            file.seek(max(0, size - SAMPLE) // 2)
            sample = file.read(SAMPLE)
        return hashlib.blake2b(sample, digest_size=DIGEST).digest() if sample else None
    except (OSError, UnreadableImage):
        return None


def _digest(path: Path) -> bytes | None:
    """Return what tells a file's bytes, None if it is no image or can't be read."""
    try:
        with budget.admit_file(path):
            return hashlib.sha256(read_bytes(path)).digest()
    except UnreadableImage:
        return None


def representatives(images: Sequence[Fingerprint], duplicates: Duplicates, without: set[Path]) -> list[Fingerprint]:
    """Return one image of each content of which a file is not in `without`, under the path of the first such file."""
    kept: dict[Path, Fingerprint | None] = {}
    for image in images:
        paths = duplicates.get(image.path, (image.path,))
        if paths[0] not in kept:
            left = next((path for path in paths if path not in without), None)
            kept[paths[0]] = renamed(image, left) if left else None
    return [image for image in kept.values() if image]


def renamed(image: Fingerprint, path: Path) -> Fingerprint:
    """Return the fingerprint of an image as that of its duplicate at `path`."""
    return image if image.path is path else replace(image, path=path)


class FreeDuplicates:
    """The files of the same bytes that are in no pair: one was evaluated for all, each may be in a pair."""

    def __init__(self, duplicates: Duplicates, taken: Set[Path]) -> None:
        """Take from `duplicates` what is not in `taken`."""
        self._duplicates, self._taken = duplicates, taken

    def _free(self, image: Fingerprint) -> list[Path]:
        """Return the paths of an image's duplicates that are in no pair, its own among them."""
        return [path for path in self._duplicates[image.path] if path not in self._taken]

    def as_choices(self, group: Sequence[Sequence[Choice]]) -> list[Sequence[Choice]]:
        """Return the choices, with a duplicate of their HR for each LR in the group, another one first for each."""
        choosing = Counter(choice.proposal.hr.path for choices in group for choice in choices)
        free = {
            hr.path: self._free(hr)[: max(choosing[hr.path], CANDIDATES)]
            for hr in {choice.proposal.hr.path: choice.proposal.hr for choice in chain(*group)}.values()
            if hr.path in self._duplicates
        }
        if not free:
            return list(group)
        shared: list[Sequence[Choice]] = []
        turns = Counter[Path]()
        for choices in group:
            of_one_lr = list[Choice]()
            for choice in choices:
                hr = choice.proposal.hr.path
                paths = free.get(hr, [hr])
                start = turns[hr] % len(paths)
                turns[hr] += 1
                for path in paths[start:] + paths[:start]:
                    of_one_lr.append(choice._replace(proposal=_renamed(choice.proposal, hr=path)))
            shared.append(of_one_lr)
        return shared

    def paired_alike(self, pairs: Sequence[VerifiedPair]) -> tuple[list[VerifiedPair], list[RejectedPair]]:
        """Return the pairs of the other duplicates of these LRs, and those for which no duplicate of the HR is left."""
        taken = {pair.proposal.hr.path for pair in pairs}
        more, lost = list[VerifiedPair](), list[RejectedPair]()
        for pair in pairs:
            lr, hr = pair.proposal.images
            lrs = self._free(lr)[1:] if lr.path in self._duplicates else []
            hrs = (path for path in self._free(hr) if path not in taken) if hr.path in self._duplicates else iter(())
            for other in lrs:
                free = next(hrs, None)
                if free is None:
                    alone = pair._replace(proposal=_renamed(pair.proposal, lr=other))
                    lost.append(reject(alone, Rejection(Reason.TAKEN, f"{lr.path.name} with {hr.path.name}")))
                    continue
                taken.add(free)
                rivals = tuple(path for path in (*pair.rivals, hr.path) if path != free)
                more.append(pair._replace(proposal=_renamed(pair.proposal, lr=other, hr=free), rivals=rivals))
        return more, lost


def _renamed(proposal: Proposal, lr: Path | None = None, hr: Path | None = None) -> Proposal:
    """Return the proposal of duplicates of its images, by their paths."""
    own = renamed(proposal.lr, lr or proposal.lr.path), renamed(proposal.hr, hr or proposal.hr.path)
    return proposal._replace(lr=own[0], hr=own[1])
