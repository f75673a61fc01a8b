"""Black bars are found, and nothing else is taken for one."""

from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.paths import EXAMPLES
from tests.support.pictures import cat, picture
from twimager.fingerprint.letterbox import picture_area
from twimager.geometry import Rect
from twimager.image.decode import read_image
from twimager.image.files import list_files
from twimager.image.pixels import to_gray


def boxed(pixels: Any, top: int, bottom: int, left: int, right: int, level: int = 0) -> Any:
    return cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=[level] * 3)


@pytest.mark.parametrize("bars", [(20, 20, 0, 0), (0, 0, 31, 30), (12, 17, 8, 3), (0, 40, 0, 0)])
@pytest.mark.parametrize("level", [0, 16])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_bars_are_found(bars: tuple[int, int, int, int], level: int, depth: type) -> None:
    noisy = boxed(cat(), *bars, level) + np.random.default_rng(0).normal(0, 2, boxed(cat(), *bars).shape)
    eight = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    packed = cv2.imdecode(cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], cv2.IMREAD_COLOR)
    area = picture_area(to_gray(packed).astype(depth) * (257 if depth == np.uint16 else 1))
    top, bottom, left, right = bars
    for found, true in zip(
        (area.y, packed.shape[0] - area.y - area.height, area.x, packed.shape[1] - area.x - area.width),
        (top, bottom, left, right),
        strict=True,
    ):
        assert found in ((true, true + 1, true + 2) if true else (0,))


@pytest.mark.parametrize("path", [p for side in ("LR", "HR") for p in list_files(EXAMPLES / side, False, print)])
def test_photographs_have_none(path: Any) -> None:
    gray = to_gray(read_image(path))
    assert picture_area(gray) == Rect(0, 0, gray.shape[1], gray.shape[0])


def test_dark_pictures_have_none() -> None:
    night = to_gray(cat() // 12)
    assert picture_area(night) == Rect(0, 0, night.shape[1], night.shape[0])
    for size in ((40, 60), (1, 1), (3, 200)):
        black = np.zeros(size, np.uint8)
        assert picture_area(black) == Rect(0, 0, size[1], size[0])
    moon = np.zeros((200, 200), np.uint8)
    cv2.circle(moon, (100, 100), 40, 200, -1)
    assert picture_area(moon) == Rect(0, 0, 200, 200)


def test_bars_on_both_sides_are_left_out(run: Run, folders: Folders) -> None:
    """Different bars: matched by what lies between, cut from both, kept in the LR's frame on demand."""
    for name, side, bars in (("h0", folders.hr, (45, 45, 0, 0)), ("l0", folders.lr, (10, 12, 7, 6))):
        path = side / f"{name}.png"
        cv2.imwrite(str(path), boxed(cv2.imread(str(path)), *bars))
    assert run(*folders.flags).code == 0
    lr, hr = (cv2.imread(str(folders.dest / side / "h0.png")) for side in ("LR", "HR"))
    assert 90 <= lr.shape[0] <= 100
    assert 140 <= lr.shape[1] <= 150
    assert hr.shape[:2] == (lr.shape[0] * 2, lr.shape[1] * 2)
    for pixels in (lr, hr):
        assert min(pixels[0].max(), pixels[-1].max(), pixels[:, 0].max(), pixels[:, -1].max()) > 60
    assert np.abs(cv2.resize(hr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(int) - lr).mean() < 2
    kept = folders.dest.with_name("kept")
    assert run(*folders.flags[:5], kept, "--border", "keep").code == 0
    assert (kept / "LR/h0.png").read_bytes() == (folders.lr / "l0.png").read_bytes()
    framed = cv2.imread(str(kept / "HR/h0.png"))
    assert framed.shape[:2] == (244, 326)
    assert framed[:18].max() == framed[:, :12].max() == 0
    assert framed[30:-30, 20:-20].mean() > 30


def test_colours_are_measured_without_the_bars(run: Run, folders: Folders) -> None:
    lr = picture("P1040102")[:399, :600]
    small = cv2.resize(lr, (200, 133), interpolation=cv2.INTER_AREA) // 2
    cv2.imwrite(str(folders.lr / "l1.png"), boxed(small, 30, 30, 0, 0))
    assert run(*folders.flags, "--color_transfer").code == 0
    written = cv2.imread(str(folders.dest / "HR/h1.png"))
    assert cv2.mean(written)[:3] == pytest.approx(cv2.mean(small)[:3], abs=2)
