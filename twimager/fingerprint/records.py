"""Fingerprints packed into bytes, and unpacked again if they are sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from twimager.fingerprint import features
from twimager.fingerprint.fingerprint import Bars, Fingerprint, Recipe
from twimager.fingerprint.mask import Mask, both
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.geometry import Size
from twimager.image.depth import FULL

# An image has a hash of its frame, and maybe one of its centre.
MAX_HASHES = 2
# Beyond, no format has a picture.
MAX_SIDE = 1 << 24
# An image's size, its bars, its thumbnail, whether it is flat, its missing rows, its depth, how much is combed, how
# many of its pixels hold detail, how many bits are in use, how many hashes follow and how many bytes of what is not
# transparent; the features follow.
HEAD = np.dtype([
    ("size", "<i4", 2), ("bars", "<i4", 4), ("thumbnail", "u1", THUMBNAIL_SIDE**2), ("flat", "u1"), ("missing", "<i4"),
    ("depth", "u1"), ("combing", "<f4"), ("detail", "<f4"), ("bits", "u1"), ("hashes", "<i4"), ("opaque", "<i4"),
])  # fmt: skip


def pack(image: Fingerprint, recipe: Recipe) -> bytes:
    """Return a fingerprint as bytes."""
    about = image.is_flat, image.missing, image.depth, image.combing, image.detail, image.bits
    opaque = image.opaque.packed if image.opaque else b""
    head = np.array((image.size, image.bars, image.thumbnail, *about, len(image.hashes), len(opaque)), HEAD)
    hashes = b"".join(value.to_bytes(_hash_bytes(recipe), "little") for value in image.hashes)
    return head.tobytes() + hashes + opaque + features.pack(image.known_features)


def unpack(path: Path, data: bytes, recipe: Recipe) -> Fingerprint | None:
    """Return the fingerprint that `pack` has made these bytes of; None if it can't have."""
    if len(data) < HEAD.itemsize:
        return None
    head = np.frombuffer(data, HEAD, 1)[0]
    length, number, masked = _hash_bytes(recipe), int(head["hashes"]), int(head["opaque"])
    opaque_at = HEAD.itemsize + number * length
    features_at = opaque_at + masked
    if not 0 < number <= MAX_HASHES or masked < 0 or len(data) < features_at:
        return None
    if (len(data) - features_at) % features.RECORD.itemsize:
        return None
    hashes = tuple(int.from_bytes(data[at : at + length], "little") for at in range(HEAD.itemsize, opaque_at, length))
    known = features.unpack(data, features_at)
    width, height = head["size"].tolist()
    image = Fingerprint(
        path, (width, height), hashes, known if recipe.features or known.count else None,
        Bars(*head["bars"].tolist()), recipe.srgb, head["thumbnail"], bool(head["flat"]), int(head["missing"]),
        int(head["depth"]), combing=float(head["combing"]), detail=float(head["detail"]), bits=int(head["bits"]),
    )  # fmt: skip
    if not _is_sound(image, recipe):
        return None
    opaque = Mask(image.frame[2:], data[opaque_at:features_at]) if masked else None
    if opaque and not opaque.is_sound:
        return None
    fitting = recipe.mask if recipe.mask and recipe.mask.fits(image.frame[2:]) else None
    return replace(image, mask=both(fitting, opaque), opaque=opaque)


def _is_sound(image: Fingerprint, recipe: Recipe) -> bool:
    """Tell whether an image can have such a fingerprint."""
    known, largest = image.known_features, max(image.size)
    return (
        is_sound_frame(image.size, image.bars)
        and all(value.bit_length() <= recipe.hash_side**2 for value in image.hashes)
        and len(known.points) <= recipe.features
        and bool(np.all((known.points >= -1) & (known.points <= image.size)))
        and 0 <= image.combing <= 1
        and 8 <= image.bits <= FULL
        and 0 < image.detail <= 1
        and bool(np.all((known.radii > 0) & (known.radii <= 2 * largest)))
        and bool(np.all(abs(known.angles) <= 2 * np.pi + 1e-3))
    )


def is_sound_frame(size: Size, bars: Bars) -> bool:
    """Tell whether a picture can have such a size and such bars around it."""
    return min(size) > 0 and min(bars) >= 0 and max(*size, *bars) <= MAX_SIDE


def _hash_bytes(recipe: Recipe) -> int:
    return (recipe.hash_side**2 + 7) // 8
