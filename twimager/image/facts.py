"""What image files are like apart from the picture: what readers that expect plain RGB stumble over."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image

from twimager.geometry import Size
from twimager.image.files import ORIENTATION, PILLOW_ERRORS, UPRIGHT
from twimager.image.headers import parse
from twimager.image.icc import embedded_profile
from twimager.image.traits import Trait

# EXIF's values for how a picture is to be turned, or flipped; others are damage, and ignored by all.
TURNED = range(UPRIGHT + 1, 9)
# What Pillow calls pixels of so many values, where it can't open a file that can be read.
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


# Pillow's modes that have a trait.
OF_MODES = {
    Trait.CMYK: ("CMYK",),
    Trait.LAB: ("LAB",),
    Trait.PALETTE: ("P", "PA"),
    Trait.GRAY: ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"),
    Trait.ALPHA: ("RGBA", "RGBa", "LA", "La", "PA"),
}


class FileFacts(NamedTuple):
    """What is known of an image file.

    Attributes
    ----------
    size : (width, height) in pixels, upright
    mode : Pillow's name of what a pixel is; "" if only a decoder can tell
    bits : of a value, 8 or 16
    traits : what sets it apart from plain RGB
    """

    size: Size
    mode: str
    bits: int
    traits: frozenset[Trait]


def file_facts(data: bytes, size: Size, bits: int, transparent: bool) -> FileFacts:
    """Return what is known of a file that was decoded.

    Parameters
    ----------
    data : what the file holds
    size : (width, height) of the picture, upright
    bits : of a decoded value, 8 or 16
    transparent : whether it is transparent anywhere
    """
    mode, turned = _mode_and_turned(data)
    known = {
        Trait.TRANSPARENT: transparent,
        Trait.DEEP: bits > 8,
        Trait.PROFILE: embedded_profile(data) is not None,
        Trait.TURNED: turned,
    } | {trait: mode in modes for trait, modes in OF_MODES.items()}
    return FileFacts(size, mode, bits, frozenset(trait for trait, has in known.items() if has))


def _mode_and_turned(data: bytes) -> tuple[str, bool]:
    try:
        with Image.open(BytesIO(data)) as image:
            return image.mode, image.getexif().get(ORIENTATION, UPRIGHT) in TURNED
    except PILLOW_ERRORS:
        return MODES.get(parse(data).channels, ""), False
