"""Find the two sides of a set, and its pairs by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from twimager.check.inspection import NamedPair
from twimager.errors import require
from twimager.image.files import require_files
from twimager.propose.by_name import partners

# What trainers call the folders of the sides, in any case.
LR_NAMES, HR_NAMES = ("lr", "lq"), ("hr", "gt")


class Set(NamedTuple):
    """A folder of pairs.

    Attributes
    ----------
    lr, hr : the folders of the sides
    pairs : the files of the same name
    alone : the files without a partner, LRs first
    """

    lr: Path
    hr: Path
    pairs: list[NamedPair]
    alone: list[Path]


def sides(paths: Sequence[Path]) -> tuple[Path, Path]:
    """Return the folders of the LRs and of the HRs: those given, or those that one folder holds.

    Raises
    ------
    UsageError
        If they are not there, no folders, or not two.
    """
    for path in paths:
        require(path.exists(), f"there is no folder {path}")
        require(path.is_dir(), f"{path} is a file; name a folder of pairs, or the folders of both sides")
    require(len(paths) <= 2, "check takes a folder that holds LR and HR, or these two")
    lr, hr = paths if len(paths) == 2 else (_side(paths[0], names) for names in (LR_NAMES, HR_NAMES))
    require(lr.resolve() != hr.resolve(), f"{lr} is named twice; name the folders of both sides")
    return lr, hr


def _side(folder: Path, names: tuple[str, ...]) -> Path:
    found = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() in names]
    called = " or ".join(name.upper() for name in names)
    require(len(found) == 1, f"{folder} holds {len(found)} folders called {called}; name the folders of both sides")
    return found[0]


def pairs_by_name(lr: Path, hr: Path, recursive: bool, warn: Callable[[str], None]) -> Set:
    """Return the files of both sides as pairs of the same name; UsageError if there are none."""
    lrs, hrs = (require_files([folder], recursive, warn) for folder in (lr, hr))
    found = partners(lrs, lr, hrs, hr)
    require(found, f"no file in {lr} has the name of one in {hr}")
    pairs = [NamedPair(one.relative_to(lr).with_suffix("").as_posix(), one, other) for one, other in found.items()]
    taken = {*found, *found.values()}
    return Set(lr, hr, pairs, [path for path in lrs + hrs if path not in taken])
