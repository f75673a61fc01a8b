"""Of each shot the sharpest frames are taken that differ, none that is black, combed, faded or at a cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from twimager.options import VideoSettings
from twimager.video.descriptors import Framing
from twimager.video.selection import FADE_REACH, select_frames
from twimager.video.signatures import RECORD, Signatures
from twimager.video.timeline import Timeline

SHOT = 60


def scene(seed: int) -> NDArray[np.float32]:
    coarse = np.random.default_rng(seed).uniform(60, 200, (6, 6)).astype(np.float32)
    return cv2.resize(coarse, (32, 32), interpolation=cv2.INTER_CUBIC)


def film(frames: list[NDArray[np.float32]], **fields: Any) -> Signatures:
    records = np.zeros(len(frames), RECORD)
    records["seconds"] = np.arange(len(frames)) / 25
    records["brightness"] = [frame.mean() for frame in frames]
    records["sharpness"] = np.random.default_rng(9).uniform(50, 60, len(frames))
    records["difference"][1:] = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    for name, values in fields.items():
        records[name] = values
    return Signatures((320, 240), records, np.clip(np.stack(frames), 0, 255).astype(np.uint8))


def chosen(video: Signatures, *, mapped: Any = None, bobbed: bool = False, **settings: Any) -> tuple[list[int], Any]:
    frames = np.arange(len(video)) if mapped is None else mapped
    timeline = Timeline([], frames, Framing((1.0, 0.0), (1.0, 0.0)))
    found = select_frames(video, video, timeline, VideoSettings(**settings), (bobbed, bobbed))
    return list(found.frames), found.left_out


def shots(count: int) -> list[NDArray[np.float32]]:
    return [scene(number) for number in range(count) for _ in range(SHOT)]


def test_a_still_shot_gives_one_frame_its_sharpest() -> None:
    video = film(shots(3))
    frames, _ = chosen(video)
    sharpest = [SHOT * k + 2 + int(np.argmax(video.sharpness[SHOT * k + 2 : SHOT * (k + 1) - 2])) for k in range(3)]
    assert len(frames) == 3
    assert frames[1] == sharpest[1]


def test_no_more_than_wanted_and_every_shot_first() -> None:
    moving = [np.roll(scene(number), 2 * k, axis=1) for number in range(4) for k in range(SHOT)]
    assert len(chosen(film(moving), per_shot=3)[0]) == 12
    few, _ = chosen(film(moving), per_shot=3, frames=4)
    assert [number // SHOT for number in few] == [0, 1, 2, 3]


def test_one_of_every_so_many_seconds() -> None:
    frames, _ = chosen(film(shots(2)), every=1.0)
    assert [number // 25 for number in frames] == [0, 1, 2, 3, 4]


def test_a_part_and_what_the_other_has() -> None:
    mapped = np.arange(3 * SHOT)
    mapped[:SHOT] = -1
    frames, left_out = chosen(film(shots(3)), mapped=mapped, end=2 * SHOT / 25 - 0.01)
    assert [number // SHOT for number in frames] == [1]
    assert left_out["that the other does not have"] == SHOT
    assert left_out["outside of --from and --to"] == SHOT


@pytest.mark.parametrize(("name", "values"), [("brightness", 16), ("combing", 0.2), ("damaged", True)])
def test_flawed_frames_are_left_out(name: str, values: Any) -> None:
    flawed = np.zeros(2 * SHOT)
    flawed[:SHOT] = values
    fields = {name: np.where(flawed > 0, flawed, 100 if name == "brightness" else 0)}
    assert [number // SHOT for number in chosen(film(shots(2), **fields))[0]] == [1]


def test_combed_frames_are_as_good_where_they_are_made_whole() -> None:
    assert len(chosen(film(shots(2), combing=0.5), bobbed=True)[0]) == 2


def test_fades_and_dissolves_are_left_out() -> None:
    a, b, length = scene(1), scene(2), 2 * FADE_REACH
    fade = [16 + (a - 16) * k / length for k in range(length)]
    dissolve = [a + (b - a) * k / length for k in range(length)]
    video = film([*fade, *[a] * SHOT, *dissolve, *[b] * SHOT])
    frames, left_out = chosen(video, per_shot=9)
    begin = length + SHOT
    assert left_out["faded or dissolved"] >= length
    assert not [number for number in frames if begin + 4 <= number < begin + length - 4 or 6 <= number < length - 4]
