"""Images as browsers show them: their files as they are, or a PNG of what is in them."""

from __future__ import annotations

from pathlib import Path

from twimager.errors import UnreadableImage
from twimager.image.decode import decoded_data
from twimager.image.depth import FULL
from twimager.image.encode import encode
from twimager.image.files import read_bytes
from twimager.image.headers import PNG_SIGNATURE, is_deep_png
from twimager.image.pixels import to_8_bit
from twimager.options import Format

# What browsers show as it is, by how it begins.
SHOWN = {PNG_SIGNATURE: "image/png", b"\xff\xd8\xff": "image/jpeg"}


def read_inside(path: Path, root: Path) -> bytes:
    """Return the bytes of an image file in a folder, `root`, which has no links; a link out of it is not followed.

    Raises UnreadableImage if there is no such file, or it can't be read.
    """
    try:
        found = path.resolve(strict=True)
        if found.is_relative_to(root) and found.is_file():
            return read_bytes(found)
    except (OSError, RuntimeError, ValueError):  # gone, a ring of links, no name at all
        pass
    raise UnreadableImage("it is not there")


def content_type(data: bytes) -> str | None:
    """Return the content type of what browsers show as it is; None of what they do not."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in SHOWN.items() if data.startswith(beginning)), None)


def as_shown(data: bytes) -> tuple[bytes, str]:
    """Return an image as browsers show it, and its content type: as it is, or as a PNG of 8 bit.

    A PNG whose values do not use all of their 16 bits would be nearly black. Raises UnreadableImage.
    """
    kind = content_type(data)
    if kind and not is_deep_png(data):
        return data, kind
    with decoded_data(data) as (pixels, bits, _):
        return (data, kind) if kind and bits == FULL else (encode(to_8_bit(pixels), Format.PNG), "image/png")
