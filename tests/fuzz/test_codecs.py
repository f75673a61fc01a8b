"""Damaged files of formats that libraries of their own decode: one line each, and never a crash of this process."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from tests.image.test_formats import FORMATS, PIXELS
from tests.support import raws
from twimager.errors import UnreadableImage
from twimager.image.decode import decode

CASES = 2000


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A file of which a few bytes are others, some are missing, or are there twice."""
    changed = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 8)):
        changed[place] = rng.integers(256)
    start, end = sorted(rng.integers(0, len(changed), 2).tolist())
    kind = rng.integers(4)
    if kind == 1:
        del changed[start : min(end, start + 64)]
    elif kind == 2:
        changed[start:start] = changed[start:end]
    elif kind == 3:
        del changed[end:]
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, (codec, _) in FORMATS.items() if codec])
def test_no_damaged_file_does_harm(name: str) -> None:
    codec, features = FORMATS[name]
    for module, _ in codec.packages if codec else ():
        pytest.importorskip(module)
    files = [made for make in features.values() if (made := make())] or [raws.bayer(PIXELS)]
    rng = np.random.default_rng(26)
    for _ in range(CASES):
        with suppress(UnreadableImage):
            pixels = decode(damaged(files[rng.integers(len(files))], rng))
            assert pixels.ndim == 3
            assert pixels.dtype in (np.uint8, np.uint16)
