"""What is transparent is nothing: whatever colours lie below decide nothing, and none of it is picture."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.pictures import cat
from twimager.align.refinement import FINE, refine
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import RICH
from twimager.fingerprint.mask import Mask, both
from twimager.fingerprint.records import pack, unpack
from twimager.fingerprint.working_image import (
    WorkingImage,
    color_image,
    drop_working_images,
    precise_picture,
    working_image,
)
from twimager.geometry import Rect, translation
from twimager.options import Method

SIZE = 450, 300


@pytest.fixture
def alpha() -> Any:
    ellipse = np.zeros(SIZE[::-1], np.uint8)
    cv2.ellipse(ellipse, (219, 149), (100, 90), 0, 0, 360, 255, cv2.FILLED)
    ellipse[:, :120] = ellipse[:60] = ellipse[240:] = ellipse[:, 320:] = 0
    return ellipse


def saved(path: Path, below: Any, alpha: Any) -> Path:
    pixels = np.where(alpha[..., None] > 0, cat()[:300, :450], below)
    cv2.imwrite(str(path), np.dstack([pixels, alpha]).astype(np.uint8))
    return path


def noise() -> Any:
    return np.random.default_rng(1).integers(0, 256, (300, 450, 3))


def test_colours_below_transparency_decide_nothing(tmp_path: Path, alpha: Any) -> None:
    black, other = (
        fingerprint(saved(tmp_path / f"{name}.png", below, alpha), RICH)
        for name, below in (("black", 0), ("noise", noise()))
    )
    assert black.picture == other.picture == Rect(0, 0, *SIZE)
    assert sum((a ^ b).bit_count() for a, b in zip(black.hashes, other.hashes, strict=True)) <= 2
    assert abs(black.thumbnail.astype(int) - other.thumbnail).max() <= 3
    for image in (black, other):
        x, y = image.known_features.points.round().astype(int).T
        assert len(x) > 50
        assert alpha[y, x].all()


def test_copies_are_the_same_however_they_come_about(tmp_path: Path, alpha: Any) -> None:
    image = fingerprint(saved(tmp_path / "a.png", 255, alpha), RICH)
    first = working_image(image)
    drop_working_images()
    again, colors = working_image(image), color_image(image)
    with precise_picture(image) as full:
        assert full.valid is not None
        assert (full.valid == (alpha > 0)).all()
    assert (first.gray == again.gray).all()
    for one in (first, again, colors):
        assert one.valid is not None
        assert one.valid.mean() == pytest.approx((alpha > 0).mean(), abs=0.03)


def test_a_mask_of_the_side_leaves_out_more(tmp_path: Path, alpha: Any) -> None:
    picture = np.ones((300, 450), bool)
    picture[130:170, 200:260] = picture[:, :150] = False
    image = fingerprint(saved(tmp_path / "a.png", 0, alpha), RICH._replace(mask=Mask.of(picture)))
    assert image.picture == Rect(150, 0, 300, 300)
    assert image.mask == both(Mask.of(picture), image.opaque) == Mask.of(picture & (alpha > 0))
    assert image.opaque == Mask.of(alpha > 0)


@pytest.mark.parametrize("of_side", [None, Mask.of(np.ones((300, 450), bool))])
def test_it_stays_after_storing_if_it_is_sound(tmp_path: Path, alpha: Any, of_side: Mask | None) -> None:
    recipe = RICH._replace(mask=of_side)
    image = fingerprint(saved(tmp_path / "a.png", 0, alpha), recipe)
    packed = pack(image, recipe)
    again = unpack(image.path, packed, recipe)
    assert again
    assert (again.mask, again.opaque) == (image.mask, image.opaque)
    assert (again.known_features.points == image.known_features.points).all()
    assert image.opaque
    at = packed.index(image.opaque.packed)
    assert unpack(image.path, packed[: at + 9] + b"\xff" * 9 + packed[at + 18 :], recipe) is None
    assert not Mask((9, 9), image.opaque.packed).is_sound


def test_soft_edges_are_not_judged(tmp_path: Path, alpha: Any) -> None:
    alpha[80:90, 330:340] = 128
    assert fingerprint(saved(tmp_path / "a.png", 0, alpha), RICH).opaque == Mask.of(alpha == 255)


def test_bars_are_found_in_what_is_opaque(tmp_path: Path) -> None:
    boxed = cv2.copyMakeBorder(cat()[:300, :450], 40, 40, 0, 0, cv2.BORDER_CONSTANT)
    alpha = np.full(boxed.shape[:2], 255, np.uint8)
    alpha[10:30, 100:300] = alpha[150:200, 200:250] = 0
    boxed[alpha == 0] = 255
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([boxed, alpha]))
    assert fingerprint(tmp_path / "a.png", RICH).picture == Rect(0, 41, 450, 298)
    alpha[:60] = 0
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([boxed, alpha]))
    assert fingerprint(tmp_path / "a.png", RICH).picture == Rect(0, 0, 450, 339)


def test_what_is_transparent_everywhere_shows_nothing(tmp_path: Path, alpha: Any) -> None:
    image = fingerprint(saved(tmp_path / "a.png", noise(), 0 * alpha), RICH)
    assert image.is_flat
    assert image.opaque
    assert image.opaque.is_empty
    assert image.picture == Rect(0, 0, *SIZE)


def test_an_hr_is_refined_by_what_it_shows(alpha: Any) -> None:
    """An HR whose transparent parts were filled in, on an LR that shows something else there."""
    gray = cv2.GaussianBlur(cv2.cvtColor(cat()[:300, :450], cv2.COLOR_BGR2GRAY), (0, 0), 1.5)
    other = cv2.GaussianBlur(noise()[..., 0].astype(np.uint8), (0, 0), 3)
    lr = WorkingImage(np.where(alpha > 0, gray, other), SIZE)
    filled = np.where(alpha > 0, gray, np.roll(other, 1, axis=1))
    found = refine(translation(0.4, 0.3), WorkingImage(filled, SIZE, alpha > 0), lr, Method.TRANSFORM, FINE)
    assert abs(found - np.eye(3)).max() < 0.02
