"""The agreement map: no false alarm for tones, noise and compression, no miss of what moved or covers."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.slow import thorough
from twimager.geometry import Rect
from twimager.verify.agreeing_rectangle import inner_rectangle, largest_rectangle, to_the_pixel
from twimager.verify.agreement import Label, agreement
from twimager.verify.agreement_map import MAX_PIXELS, AgreementMap

Gray = NDArray[np.uint8]
# Shares of the picture.
GATE = 0.006
SIZES = (64, 160, 320, pytest.param(2000, marks=pytest.mark.slow))


def scene(seed: int, side: int) -> NDArray[np.float32]:
    """Return a picture (side, side * 4 / 3) in levels: structures of all sizes, like a photograph's, and hard edges."""
    rng, width = np.random.default_rng(seed), side * 4 // 3
    picture = np.zeros((side, width), np.float32)
    for cells in (4, 8, 16, 32, 64):
        coarse = rng.normal(0, 1 / cells**0.7, (cells, cells * 4 // 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, side), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        x, y, w, h = rng.uniform(0, 0.9), rng.uniform(0, 0.9), *rng.uniform(0.05, 0.3, 2)
        box = np.s_[int(y * side) : int((y + h) * side), int(x * width) : int((x + w) * width)]
        picture[box] += rng.normal(0, 0.5)
    return np.asarray(np.clip(128 + 40 * (picture - picture.mean()) / picture.std(), 10, 240), np.float32)


def pixels(picture: NDArray[np.float32]) -> Gray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def noisy(picture: NDArray[np.float32], sigma: float, seed: int = 9) -> NDArray[np.float32]:
    return picture + np.random.default_rng(seed).normal(0, sigma, picture.shape).astype(np.float32)


def vignetted(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    y, x = np.mgrid[-1 : 1 : picture.shape[0] * 1j, -1 : 1 : picture.shape[1] * 1j]
    return np.asarray(picture * (1 - 0.25 * (x * x + y * y)), np.float32)


def compressed(picture: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    data = cv2.imencode(".jpg", pixels(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)


def shifted(picture: NDArray[np.float32], x: float) -> NDArray[np.float32]:
    matrix = np.array([[1, 0, x], [0, 1, x]], np.float32)
    return np.asarray(cv2.warpAffine(picture, matrix, picture.shape[::-1], borderMode=cv2.BORDER_REPLICATE))


NUISANCES = {
    "nothing": lambda p: p,
    "negative gain": lambda p: 255 - p,
    "gamma 2.2": lambda p: 255 * (np.clip(p, 0, 255) / 255) ** 2.2,
    "gamma 0.5": lambda p: 255 * (np.clip(p, 0, 255) / 255) ** 0.5,
    "vignette": vignetted,
    "grain 20": lambda p: noisy(p, 20),
    "JPEG 20": lambda p: compressed(p, 20),
    "blur": lambda p: cv2.GaussianBlur(p, (0, 0), 1.2),
    "sharpening": lambda p: p + 1.5 * (p - cv2.GaussianBlur(p, (0, 0), 1.5)),
    "0.3 pixels off": lambda p: shifted(p, 0.3),
    "film": lambda p: noisy(0.8 * vignetted(cv2.GaussianBlur(p, (0, 0), 1)), 15),
    "a phone's": lambda p: compressed(noisy(255 * (np.clip(p, 0, 255) / 255) ** 1.3, 6), 40),
}


@pytest.mark.parametrize("side", SIZES)
@pytest.mark.parametrize("nuisance", NUISANCES)
def test_tones_noise_blur_and_compression_are_no_difference(nuisance: str, side: int) -> None:
    for seed in range(3 if side < 1000 else 1):
        picture = scene(seed, side)
        found = agreement(pixels(picture), pixels(NUISANCES[nuisance](picture)))
        assert found.different <= (GATE if side == 64 else 0)
        assert found.contradicted == 0
        assert found.agreed > 0.8


@pytest.mark.parametrize("side", SIZES)
@pytest.mark.parametrize("nuisance", thorough(["nothing", "grain 20", "JPEG 20", "vignette", "a phone's"], 2))
def test_an_object_that_moved_contradicts(nuisance: str, side: int) -> None:
    """An object of an eighth of the height that moved by its own width leaves two differences of that size."""
    for seed in range(3 if side < 1000 else 1):
        hr, lr = scene(seed, side), scene(seed, side)
        part = scene(seed + 50, side // 4)[: side // 8, : side // 8]
        half = side // 2
        for picture, x in ((hr, half), (lr, half + side // 8)):
            picture[half : half + side // 8, x : x + side // 8] = 1.2 * part + (60 if part.mean() < 128 else -60)
        found = agreement(pixels(hr), pixels(NUISANCES[nuisance](lr)))
        moved = 2 * (side // 8) ** 2 / lr.size
        assert 0.6 * moved < found.different < 2 * moved
        assert found.contradicted > GATE


@pytest.mark.parametrize("side", SIZES)
@pytest.mark.parametrize(
    ("nuisance", "least"),
    thorough([("nothing", 0.9), ("film", 0.65), ("gamma 2.2", 0.9), ("a phone's", 0.85), ("grain 20", 0.7)], 2),
)
def test_what_covers_45_percent_is_found_where_it_is(nuisance: str, least: float, side: int) -> None:
    for seed in range(3 if side < 1000 else 1):
        hr = scene(seed, side)
        lr, covered = hr.copy(), np.zeros(hr.shape, bool)
        covered[int(0.55 * side) :] = True
        lr[covered] = scene(seed + 70, side)[covered]
        found = agreement(pixels(hr), pixels(NUISANCES[nuisance](lr)))
        on_map = cv2.resize(covered.astype(np.uint8), found.labels.shape[::-1], interpolation=cv2.INTER_AREA) > 0
        overlap = (found.differs & on_map).sum() / (found.differs | on_map).sum()
        assert overlap > least - (0.05 if side == 64 else 0)
        assert (found.differs & ~on_map).sum() < 0.05 * (~on_map).sum()


def test_a_logo_and_dust_differ_but_contradict_nothing() -> None:
    hr = scene(1, 320)
    hr[:120, :160] = 100
    lr = hr.copy()
    lr = np.asarray(pixels(lr))
    cv2.putText(lr, "TV5", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 240, 3)
    for x, y in np.random.default_rng(4).integers(10, 300, (30, 2)):
        cv2.circle(lr, (int(x), int(y)), 3, 250, -1)
    found = agreement(pixels(hr), pixels(noisy(lr.astype(np.float32), 8)))
    assert found.different > 0.01
    assert found.contradicted < GATE


def test_what_is_flat_in_both_is_nothing_to_see() -> None:
    hr = scene(2, 200)
    hr[:, :120] = 90
    found = agreement(pixels(hr), pixels(noisy(0.9 * hr + 10, 4)))
    left = found.labels[:, : found.labels.shape[1] * 100 // 266]
    assert (left == Label.NOTHING_TO_SEE).mean() > 0.95
    assert found.unjudged == pytest.approx(120 / 266, abs=0.05)
    assert found.agreed + found.different + found.unjudged == pytest.approx(1)


def watermarked(picture: NDArray[np.float32], period: int, size: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A picture with rows of outlined boxes over it, and where these are."""
    marks = np.zeros(picture.shape, np.uint8)
    for row, y in enumerate(range(0, len(marks) + period, period)):
        for x in range(-20 * row % size - size, marks.shape[1], size):
            cv2.rectangle(marks, (x, y - size), (x + round(0.6 * size), y), (1,), 3)
    return np.where(marks > 0, 0.6 * picture + 102, picture).astype(np.float32), marks > 0


def test_watermarks_of_both_are_no_noise() -> None:
    plain = scene(1, 320)
    (hr, in_hr), (lr, in_lr) = watermarked(plain, 64, 18), watermarked(plain, 88, 26)
    found = agreement(pixels(hr), pixels(lr))
    differs = cv2.resize(found.differs.astype(np.uint8), plain.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert differs[in_hr != in_lr].mean() > 0.92


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 3), (40, 40), (700, 16)])
@pytest.mark.parametrize("levels", [(0, 0), (255, 255), (10, 200)])
def test_flat_pictures_of_any_size_show_nothing(shape: tuple[int, int], levels: tuple[int, int]) -> None:
    hr, lr = (np.full(shape, level, np.uint8) for level in levels)
    found = agreement(hr, lr)
    assert found.unjudged == 1
    assert not found.differs.any()
    whole = Rect(0, 0, *found.labels.shape[::-1])
    assert inner_rectangle(found.differs) == largest_rectangle(~found.differs) == whole
    assert to_the_pixel(whole, found, hr, lr) == Rect(0, 0, shape[1], shape[0])


def test_an_lr_of_one_channel_agrees_with_the_colours() -> None:
    blue, red = scene(3, 200), scene(4, 200)
    hr = np.dstack([pixels(blue), pixels((blue + red) / 2), pixels(red)])
    gray = np.asarray(cv2.cvtColor(hr, cv2.COLOR_BGR2GRAY), np.uint8)
    lr = pixels(noisy(red, 3))
    assert agreement(gray, lr).different > 0.05
    assert agreement(hr, lr).different == 0


@pytest.mark.parametrize("side", [100, 320, 900])
@pytest.mark.parametrize("kind", ["gray", "noise", "picture"])
def test_the_rectangle_ends_with_the_picture(side: int, kind: str) -> None:
    hr = scene(5, side)
    height, width = hr.shape
    frame = {
        "gray": np.full(hr.shape, 200, np.float32),
        "noise": noisy(np.full(hr.shape, 38, np.float32), 8),
        "picture": scene(6, side),
    }[kind]
    x0, y0, x1, y1 = int(0.09 * width), int(0.13 * height), int(0.93 * width), height
    lr = frame.copy()
    lr[y0:y1, x0:x1] = (0.9 * hr + 5)[y0:y1, x0:x1]
    target = pixels(noisy(lr, 3))
    found = agreement(pixels(hr), target)
    for coarse in (inner_rectangle(found.differs), largest_rectangle(~found.differs)):
        assert coarse is not None
        rectangle = to_the_pixel(coarse, found, pixels(hr), target)
        assert rectangle is not None
        assert np.array(rectangle) == pytest.approx((x0, y0, x1 - x0, y1 - y0), abs=2)


def test_a_difference_within_is_cut_out_but_no_rim() -> None:
    hr = scene(7, 320)
    lr = hr.copy()
    lr[250:300, 100:180] = scene(8, 320)[250:300, 100:180] + 60
    found = agreement(pixels(hr), pixels(lr))
    assert inner_rectangle(found.differs) == Rect(0, 0, *found.labels.shape[::-1])
    coarse = largest_rectangle(~found.differs)
    assert coarse is not None
    cut = to_the_pixel(coarse, found, pixels(hr), pixels(lr))
    assert cut is not None
    assert cut[:3] == (0, 0, 426)
    assert cut.height == pytest.approx(250, abs=2)
    assert agreement(pixels(hr), pixels(scene(9, 320))).different > 0.5


def differing(*parts: Any) -> NDArray[np.bool_]:
    differs = np.zeros((40, 60), bool)
    for part in parts:
        differs[part] = True
    return differs


@pytest.mark.parametrize(
    ("differs", "inner"),
    [
        (differing(np.s_[:9], np.s_[-6:]), Rect(0, 9, 60, 25)),
        (differing(np.s_[:3]), Rect(0, 3, 60, 37)),
        (differing(np.s_[-15:]), Rect(0, 0, 60, 40)),
        (differing(np.s_[:27, :40]), Rect(0, 0, 60, 40)),
        (differing(np.s_[:9], np.s_[9:12, ::3], np.s_[-6:]), Rect(0, 12, 60, 22)),
        (differing(np.s_[:18], np.s_[-18:]), Rect(0, 0, 60, 40)),
    ],
    ids=["bars", "a thin line", "a caption", "a corner", "a ragged edge", "next to nothing left"],
)
def test_a_rim_is_at_several_sides_or_thin(differs: NDArray[np.bool_], inner: Rect) -> None:
    assert inner_rectangle(differs) == inner


def test_a_bar_is_wide_where_another_was_known_before() -> None:
    assert inner_rectangle(differing(np.s_[-12:]), (False, True, False, False)) == Rect(0, 0, 60, 28)


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_rectangle_is_that_of_brute_force(seed: int) -> None:
    wanted = np.random.default_rng(seed).random((7, 9)) < 0.75
    found = largest_rectangle(wanted)
    assert found is not None
    assert found.cut(wanted).all()
    areas = [
        (y1 - y0) * (x1 - x0)
        for y0 in range(7) for y1 in range(y0 + 1, 8) for x0 in range(9) for x1 in range(x0 + 1, 10)
        if wanted[y0:y1, x0:x1].all()
    ]  # fmt: skip
    assert found.width * found.height == max(areas)
    assert largest_rectangle(np.zeros((3, 4), bool)) is None


def test_a_map_is_sound_if_it_has_an_area_and_labels() -> None:
    labels = np.full((3, 4), Label.AGREE, np.uint8)
    sound = AgreementMap.of(labels, Rect(0, 0, 40, 30))
    assert sound.is_sound
    assert (sound.labels == labels).all()
    for damaged in (
        sound._replace(size=(4, 4)),
        sound._replace(size=(0, 3)),
        sound._replace(size=(MAX_PIXELS, 2)),
        sound._replace(area=Rect(0, 0, 40, 0)),
        sound._replace(packed=sound.packed[:5]),
        sound._replace(packed=b"labels"),
        AgreementMap.of(labels + 9, sound.area),
    ):
        assert not damaged.is_sound, damaged
