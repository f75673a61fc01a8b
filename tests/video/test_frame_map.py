"""Which HR frame each LR frame is: how much frames move tells doubled and missing ones from others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.pictures import picture
from twimager.video.descriptors import Area, Describer, framing_of
from twimager.video.frame_map import Films, exact_frames
from twimager.video.signatures import RECORD, Signatures
from twimager.video.voting import Line

COUNT, PERIOD, DISTURBED = 80, 0.04, 10.0
WHOLE = Area(0, 0, 1, 1)


def pan(places: Sequence[float], disturbed: float = 0.0) -> Signatures:
    """Signatures of a slow pan over a photograph, which is at so many frames of its own at each frame.

    `disturbed` is by how many levels a pattern that stands still covers it.
    """
    photo, rng = cv2.cvtColor(picture("P1040102"), cv2.COLOR_BGR2GRAY), np.random.default_rng(1)
    photo = cv2.resize(photo, (96, 64), interpolation=cv2.INTER_AREA)
    pattern = cv2.resize(rng.normal(0, disturbed, (32, 32)), (64, 64), interpolation=cv2.INTER_NEAREST)
    moves = [np.array([[1, 0, -0.12 * at], [0, 1, 0]]) for at in places]
    small = [np.clip(cv2.warpAffine(photo, move, (64, 64)) + pattern, 0, 255) for move in moves]
    records = np.zeros(len(small), RECORD)
    records["seconds"] = PERIOD * np.arange(len(small))
    records["difference"][1:] = [np.abs(b - a).mean() for a, b in pairwise(small)]
    thumbnails = np.stack([cv2.resize(one, (32, 32), interpolation=cv2.INTER_AREA) for one in small])
    return Signatures((64, 64), records, thumbnails.round().astype(np.uint8))


def found(lr: Signatures, hr: Signatures) -> NDArray[np.int64]:
    films = Films(lr, hr, Describer(WHOLE, WHOLE, framing_of(WHOLE, WHOLE)))
    return exact_frames(films, Line(1.0, 0.0, 0.0, PERIOD * len(lr)), 0, len(lr))[0]


def test_a_framing_that_is_a_little_off_doubles_no_frame() -> None:
    drift = 0.8 * np.clip((np.arange(COUNT) - 30) / 20, 0, 1)
    assert (found(pan(np.arange(COUNT) - drift, disturbed=DISTURBED), pan(range(COUNT))) == np.arange(COUNT)).all()


@pytest.mark.parametrize(("doubled", "missing"), [(20, 50), (50, 20)])
def test_a_doubled_and_a_missing_frame_are_found_where_they_are(doubled: int, missing: int) -> None:
    shown = np.insert(np.delete(np.arange(COUNT), missing), doubled, doubled)
    assert (found(pan(shown, disturbed=DISTURBED), pan(range(COUNT))) == shown).all()
