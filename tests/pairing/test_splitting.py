"""Pictures of which a part is the same are told from others, whatever that part is; a logo is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.pictures import CAST, picture
from tests.support.slow import thorough
from twimager.fingerprint.fingerprint import NO_THUMBNAIL, RICH, Fingerprint, mirrored
from twimager.pairing.read import File, read_fingerprint
from twimager.pairing.splitting import _neighbours, share_content
from twimager.propose.by_frame import halved

PHOTOS = {name: picture(name) for name in CAST.values()}


def described(folder: Path, pixels: Any) -> Fingerprint:
    path = folder / f"{len(list(folder.iterdir()))}.png"
    cv2.imwrite(str(path), pixels)
    found = read_fingerprint(File(path), RICH)
    assert isinstance(found, Fingerprint)
    return found


@pytest.mark.parametrize("name", PHOTOS)
def test_crops_that_overlap_by_a_quarter_share_content(tmp_path: Path, name: str) -> None:
    photo = PHOTOS[name]
    width = photo.shape[1] * 4 // 7
    left, right = (described(tmp_path, part) for part in (photo[:, :width], photo[:, -width:]))
    assert share_content(left, right)
    assert share_content(right, left)


@pytest.mark.parametrize("name", thorough(PHOTOS, 2))
def test_a_detail_and_its_mirror_image_share_content_with_the_whole(tmp_path: Path, name: str) -> None:
    photo = PHOTOS[name]
    height, width = (side * 2 // 5 for side in photo.shape[:2])
    detail = cv2.resize(photo[height : 2 * height, width : 2 * width], None, fx=2, fy=2)
    whole = described(tmp_path, photo)
    assert share_content(described(tmp_path, detail), whole)
    assert share_content(mirrored(described(tmp_path, detail[:, ::-1])), whole)


@pytest.mark.slow
def test_photographs_share_nothing_even_with_one_logo(tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).integers(256, size=(8, 12, 3), dtype=np.uint8)
    logo = cv2.resize(blocks, (90, 60), interpolation=cv2.INTER_CUBIC)
    marked = {name: photo.copy() for name, photo in PHOTOS.items()}
    for photo in marked.values():
        photo[10:70, 10:100] = logo
    for photos in (PHOTOS, marked):
        known = [described(tmp_path, photo) for photo in photos.values()]
        assert not any(share_content(one, other) for i, one in enumerate(known) for other in known[:i])


def named(*names: str) -> list[Fingerprint]:
    return [Fingerprint(Path("in", name), (9, 9), (0,)) for name in names]


def test_neighbours_differ_in_their_numbers_alone() -> None:
    hrs = named("a/f_9.png", "a/f_10.png", "a/f_11.png", "b/f_12.png", "g_13.png", "cover.png", "a/f_10b.png")
    pairs = {(one.path.name, other.path.name) for one, other in _neighbours(hrs, Path("in"))}
    assert pairs == {("f_9.png", "f_10.png"), ("f_10.png", "f_11.png")}


def test_flat_thumbnails_are_like_none() -> None:
    """Black frames follow one another in every film: they do not join its shots."""
    (one,) = named("1.png")
    flat = replace(one, thumbnail=np.full_like(NO_THUMBNAIL, 7))
    assert not (halved(flat.thumbnail[None]) @ halved(flat.thumbnail[None]).T).any()
