"""The signatures of frames are those of their pictures, and as small as promised."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.videos import moving, turned_copy, write_video
from tests.video.conftest import Release, signed_video
from twimager.fingerprint.phash import perceptual_hash
from twimager.video.shots import shot_starts
from twimager.video.signatures import Signatures, make_signatures


def bits_apart(one: np.uint64, other: int) -> int:
    return (int(one) ^ other).bit_count()


def test_hashes_are_those_of_the_pictures_without_bars(tmp_path: Path) -> None:
    pictures = moving(6)
    barred = [cv2.copyMakeBorder(one, 20, 20, 0, 0, cv2.BORDER_CONSTANT) for one in pictures]
    hashes = [perceptual_hash(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), 8) for one in pictures]
    for name, shown in (("plain.mkv", pictures), ("barred.mkv", barred)):
        found = signed_video(write_video(tmp_path / name, shown, crf="5"))
        assert max(map(bits_apart, found.hashes, hashes)) <= 6


def test_ten_bits_are_as_eight(tmp_path: Path) -> None:
    ten = signed_video(write_video(tmp_path / "ten.mkv", moving(4), form="yuv420p10le", crf="5"))
    eight = signed_video(write_video(tmp_path / "eight.mkv", moving(4), crf="5"))
    assert np.abs(ten.thumbnails[:].astype(int) - eight.thumbnails[:]).max() <= 3
    assert ten.sharpness == pytest.approx(eight.sharpness, rel=0.1)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_thumbnails_are_turned_as_the_file_says(tmp_path: Path, turn: int) -> None:
    plain = write_video(tmp_path / "plain.mp4", moving(4))
    turned = signed_video(turned_copy(plain, tmp_path / "turned.mp4", turn))
    assert (turned.thumbnails[:] == np.rot90(signed_video(plain).thumbnails[:], turn // 90, (1, 2))).all()


def test_black_still_combed_and_blurred_frames_are_told(tmp_path: Path) -> None:
    first, _, _, _, other = moving(5)
    combed = first.copy()
    combed[1::2] = other[1::2]
    shown = [np.zeros_like(first), first, first, combed, cv2.GaussianBlur(first, (0, 0), 2)]
    found = signed_video(write_video(tmp_path / "film.mkv", shown, crf="1"))
    assert found.brightness[0] < 20 < found.brightness[1]
    assert found.difference[2] < 0.5 < found.difference[1]
    assert max(found.combing[[0, 1, 2, 4]]) < 0.05
    assert found.combing[3] > 0.2
    assert found.sharpness[4] < 0.6 * found.sharpness[1]


def test_what_is_saved_is_loaded_and_takes_less_than_2_kb_a_frame(tmp_path: Path, recut: Release) -> None:
    place = tmp_path / "signatures.npz"
    made = make_signatures(recut.hr, place, pytest.fail, lambda _: None)
    kept = Signatures.load(place)
    assert kept is not None
    assert kept.size == made.size == (256, 144)
    assert (kept.records == made.records).all()
    assert (kept.thumbnails[:] == recut.hr_signatures.thumbnails[:]).all()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2048 * len(made)


def test_shots_begin_where_scenes_do(recut: Release) -> None:
    rows = recut.truth.read_text(encoding="utf-8").splitlines()[1:]
    scenes = [row.rsplit(",", 1)[1] for row in rows]
    starts = [0] + [k for k in range(1, len(scenes)) if scenes[k] != scenes[k - 1]]
    assert set(starts) <= set(shot_starts(recut.lr_signatures).tolist())
