"""Masks: what they leave out decides nothing, whatever lies there; others than fit are refused or named."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders, images
from tests.support.pictures import cat
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import RICH, Recipe
from twimager.fingerprint.mask import Mask
from twimager.fingerprint.records import pack, unpack
from twimager.fingerprint.working_image import color_image, drop_working_images, precise_picture, working_image
from twimager.geometry import Rect, Size

LAYER = np.s_[30:130, 200:330]
SIZE = 450, 300


def masked(region: Any, size: Size = SIZE) -> Mask:
    picture = np.ones(size[::-1], bool)
    picture[region] = False
    return Mask.of(picture)


def saved(path: Path, pixels: Any) -> Path:
    cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def pixels() -> Any:
    return cat()[:300, :450]


@pytest.fixture
def recipe() -> Recipe:
    return RICH._replace(mask=masked(LAYER))


def test_what_a_mask_leaves_out_does_not_count(tmp_path: Path, pixels: Any, recipe: Recipe) -> None:
    found = []
    for name in ("black", "noise"):
        pixels[LAYER] = 0 if name == "black" else np.random.default_rng(1).integers(0, 256, pixels[LAYER].shape)
        found.append(fingerprint(saved(tmp_path / f"{name}.png", pixels), recipe))
    black, noise = found
    assert sum((a ^ b).bit_count() for a, b in zip(black.hashes, noise.hashes, strict=True)) <= 2
    assert abs(black.thumbnail.astype(int) - noise.thumbnail).max() <= 3
    for image in found:
        points = image.known_features.points
        assert len(points) > 100
        inside = (points > (202, 32)).all(axis=1) & (points < (328, 128)).all(axis=1)
        assert not inside.any()


def test_copies_are_the_same_however_they_come_about(tmp_path: Path, pixels: Any, recipe: Recipe) -> None:
    pixels[LAYER] = 255
    image = fingerprint(saved(tmp_path / "a.png", pixels), recipe)
    first = working_image(image)
    drop_working_images()
    again, precise, colors = working_image(image), None, color_image(image)
    with precise_picture(image) as full:
        precise = full._replace(gray=full.gray.copy())
    for one in (first, again, precise, colors):
        assert one.valid is not None
        assert one.valid.shape == one.gray.shape[:2]
        assert 1 - one.valid.mean() == pytest.approx(100 * 130 / (300 * 450), abs=0.015)
        assert one.gray[~one.valid].max() < 235
    assert (first.gray == again.gray).all()
    coarse = first.limited(96)
    assert coarse.gray.shape == coarse.valid.shape == (96, 144)
    assert working_image(image).limited(400).gray is again.gray


def test_bars_are_found_below_a_caption_and_what_is_left_out_at_the_rim_is_cut(tmp_path: Path, pixels: Any) -> None:
    boxed = cv2.copyMakeBorder(pixels, 40, 40, 0, 30, cv2.BORDER_CONSTANT)
    boxed[:, -30:] = (0, 0, 200)
    boxed[350:370, 100:350] = 255
    path = saved(tmp_path / "a.png", boxed)
    picture = np.ones(boxed.shape[:2], bool)
    picture[348:372, 98:352] = picture[:, -32:] = False
    assert fingerprint(path, RICH).picture == Rect(0, 0, 480, 380)
    assert fingerprint(path, RICH._replace(mask=Mask.of(picture))).picture == Rect(0, 41, 448, 298)


def test_a_mask_is_scaled_to_the_image_and_left_away_where_it_does_not_fit(tmp_path: Path, pixels: Any) -> None:
    recipe = RICH._replace(mask=masked(np.s_[10:43, 67:110], (150, 100)))
    image = fingerprint(saved(tmp_path / "a.png", pixels), recipe)
    valid = working_image(image).valid
    assert valid is not None
    assert not valid[33:126, 204:327].any()
    assert valid[:24].all()
    assert fingerprint(saved(tmp_path / "b.png", pixels[:280]), recipe).mask is None
    smaller = fingerprint(saved(tmp_path / "c.png", cv2.resize(pixels, (75, 50))), recipe)
    assert smaller.mask


def test_what_is_flat_but_for_the_mask_is_flat(tmp_path: Path, recipe: Recipe) -> None:
    flat = np.full((300, 450, 3), 90, np.uint8)
    flat[LAYER] = 255
    assert fingerprint(saved(tmp_path / "a.png", flat), recipe).is_flat
    nothing = recipe._replace(mask=masked(np.s_[:, 1:]))
    small = fingerprint(saved(tmp_path / "b.png", cv2.resize(flat, (45, 30))), nothing)
    assert small.is_flat
    assert small.picture == Rect(0, 0, 45, 30)


def test_a_mask_is_part_of_the_keys_and_stays_after_storing(tmp_path: Path, pixels: Any, recipe: Recipe) -> None:
    image = fingerprint(saved(tmp_path / "a.png", pixels), recipe)
    again = unpack(image.path, pack(image, recipe), recipe)
    assert again
    assert again.mask == image.mask == recipe.mask
    others = [masked(LAYER), masked(np.s_[:9]), masked(np.s_[:9], SIZE[::-1])]
    assert [repr(other) == repr(recipe.mask) for other in others] == [True, False, False]


def test_large_masks_are_not_kept() -> None:
    mask, whole = masked(LAYER), Rect(0, 0, *SIZE)
    small, large = (90, 60), (900, 600)
    assert mask.on(SIZE, whole, small) is mask.on(SIZE, whole, small)
    assert mask.on(SIZE, whole, large) is not mask.on(SIZE, whole, large)


@pytest.fixture
def mask_file(tmp_path: Path) -> Path:
    picture = np.full((100, 150), 255, np.uint8)
    picture[10:30, 20:60] = 0
    return saved(tmp_path / "mask.png", picture)


def test_pairs_are_found_below_a_logo(run: Run, folders: Folders, mask_file: Path) -> None:
    before = run(*folders.flags)
    written = images(folders.dest)
    for path in folders.lr.iterdir():
        lr = cv2.imread(str(path))
        lr[10:30, 20:60] = (0, 0, 255)
        cv2.imwrite(str(path), lr)
    dest = folders.dest.with_name("masked")
    cv2.imwrite(str(folders.lr / "other.png"), cat()[:90, :90])
    found = run(*folders.flags[:4], "--dest", dest, "--lr_mask", mask_file)
    assert (found.code, found.err) == (0, "--lr_mask: 1 of other proportions is used without it: "
                                       f"{folders.lr / 'other.png'}\n")  # fmt: skip
    assert before.out.splitlines()[0] == found.out.splitlines()[0] == "pairs written: 2"
    assert images(dest).keys() == written.keys()


def test_masks_that_do_not_fit_are_refused(run: Run, folders: Folders, mask_file: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.full((10, 90), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((100, 150), np.uint8))
    (tmp_path / "words.png").write_text("no picture")
    for name, words in (
        ("wide.png", "has 90 x 10 pixels; no image has these proportions"), ("black.png", "leaves out everything"),
        ("words.png", "not an image"), ("gone.png", "No such file"),
    ):  # fmt: skip
        for flag in ("--lr_mask", "--hr_mask"):
            refused(run(*folders.flags, flag, tmp_path / name), 2, f"{flag}: {tmp_path / name}", words)
    assert not folders.dest.exists()
    for path in folders.lr.iterdir():
        path.write_bytes(b"no picture")
    refused(run(*folders.flags, "--lr_mask", mask_file), 2, "no image has these proportions")


def test_another_mask_is_another_run(run: Run, folders: Folders, mask_file: Path) -> None:
    masked_run = (*folders.flags, "--lr-mask", mask_file)
    assert run(*masked_run).code == 0
    refused(run(*folders.flags, "--resume"), 2, f"was begun with --lr_mask {mask_file}, not no --lr_mask")
    assert run(*masked_run, "--resume").code == 0
    cv2.imwrite(str(mask_file), np.full((100, 150), 255, np.uint8))
    refused(run(*masked_run, "--resume"), 2, "the files in --lr_mask have changed since")
