"""Where a PNG is opaque."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import UnreadableImage
from twimager.image import headers
from twimager.image.decoder_process import decode_unwarned
from twimager.image.files import read_bytes
from twimager.image.headers import PNG_SIGNATURE

# Where a PNG's header has its kind of colour, and the kinds with alpha; palettes have it in a chunk before the pixels.
KIND, WITH_ALPHA = 25, (4, 6)


def opacity(path: Path) -> NDArray[np.uint8] | None:
    """Return where a PNG file is opaque, (h, w): 255 where it is, else 0; None if it is everywhere, or no such file."""
    try:
        data = read_bytes(path)
    except UnreadableImage:
        return None
    if not _has_alpha(data) or not headers.parse(data).everyday:
        return None
    pixels = decode_unwarned(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        return None
    alpha = pixels[..., 3]
    opaque = alpha == np.iinfo(alpha.dtype).max
    return None if opaque.all() else np.where(opaque, 255, 0).astype(np.uint8)


def _has_alpha(data: bytes) -> bool:
    head = data[: data.find(b"IDAT")]
    is_png = data.startswith(PNG_SIGNATURE) and len(head) > KIND
    return is_png and (head[KIND] in WITH_ALPHA or b"tRNS" in head)
