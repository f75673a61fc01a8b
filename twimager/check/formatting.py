"""A check as text and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from twimager.check.flaws import Flaw, Gravity
from twimager.check.inspection import Inspected
from twimager.check.job import Checked
from twimager.image.facts import FileFacts
from twimager.options import UNSAFE, Loader
from twimager.output.loaders import RULES
from twimager.pairs import RejectedPair

# What a kind of flaws is called where pairs are counted.
CALLED = {
    Gravity.UNREADABLE: "unreadable", Gravity.UNALIKE: "do not show the same", Gravity.SIZE: "of another scale",
    Gravity.MISALIGNED: "misaligned", Gravity.DETAIL: "HR without its detail", Gravity.PATCH: "smaller than a patch",
    Gravity.LOADER: "misread or not found",
}  # fmt: skip
ALONE = "without a partner"


def to_text(checked: Checked) -> str:
    """Return what is wrong with a set, a line each, the worst pairs first, and whether it is fit for each loader."""
    return "\n".join(_lines(checked))


def _lines(checked: Checked) -> Iterator[str]:
    for path in checked.files.alone:
        yield f"{path}: {ALONE}"
    for found, its_flaws in checked.pairs:
        for flaw in its_flaws:
            yield f"{found.pair.name}: {flaw.text}{_only(flaw, checked.loaders)}"
    for group in checked.copies:
        yield f"the same picture: {', '.join(group)}"
    if unsafe := [found.pair.name for found, _ in checked.pairs if UNSAFE.search(found.pair.name)]:
        yield f"names that lists and databases break on: {len(unsafe)}, such as {unsafe[0]}"
    scale = f"scale {checked.scale}" if checked.scale else "no whole scale"
    yield f"pairs: {len(checked.pairs)}, {scale}{_misalignments(checked)}"
    for loader in checked.loaders:
        reasons = checked.reasons(loader)
        why = ", ".join(f"{count} {called(kind)}" for kind, count in reasons.items())
        yield f"{RULES[loader].name}: {f'not fit: {why}' if why else 'fit'}"


def called(kind: str) -> str:
    """Return what flaws of a kind are called where they are counted."""
    return ALONE if kind == "alone" else CALLED[Gravity[kind.upper()]]


def _only(flaw: Flaw, loaders: Sequence[Loader]) -> str:
    return "" if len(flaw.loaders) == len(loaders) else f" ({', '.join(loader.value for loader in flaw.loaders)})"


def _misalignments(checked: Checked) -> str:
    left = [found.misalignment.mean for found, _ in checked.pairs if found.misalignment]
    if not left:
        return ""
    return f"; misaligned by {statistics.median(left):.3f} LR pixels in the median, {max(left):.3f} at most"


def to_json(checked: Checked) -> dict[str, Any]:
    """Return all that is known of a set, the worst pairs first."""
    return {
        "lr": str(checked.files.lr.absolute()),
        "hr": str(checked.files.hr.absolute()),
        "scale": checked.scale and checked.scale.numerator,
        "fit": {loader.value: not checked.reasons(loader) for loader in checked.loaders},
        "reasons": {loader.value: checked.reasons(loader) for loader in checked.loaders},
        "alone": [str(path.absolute()) for path in checked.files.alone],
        "copies": checked.copies,
        "pairs": [_pair(found, its_flaws) for found, its_flaws in checked.pairs],
    }


def _pair(found: Inspected, its_flaws: Sequence[Flaw]) -> dict[str, Any]:
    outcome = found.outcome
    scores = outcome.scores if outcome else None
    return {
        "name": found.pair.name,
        "lr": str(found.pair.lr.absolute()),
        "hr": str(found.pair.hr.absolute()),
        "flaws": [
            {"kind": flaw.gravity.name.lower(), "text": flaw.text, "for": [loader.value for loader in flaw.loaders]}
            for flaw in its_flaws
        ],
        "scale": found.scale and found.scale.numerator,
        "lr_file": found.facts and _file(found.facts[0]),
        "hr_file": found.facts and _file(found.facts[1]),
        "misalignment": found.misalignment and found.misalignment._asdict(),
        "agreed": scores and scores.agreed,
        "different": scores and scores.different,
        "contradicted": scores and scores.contradicted,
        "detail": found.hr and found.hr.detail,
        "enlarged": found.enlarged,
        "fineness": found.fineness,
        "rejected": outcome.rejection.reason.value if isinstance(outcome, RejectedPair) else None,
    }


def _file(facts: FileFacts) -> dict[str, Any]:
    return {"size": facts.size, "mode": facts.mode, "bits": facts.bits, "traits": sorted(t.value for t in facts.traits)}
