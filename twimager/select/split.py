"""Split groups of pairs into those to train on and those to validate with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def validation_groups(sizes: Mapping[str, int], share: float, seed: int) -> set[str]:
    """Return the groups to validate with, whose pairs are as near as can be to so large a share of all.

    The order in which groups are drawn depends on the seed and their names alone: other groups change nothing of it.
    There is one at least on either side; of a single group none is drawn.

    Parameters
    ----------
    sizes : how many pairs each group has, by its name
    share : 0..1, of the pairs
    """
    total = sum(sizes.values())
    target = max(1, round(share * total))
    # Which sums can be reached, and by which group last, from which sum: the first ones drawn are preferred. A sum of
    # several that is beyond twice the target is no nearer to it than none.
    reached: dict[int, tuple[str, int]] = {}
    for name in sorted(sizes, key=lambda name: _drawn(name, seed)):
        for before in (0, *tuple(reached)):
            now = before + sizes[name]
            if now < total and now not in reached and (now <= 2 * target or not before):
                reached[now] = name, before
        if target in reached:
            break
    left = min(reached, key=lambda size: (abs(size - target), size), default=0)
    chosen = set()
    while left:
        name, left = reached[left]
        chosen.add(name)
    return chosen


def _drawn(name: str, seed: int) -> bytes:
    """Return a random number for a group."""
    return hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogateescape")).digest()
