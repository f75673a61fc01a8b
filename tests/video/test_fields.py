"""What a video's frames are made of is measured, and frames of two fields become whole."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import films
from tests.support.videos import moving, write_video
from tests.video.conftest import make_release, signed_video
from twimager.video.container import frames
from twimager.video.fields import Deinterlace, Interlacing, interlacing
from twimager.video.frames import FrameSettings, read_frames

SIZE = (320, 180)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("pal", Interlacing.PROGRESSIVE), ("ntsc", Interlacing.TELECINED), ("fields", Interlacing.FIELDS),
        ("stutter", Interlacing.PROGRESSIVE),
    ],
)  # fmt: skip
def test_progressive_telecined_and_true_fields_are_told_apart(tmp_path: Path, kind: str, expected: Interlacing) -> None:
    rng = np.random.default_rng(3)
    scenes = films.photo_scenes(films.PHOTOS, 2, SIZE, rng)
    films.make(next(one for one in films.KINDS if one.name == kind), scenes, tmp_path, 3, rng)
    signed = signed_video(next(tmp_path.glob("lr.*")))
    assert interlacing(signed) is expected


def woven(pairs: list[tuple[int, int]], shown: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    made = [shown[top].copy() for top, _ in pairs]
    for pixels, (_, bottom) in zip(made, pairs, strict=True):
        pixels[1::2] = shown[bottom][1::2]
    return made


def film_of(path: Path, pairs: list[tuple[int, int]]) -> tuple[Path, list[NDArray[Any]], list[int]]:
    """Write a film of fields, without loss; return its path, the frames whole, and its pts."""
    shown = moving(41)
    whole = write_video(path / "whole.mkv", shown, "ffv1", "yuv444p")
    write_video(path / "fields.mkv", woven(pairs, shown), "ffv1", "yuv444p")
    pts = [timed.pts for timed in frames(whole, pytest.fail)]
    exact = [pixels for _, pixels in read_frames(whole, pts, FrameSettings(), pytest.fail)]
    return path / "fields.mkv", exact, [timed.pts for timed in frames(path / "fields.mkv", pytest.fail)]


def test_telecine_is_undone_from_the_fields_around_each_wanted_frame(tmp_path: Path) -> None:
    pairs = films.telecined(41)
    path, whole, pts = film_of(tmp_path, pairs)
    found = dict(read_frames(path, pts[2:-2:3], FrameSettings(), pytest.fail, Interlacing.TELECINED))
    assert list(found) == pts[2:-2:3]
    for number in range(2, len(pts) - 2, 3):
        assert any((found[pts[number]] == whole[one]).all() for one in set(pairs[number]))


def test_true_fields_keep_the_first_field_and_lose_the_other_moment(tmp_path: Path) -> None:
    pairs = films.fields(41)
    path, whole, pts = film_of(tmp_path, pairs)
    made, combed = (
        dict(read_frames(path, pts[3:17:4], FrameSettings(deinterlace), pytest.fail, Interlacing.FIELDS))
        for deinterlace in (Deinterlace.AUTO, Deinterlace.OFF)
    )
    assert list(made) == list(combed) == pts[3:17:4]
    for number in range(3, 17, 4):
        moment = whole[pairs[number][0]].astype(int)
        better, worse = (np.abs(some[pts[number]] - moment).mean() for some in (made, combed))
        assert (made[pts[number]][::2] == moment[::2]).all()
        assert better < 0.7 * worse


def test_a_frame_is_deinterlaced_alike_alone_and_among_others(tmp_path: Path) -> None:
    path, _, pts = film_of(tmp_path, films.fields(41))
    settings = FrameSettings(Deinterlace.BWDIF)
    together = dict(read_frames(path, pts, settings, pytest.fail))
    for one in (pts[0], pts[7], pts[-1]):
        ((_, pixels),) = read_frames(path, [one], settings, pytest.fail)
        assert (pixels == together[one]).all()


def test_frames_of_fields_are_mapped_to_the_moment_of_the_field_that_is_kept(tmp_path: Path) -> None:
    release = make_release("fields", tmp_path)
    with release.truth.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["moving"] == "1" and row["hr_frame"] != row["hr_other"]]
    first = [release.found.hr_frames[int(row["lr_frame"])] == int(row["hr_frame"]) for row in rows]
    assert len(rows) > 100
    assert np.mean(first) > 0.95
