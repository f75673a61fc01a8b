"""Files that hold the same bytes: one of them is read and evaluated for all."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from twimager.errors import UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.stamp import Stamp
from twimager.image.files import open_regular, read_bytes
from twimager.runtime.memory import budget

# The paths of all files of the same bytes, by each of them; of what is unique nothing.
Copies = Mapping[Path, tuple[Path, ...]]
# Bytes from the middle of a file by which most of those of one length are told apart.
SAMPLE = 4096


def find_copies(
    paths: Sequence[Path], stamps: Mapping[Path, Stamp | None], ordered: Callable[..., Iterator[Hashable]]
) -> Copies:
    """Return which files hold the same bytes; only those of equal length, and an equal middle, are read whole.

    `ordered` maps a function over values, in their order, as `in_order` of a pool does.
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
    """Return some bytes from the middle of a file, None if it can't be read."""
    try:
        with open_regular(path, buffering=0) as (file, size):
            file.seek(max(0, size - SAMPLE) // 2)
            return file.read(SAMPLE)
    except (OSError, UnreadableImage):
        return None


def _digest(path: Path) -> bytes | None:
    """Return what tells a file's bytes, None if it is no image or can't be read."""
    try:
        with budget.admit_file(path):
            return hashlib.sha256(read_bytes(path)).digest()
    except UnreadableImage:
        return None


def representatives(images: Sequence[Fingerprint], copies: Copies, without: set[Path]) -> list[Fingerprint]:
    """Return one image of each content of which a file is not in `without`, under the path of the first such file."""
    kept: dict[Path, Fingerprint | None] = {}
    for image in images:
        paths = copies.get(image.path, (image.path,))
        if paths[0] not in kept:
            left = next((path for path in paths if path not in without), None)
            kept[paths[0]] = under(image, left) if left else None
    return [image for image in kept.values() if image]


def under(image: Fingerprint, path: Path) -> Fingerprint:
    """Return what is known of an image as that of a copy of it."""
    return image if image.path == path else replace(image, path=path)
