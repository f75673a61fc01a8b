"""A comparison as JSON, as text for the terminal, and as a line of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from twimager.compare.alignment import Alignment
from twimager.compare.comparison import Comparison, ImageDescriptors
from twimager.compare.crop import Crop
from twimager.errors import Rejection
from twimager.runtime.console import printable
from twimager.similarity.detectors import Detector

# How the scores are called, and what equal pictures have.
SCORES = {
    "mse": ("MSE", 0),
    "l2_norm": ("L2 norm", 0),
    "ssim": ("SSIM", 1),
    "color_difference": ("colour difference (Delta E)", 0),
    "color_difference_after_gain": ("  white balance fitted", 0),
    "histogram_correlation": ("histogram correlation", 1),
    "cosine_similarity": ("cosine similarity (--model)", 1),
}
HASHES = {
    "phash": "pHash, bits of 64",
    "dhash": "dHash, bits of 64",
    "ahash": "aHash, bits of 64",
    "colorhash": "colour hash, bits of 42",
}
SCORED_ON = {
    "frames": "MSE to colour difference: of both pictures as they are.",
    "overlap": "MSE to colour difference: of what both show, {} x {} pixels of the coarser one.",
    "resized": "MSE to colour difference: of both at {} x {} pixels, as nothing aligns.",
}
FOUND = {"features": "found by features, {} inliers", "hash": "found by hash", "template": "found as a template"}
# Of both frames, where they are the same.
FULL = 0.99
# Rotations of less, in degrees, are none.
LEAST_ROTATION = 0.05


def to_json(compared: Comparison) -> dict[str, Any]:
    """Return a comparison as a JSON object."""
    return {
        "a": _file(compared.first),
        "b": _file(compared.second),
        **{name: None if value is None else round(value, 6) for name, value in compared.scores.items()},
        "scored_on": compared.scored_on,
        "scored_size": list(compared.scored_size),
        "hash_distances": compared.hash_distances,
        "detectors": {
            detector.value: found
            and {"matches": found.matches, "inliers": found.agreeing, "share": round(found.share, 4)}
            for detector, found in compared.feature_matches.items()
        },
        "transform": _transform(compared),
        "not_aligned": str(compared.alignment) if isinstance(compared.alignment, Rejection) else None,
        "crop": _crop(compared),
    }


def _file(image: ImageDescriptors) -> dict[str, Any]:
    width, height = image.size
    return {"path": str(image.path), "width": width, "height": height}


def _transform(compared: Comparison) -> dict[str, Any] | None:
    found = compared.alignment
    if isinstance(found, Rejection):
        return None
    return {
        "matrix": found.matrix.tolist(),
        "found_by": found.found_by,
        "inliers": found.inliers,
        "correlation": round(found.correlation, 4),
        "mirrored": found.mirrored,
        "scale": round(compared.scale or 0, 5),
        "degrees": round(degrees(found), 3),
        "a_covered": round(compared.coverage[0], 4),
        "b_covered": round(compared.coverage[1], 4),
    }


def degrees(found: Alignment) -> float:
    """Return the rotation, clockwise, that takes the first picture to the second."""
    right, down = found.matrix[:2, 0]
    return math.degrees(math.atan2(down, right) if not found.mirrored else math.atan2(-down, -right))


def _crop(compared: Comparison) -> dict[str, Any] | None:
    for crop, of, inside in zip(compared.crops, "ab", "ba", strict=True):
        if crop:
            numbers = {name: round(getattr(crop, name), 3) for name in ("x", "y", "width", "height")}
            return {"of": of, "in": inside, **numbers, "exact": crop.exact, "upright": crop.upright}
    return None


def to_text(compared: Comparison) -> str:
    """Return a comparison as text."""
    lines = [_named("A", compared.first), _named("B", compared.second), "", *_alignment(compared), ""]
    lines.append(f"{'':30}{'value':>10}   equal pictures")
    for name, (title, equal) in SCORES.items():
        value = compared.scores[name]
        if value is not None:
            lines.append(f"{title:30}{_short(value):>10}   {equal}")
    lines += [f"{title:30}{compared.hash_distances[name]:>10}   0" for name, title in HASHES.items()]
    lines += [SCORED_ON[compared.scored_on].format(*compared.scored_size), ""]
    lines.append(f"{'features':10}{'matches':>10}{'inliers':>10}{'share':>10}")
    for detector, found in compared.feature_matches.items():
        if found is None:
            lines.append(f"{detector.value:10}  this OpenCV does not have it")
        else:
            lines.append(f"{detector.value:10}{found.matches:>10}{found.agreeing:>10}{found.share:>10.3f}")
    return "\n".join(lines)


def _named(side: str, image: ImageDescriptors) -> str:
    return f"{side}: {printable(str(image.path))} ({image.size[0]} x {image.size[1]})"


def _short(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def _alignment(compared: Comparison) -> list[str]:
    """Return lines on how the first picture lies on the second."""
    found = compared.alignment
    if isinstance(found, Rejection):
        return [f"They do not lie on each other ({found})."]
    return [_framing(compared), _transformed(compared, found)]


def _framing(compared: Comparison) -> str:
    """Return which picture shows what part of the other."""
    of_a, of_b = compared.crops
    if of_a:
        return f"A is a crop of B: {_numbers(of_a)}."
    if of_b:
        return f"B is a crop of A: {_numbers(of_b)}."
    if min(compared.coverage) > FULL:
        return "Both show the same."
    a, b = compared.coverage
    return f"They overlap: B shows {a:.0%} of A, A {b:.0%} of B."


def _numbers(crop: Crop) -> str:
    numbers = " ".join(f"{value:.0f}" if crop.exact else f"{value:.2f}" for value in crop[:4])
    return f"x y w h = {numbers}" + ("" if crop.upright else " (around it: it is turned, or in perspective)")


def _transformed(compared: Comparison, found: Alignment) -> str:
    words = [f"{compared.scale:.4g} pixels of B to one of A"]
    rotation = degrees(found)
    words += [f"turned by {rotation:.2f} degrees"] * (abs(rotation) > LEAST_ROTATION)
    words += ["in perspective"] * bool(found.matrix[2, :2].any())
    words += ["mirrored"] * found.mirrored
    return f"  {', '.join(words)}; {FOUND[found.found_by].format(found.inliers)}, correlation {found.correlation:.3f}"


def to_table(compared: Sequence[Comparison], detector: Detector) -> str:
    """Return a line a comparison, those with the most inliers of a detector first."""
    cosine_title = "cosine" if any(one.scores["cosine_similarity"] is not None for one in compared) else ""
    rows = [("SSIM", "pHash", "Delta E", cosine_title, "inliers", "crop", "A", "B")]
    for one in sorted(compared, key=lambda one: -_inliers(one, detector)):
        cosine = one.scores["cosine_similarity"]
        part = _crop(one)
        rows.append((
            _short(one.scores["ssim"] or 0), str(one.hash_distances["phash"]),
            _short(one.scores["color_difference"] or 0), "" if cosine is None else _short(cosine),
            str(_inliers(one, detector)),
            "" if part is None else f"{part['of'].upper()} in {part['in'].upper()}",
            printable(one.first.path.name), printable(one.second.path.name),
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_row(row, widths) for row in rows)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.rjust(width) for cell, width in zip(cells[:5], widths, strict=False)]
    padded += [cell.ljust(width) for cell, width in zip(cells[5:], widths[5:], strict=True)]
    return "  ".join(cell for cell, width in zip(padded, widths, strict=True) if width).rstrip()


def _inliers(compared: Comparison, detector: Detector) -> int:
    found = compared.feature_matches[detector]
    return found.agreeing if found else 0
