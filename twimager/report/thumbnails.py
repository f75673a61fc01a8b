"""Small copies of the images of a report's page, which are in the page itself: nothing large is loaded for the grid."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

from twimager.errors import UnreadableImage
from twimager.image.decode import LIBRARY_ERRORS, decoded
from twimager.image.encode import encode
from twimager.image.pixels import Pixels, frame_size, shrink, to_8_bit
from twimager.options import Format
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool

# The (width, height) that a thumbnail fits into: a card's picture. At this quality one takes 9 kB in the mean of 1,000;
# a page of 500 pairs that was scrolled through takes 120 MB, and up to 260 of decoded images besides, which Chromium
# gives back where memory is short.
ROOM, QUALITY = (240, 180), 60
# A page holds no more of them, some 30 MB; what comes after is shown by the images themselves.
MOST = 3000
# A review that ends makes so many new ones: of the sources of what it deleted, and of what was put back.
FEW = 20
JPEG = "data:image/jpeg;base64,"
# The contents of a page, which `web.template` puts into it.
CONTENTS = re.compile(rb'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)

# Returns what is known of the thumbnails of images, as data URIs by their links; given the images by their links.
Thumbnails = Callable[[Mapping[str, Path]], dict[str, str]]


def no_thumbnails(_: Mapping[str, Path]) -> dict[str, str]:
    """Return none: the page shows the images themselves."""
    return {}


def make_thumbnails(jobs: int, console: Console) -> Thumbnails:
    """Return what makes the thumbnails of the first MOST images in so many workers."""

    def make(images: Mapping[str, Path]) -> dict[str, str]:
        first = dict(islice(images.items(), MOST))
        with (
            console.progress(len(first)) as progress,
            worker_pool(jobs) as workers,
            progress.stage("making thumbnails"),
        ):
            made = progress.counted(workers.map_shards(_embedded, first.values()))
            return {link: small for link, small in zip(first, made, strict=True) if small}

    return make


def thumbnails_of(page: Path) -> Thumbnails:
    """Return what takes the thumbnails over that a page holds, and makes those of FEW more images, if it holds any."""

    def take(images: Mapping[str, Path]) -> dict[str, str]:
        held = held_thumbnails(page)
        few = set(islice((link for link in images if link not in held), FEW)) if held else set[str]()
        known = {link: _embedded(path) if link in few else held.get(link, "") for link, path in images.items()}
        return {link: small for link, small in known.items() if small}

    return take


def held_thumbnails(page: Path) -> dict[str, str]:
    """Return the thumbnails that a page holds, by their links; none if it can't be read."""
    try:
        found = CONTENTS.search(page.read_bytes())
        held = dict(json.loads(found[1])["thumbnails"]) if found else {}
        return {link: small for link, small in held.items() if str(small).startswith(JPEG)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def thumbnail(pixels: Pixels) -> bytes:
    """Return a JPEG of pixels, (h, w, 3) uint8 or uint16, that fits into ROOM."""
    width, height = frame_size(pixels)
    ratio = min(1, ROOM[0] / width, ROOM[1] / height)
    small = shrink(pixels, (max(1, round(width * ratio)), max(1, round(height * ratio)))) if ratio < 1 else pixels
    return encode(to_8_bit(small), Format.JPG, QUALITY)


def data_uri(jpeg: bytes) -> str:
    """Return a JPEG as an address that a page can hold."""
    return JPEG + base64.b64encode(jpeg).decode()


def _embedded(path: Path) -> str:
    """Worker task: return the thumbnail of an image file, empty if that can't be read."""
    try:
        with decoded(path, srgb=True) as pixels:
            return data_uri(thumbnail(pixels))
    except (UnreadableImage, *LIBRARY_ERRORS):
        return ""
