"""What sets image files apart from those that every reader understands alike."""

from __future__ import annotations

from enum import Enum


class Trait(Enum):
    """What sets a file apart from 8-bit RGB in sRGB, upright and opaque; the value is how it is called."""

    CMYK = "CMYK"
    LAB = "CIELAB"
    PALETTE = "a palette"
    GRAY = "gray"
    ALPHA = "an alpha channel"
    TRANSPARENT = "transparent"
    DEEP = "16 bit"
    PROFILE = "a colour profile other than sRGB"
    TURNED = "turned by EXIF"
