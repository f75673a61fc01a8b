"""Propose pairs of files of the same name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from twimager.fingerprint.fingerprint import Fingerprint
from twimager.propose.proposal import Proposal, Source

# An HR by its LR's name is aligned as the same frame is, and by its features if that brings no pair.
SOURCES = Source.FRAME, Source.FEATURES


def partners(lrs: Sequence[Path], lr_folder: Path, hrs: Sequence[Path], hr_folder: Path) -> dict[Path, Path]:
    """Return the HR of every LR that has one: of the same path in its folder, the extension apart.

    Of several files of one name the first is meant.

    Examples
    --------
    >>> from pathlib import Path
    >>> from twimager.propose.by_name import partners
    >>> found = partners([Path("lq/a.png"), Path("lq/b.png")], Path("lq"), [Path("gt/a.jpg")], Path("gt"))
    >>> {lr.as_posix(): hr.as_posix() for lr, hr in found.items()}
    {'lq/a.png': 'gt/a.jpg'}
    """
    of_lrs, of_hrs = _by_name(lrs, lr_folder), _by_name(hrs, hr_folder)
    return {lr: of_hrs[name] for name, lr in of_lrs.items() if name in of_hrs}


def _by_name(paths: Iterable[Path], folder: Path) -> dict[Path, Path]:
    named: dict[Path, Path] = {}
    for path in paths:
        named.setdefault(path.relative_to(folder).with_suffix(""), path)
    return named


def proposals(lr: Fingerprint, hrs: Sequence[Fingerprint]) -> list[Proposal]:
    """Return how its partners are proposed for an LR."""
    return [Proposal(lr, hr, source) for source in SOURCES for hr in hrs]
