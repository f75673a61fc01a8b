"""The whole of `check`: a folder of pairs in, what is wrong with it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from twimager.check.copies import copies
from twimager.check.flaws import Flaw, Gravity, flaws
from twimager.check.folders import Set
from twimager.check.inspection import Inspected, inspect
from twimager.errors import ExitCode
from twimager.options import Loader
from twimager.output.loaders import RULES, Partner
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool

# What neither aligning nor converting a pair mends.
BEYOND_MENDING = {Gravity.UNREADABLE, Gravity.DETAIL}


class Checked(NamedTuple):
    """What came of a check.

    Attributes
    ----------
    files : the set
    loaders : for which it was checked
    scale : of most pairs, HR pixels to an LR pixel; None if none has a whole one
    pairs : each with its flaws, the worst first
    copies : the names of pairs whose HRs show the same
    """

    files: Set
    loaders: tuple[Loader, ...]
    scale: Fraction | None
    pairs: list[tuple[Inspected, list[Flaw]]]
    copies: list[list[str]]

    def reasons(self, loader: Loader) -> dict[str, int]:
        """Return why the set is not fit for a loader: kinds of flaws, and how many pairs or files have one."""
        kinds = Counter(
            kind
            for _, found in self.pairs
            for kind in {flaw.gravity.name.lower() for flaw in found if loader in flaw.loaders}
        )
        alone = len(self.files.alone) if RULES[loader].partner is not Partner.LIST else 0
        return dict(kinds) | ({"alone": alone} if alone else {})

    @property
    def beyond_mending(self) -> set[Path]:
        """The files of pairs that can't be read or whose HR lacks detail, and those without a partner."""
        lost = [one.pair for one, found in self.pairs if BEYOND_MENDING & {flaw.gravity for flaw in found}]
        return {path for pair in lost for path in (pair.lr, pair.hr)} | set(self.files.alone)

    @property
    def exit_code(self) -> ExitCode:
        """Whether the set is fit for all loaders."""
        return ExitCode.NOT_FIT if any(map(self.reasons, self.loaders)) else ExitCode.DONE


def check(files: Set, loaders: Sequence[Loader], jobs: int, console: Console) -> Checked:
    """Measure all pairs of a set; nothing is changed."""
    with console.progress(len(files.pairs)) as progress, worker_pool(jobs) as workers, progress.stage("checking"):
        found = list(progress.counted(workers.map_shards(inspect, files.pairs)))
    scales = Counter(one.scale for one in found if one.scale)
    scale = scales.most_common(1)[0][0] if scales else None
    name_of = {one.pair.hr: one.pair.name for one in found}
    same = copies([one.hr for one in found if one.hr])
    pairs = sorted(((one, flaws(one, scale, loaders)) for one in found), key=lambda pair: _worst_first(*pair))
    return Checked(files, tuple(loaders), scale, pairs, [[name_of[path] for path in group] for group in same])


def _worst_first(found: Inspected, its_flaws: Sequence[Flaw]) -> tuple[float, float, str]:
    gravity = its_flaws[0].gravity if its_flaws else len(Gravity)
    left = found.misalignment.mean if found.misalignment else 0.0
    return gravity, -left, found.pair.name
