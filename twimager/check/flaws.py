"""What makes a pair unfit to train on, and for which loaders: rules on what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from fractions import Fraction
from typing import NamedTuple

from twimager.check.inspection import Inspected
from twimager.options import Loader
from twimager.output.loaders import finds_partner, smallest_lr, unread
from twimager.pairs import RejectedPair
from twimager.verify.detail import MIN_FINENESS

# In LR pixels, the mean length of the displacement over the frame: exact pairs of 50 photographs, reduced by 2 and 4 in
# four ways, have 0.03 at most; blurred, noisy and compressed ones 0.006 in the median and 0.08 at most.
MAX_MISALIGNMENT = 0.1
# An HR is blown up, or blurred, where fewer of its pixels along a side hold detail: of 50 photographs enlarged by 2
# none has more than 0.65, by 1.5 0.75 or 0.8, and those moved by half a pixel, as aligning does, 0.8.
LEAST_DETAIL = 0.78


class Gravity(IntEnum):
    """Kinds of flaws, the gravest first: pairs are listed in this order."""

    UNREADABLE = 0
    UNALIKE = 1
    SIZE = 2
    MISALIGNED = 3
    DETAIL = 4
    PATCH = 5
    LOADER = 6


class Flaw(NamedTuple):
    """What makes a pair unfit for these loaders."""

    gravity: Gravity
    text: str
    loaders: tuple[Loader, ...]


def flaws(found: Inspected, scale: Fraction | None, loaders: Sequence[Loader]) -> list[Flaw]:
    """Return what makes a pair unfit, the gravest first.

    Parameters
    ----------
    found : the pair
    scale : the set's, HR pixels to an LR pixel; None if no pair has a whole one
    loaders : that are to load the set
    """
    all_of_them = tuple(loaders)
    general = [Flaw(gravity, text, all_of_them) for gravity, text in _general(found, scale)]
    return sorted(general + list(_of_loaders(found, loaders)), key=lambda flaw: flaw.gravity)


def _general(found: Inspected, scale: Fraction | None) -> Iterator[tuple[Gravity, str]]:
    """Yield what no loader should be given."""
    for path, why in found.unreadable.items():
        yield Gravity.UNREADABLE, f"{path}: {why}"
    if found.facts and (found.scale is None or found.scale != scale):
        lr, hr = (f"{one.size[0]} x {one.size[1]}" for one in found.facts)
        yield Gravity.SIZE, f"HR {hr} is not {scale or 'a whole number of'} times LR {lr}"
    if isinstance(found.outcome, RejectedPair):
        yield Gravity.UNALIKE, str(found.outcome.rejection)
    if found.misalignment and found.misalignment.mean > MAX_MISALIGNMENT:
        yield Gravity.MISALIGNED, _misaligned(found)
    if found.hr and found.hr.detail < LEAST_DETAIL:
        yield Gravity.DETAIL, f"HR blown up or blurred: {found.hr.detail:.2f} of its pixels along a side hold detail"
    elif found.enlarged:
        yield Gravity.DETAIL, "HR shows no more than the LR"
    if found.fineness is not None and found.fineness < MIN_FINENESS:
        yield Gravity.DETAIL, f"HR blurrier than the LR: {found.fineness:.2f} of its finest detail"


def _misaligned(found: Inspected) -> str:
    left = found.misalignment
    assert left
    words = [f"shifted by {left.shift[0]:+.2f}, {left.shift[1]:+.2f}", f"rotated by {left.rotation:+.3f} degrees"]
    words += [f"scaled by {left.scale[0]:+.2f} x {left.scale[1]:+.2f} %", f"perspective {left.perspective:.2f}"]
    return f"misaligned by {left.mean:.2f} LR pixels, {left.largest:.2f} at most: {', '.join(words)}"


def _of_loaders(found: Inspected, loaders: Sequence[Loader]) -> Iterator[Flaw]:
    """Yield what some loaders misread, do not find, or can cut no patch of."""
    reasons: dict[tuple[Gravity, str], list[Loader]] = {}
    for loader in loaders:
        for reason in _reasons(found, loader):
            reasons.setdefault(reason, []).append(loader)
    for (gravity, text), of in reasons.items():
        yield Flaw(gravity, text, tuple(of))


def _reasons(found: Inspected, loader: Loader) -> Iterator[tuple[Gravity, str]]:
    pair = found.pair
    if not finds_partner(loader, pair.lr, pair.hr):
        yield Gravity.LOADER, f"{pair.lr.name} and {pair.hr.name} have other extensions"
    if not found.facts:
        return
    lr, hr = found.facts
    for side, path, facts in (("LR", pair.lr, lr), ("HR", pair.hr, hr)):
        yield from ((Gravity.LOADER, f"{side} {what}") for what in unread(loader, path, facts.traits))
    least = smallest_lr([loader], found.scale) if found.scale else 1
    if min(lr.size) < least:
        yield Gravity.PATCH, f"LR {lr.size[0]} x {lr.size[1]} is smaller than a patch, {least} x {least}"
