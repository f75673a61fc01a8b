"""Decoded images in the cache are as they were; bytes that hold none give none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.support import hostile
from tests.support.pictures import cat
from twimager.cluster.image_cache import HEADER, pack, unpack
from twimager.fingerprint.decoded_image import DecodedImage
from twimager.fingerprint.fingerprint import Bars
from twimager.image.pixels import to_gray

DECODED = DecodedImage(to_gray(cat()[:200, :300]), (900, 600), Bars(1, 2, 3, 4))


def with_header(width: int, height: int, *bars: int) -> Callable[[bytes], bytes]:
    return lambda packed: np.array(((width, height), bars), HEADER).tobytes() + packed[HEADER.itemsize :]


def with_image(data: bytes) -> Callable[[bytes], bytes]:
    return lambda packed: packed[: HEADER.itemsize] + data


def test_what_is_unpacked_is_what_was_packed() -> None:
    found = unpack(pack(DECODED))
    assert found
    assert (found.size, found.bars) == (DECODED.size, DECODED.bars)
    assert np.array_equal(found.gray, DECODED.gray)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda packed: packed[: HEADER.itemsize],
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[HEADER.itemsize :],
        with_header(299, 600, 0, 0, 0, 0),
        with_header(900, -600, 0, 0, 0, 0),
        with_header(900, 600, -1, 0, 0, 0),
        with_image(hostile.encoded(".jpg")),
        with_image(hostile.encoded(".png", np.zeros((330, 330), np.uint8))),
        with_image(hostile.png(100, 100)),
    ],
)
def test_bytes_that_hold_no_decoded_image_give_none(spoil: Callable[[bytes], bytes]) -> None:
    assert unpack(spoil(pack(DECODED))) is None
