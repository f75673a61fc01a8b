"""The two pictures of a pair: frames, crops, sizes, colours, bytes."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.pictures import cat, shift
from twimager.align.matching import Match
from twimager.errors import Rejection
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.geometry import Matrix, Rect, scaling, translation
from twimager.image.decode import decode
from twimager.image.pixels import frame_size
from twimager.options import Border, ColorTransfer, Crop, Framing, WriteSettings, parse_scale
from twimager.output.render import common_area, output_size, output_window, render_hr, render_lr
from twimager.pairs import VerifiedPair
from twimager.propose.proposal import Proposal
from twimager.verify.scores import Scores


def pair_of(folder: Path, lr: Any, hr: Any, matrix: Matrix, framing: Framing) -> VerifiedPair:
    for name, pixels in (("lr.png", lr), ("hr.png", hr)):
        cv2.imwrite(str(folder / name), pixels)
    proposal = Proposal(fingerprint(folder / "lr.png", LIGHT_HR), fingerprint(folder / "hr.png", LIGHT_HR), 0)
    whole, below = (image.picture for image in proposal.images)
    found = Match(translation(-whole.x, -whole.y) @ matrix @ translation(below.x, below.y), 99)
    common = common_area(found, below[2:], whole[2:], framing.scale)
    assert common is not None
    window = output_window(common, proposal.lr.frame, framing)
    assert isinstance(window, Rect)
    return VerifiedPair(proposal, found, Scores(100, 1, 1), common, window)


def thirds() -> tuple[Any, Any]:
    hr = cat()[:300, :450]
    return cv2.resize(hr, (150, 100), interpolation=cv2.INTER_AREA), hr


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([10], Rect(10, 10, 80, 40)),
        ([50, 20], Rect(25, 20, 50, 20)),
        ([5, 7, 30, 20], Rect(5, 7, 30, 20)),
        ([30], None),
        ([101, 20], None),
        ([80, 0, 30, 20], None),
    ],
)
def test_crops(numbers: list[int], expected: Rect | None) -> None:
    window = output_window(Rect(0, 0, 100, 60), Rect(0, 0, 100, 60), Framing(crop=Crop.from_numbers(numbers)))
    assert window == expected if expected else isinstance(window, Rejection)


def test_a_crop_is_taken_from_what_the_border_left() -> None:
    common = Rect(4, 2, 90, 50)
    crop = Crop.from_numbers([5])
    assert output_window(common, Rect(0, 0, 100, 60), Framing(crop=crop)) == Rect(9, 7, 80, 40)
    assert output_window(common, Rect(0, 0, 100, 60), Framing(crop=crop, border=Border.KEEP)) == Rect(5, 5, 90, 50)


@pytest.mark.parametrize("text", ["1", "2", "3", "4", "1.5", "0.5", "2.5", "1.3333", "4/3"])
def test_hr_size_is_exactly_the_scale_times_the_lr_size(text: str) -> None:
    scale = parse_scale(text)
    window = output_window(Rect(0, 0, 107, 61), Rect(0, 0, 107, 61), Framing(scale=scale))
    assert isinstance(window, Rect)
    assert output_size(window, scale) == (window.width * scale, window.height * scale)
    assert 0 <= 107 - window.width < scale.denominator


def test_a_frame_too_small_for_the_scale_is_rejected() -> None:
    assert isinstance(output_window(Rect(0, 0, 1, 60), Rect(0, 0, 100, 60), Framing(scale=Fraction(1, 2))), Rejection)


def test_an_uncut_png_lr_keeps_its_bytes(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, *thirds(), scaling(1 / 3), Framing())
    assert render_lr(pair, WriteSettings()) == (tmp_path / "lr.png").read_bytes()


def test_a_cut_lr_keeps_its_pixels(tmp_path: Path) -> None:
    lr, hr = thirds()
    pair = pair_of(tmp_path, lr, hr, scaling(1 / 3), Framing(crop=Crop.from_numbers([3, 4, 60, 50])))
    assert (decode(render_lr(pair, WriteSettings())) == lr[4:54, 3:63]).all()


def test_a_jpeg_lr_is_written_as_its_pixels(tmp_path: Path) -> None:
    lr, hr = thirds()
    pair = pair_of(tmp_path, lr, hr, scaling(1 / 3), Framing())
    packed = cv2.imencode(".jpg", lr)[1].tobytes()
    (tmp_path / "lr.png").write_bytes(packed)
    assert (decode(render_lr(pair, WriteSettings())) == decode(packed)).all()


@pytest.mark.parametrize("scale", ["1", "2", "3", "1.5", "0.5"])
def test_hr_output_lies_on_the_lr_grid(tmp_path: Path, scale: str) -> None:
    lr, hr = thirds()
    framing = Framing(scale=parse_scale(scale))
    pair = pair_of(tmp_path, lr, hr, scaling(1 / 3), framing)
    made = render_hr(pair, framing, None)
    assert frame_size(made) == output_size(pair.window, framing.scale)
    expected = cv2.resize(hr, frame_size(made), interpolation=cv2.INTER_AREA)
    assert shift(expected, made) < 0.02


def test_crop_border_leaves_no_black(tmp_path: Path) -> None:
    lr, hr = thirds()
    matrix = translation(9.4, -6.3) @ scaling(1 / 3)
    pair = pair_of(tmp_path, lr, np.maximum(hr, 40), matrix, Framing())
    assert pair.window == Rect(10, 0, 140, 93)
    assert render_hr(pair, Framing(), None).min() > 0


def test_keep_border_is_black_only_where_the_hr_has_nothing(tmp_path: Path) -> None:
    lr, hr = thirds()
    framing = Framing(border=Border.KEEP)
    made = render_hr(pair_of(tmp_path, lr, hr // 2 + 60, translation(10, 0) @ scaling(1 / 3), framing), framing, None)
    assert frame_size(made) == (300, 200)
    assert (made[:, :20] == 0).all()
    assert (made[:, 20:] > 40).all()


def test_16_bit_hr_stays_16_bit(tmp_path: Path) -> None:
    lr, hr = thirds()
    pair = pair_of(tmp_path, lr, hr.astype(np.uint16) * 257, scaling(1 / 3), Framing())
    made = render_hr(pair, Framing(), ColorTransfer.PLAIN)
    assert made.dtype == np.uint16
    assert (
        np.abs(made / 257 - render_hr(pair_of(tmp_path, lr, hr, scaling(1 / 3), Framing()), Framing(), None)).mean() < 1
    )


def test_color_transfer_is_measured_where_both_have_pixels(tmp_path: Path) -> None:
    lr, hr = thirds()
    lr = lr // 2
    lr[:, :30] = 255
    pair = pair_of(tmp_path, lr, hr[:, 90:], translation(30, 0) @ scaling(1 / 3), Framing())
    assert cv2.mean(render_hr(pair, Framing(), ColorTransfer.PLAIN)) == pytest.approx(cv2.mean(lr[:, 30:]), abs=1)


def test_a_crop_does_not_change_the_colours(tmp_path: Path) -> None:
    lr, hr = thirds()
    whole, cut = Framing(), Framing(crop=Crop.from_numbers([10, 20, 40, 30]))
    full, part = (
        render_hr(pair_of(tmp_path, lr // 2, hr, scaling(1 / 3), framing), framing, ColorTransfer.PLAIN)
        for framing in (whole, cut)
    )
    assert np.abs(part.astype(int) - full[40:100, 20:100])[2:-2, 2:-2].max() <= 1


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_edges_do_not_ring_beyond_the_source(tmp_path: Path, depth: Any) -> None:
    step = np.full((90, 120, 3), 64, depth)
    step[:, 60:] = 192
    step[30:60] = step[30:60, ::-1]
    lr = cv2.resize(cat(), (120, 90))
    framing = Framing(scale=Fraction(3))
    made = render_hr(pair_of(tmp_path, lr, step, scaling(1), framing), framing, None)
    assert (made.min(), made.max()) == (64, 192)
