"""Masks of pairs: nothing differs where one is above 0, and what is black is black in both pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.output.test_render import pair_of, thirds
from twimager.geometry import Rect, scaling, translation
from twimager.image.decode import decode
from twimager.options import Border, ColorTransfer, Framing, Partial, WriteSettings, parse_scale
from twimager.output.mask import hidden, render_mask
from twimager.output.render import render_hr, render_lr
from twimager.pairs import VerifiedPair
from twimager.verify.agreement import Label
from twimager.verify.agreement_map import AgreementMap

# Of the LR's 150 x 100 pixels, those that differ.
BOX = Rect(80, 20, 40, 60)


def covered(pair: VerifiedPair, box: Rect = BOX) -> VerifiedPair:
    """A pair that differs in a box of the LR, its map half as large as what both show."""
    labels = np.zeros((100, 150), np.uint8)
    box.cut(labels)[:] = Label.DIFFER
    small = pair.common.cut(labels)[::2, ::2]
    return pair._replace(agreement=AgreementMap.of(np.ascontiguousarray(small), pair.common))


@pytest.mark.parametrize("size", [(300, 200), (150, 100), (451, 77), (31, 40), (7, 5), (1, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_differs_where_a_mask_is_above_0(size: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random((50, 75)) < 0.01).astype(np.uint8)
    window = Rect(20, 10, 90, 60)
    mask = AgreementMap.of(labels, Rect(0, 0, 150, 100)).soft_mask(window, size)
    assert mask.shape == size[::-1]
    # Where each pixel of the map begins and ends on the grid.
    x, y = (
        (2 * np.arange(count + 1) - start) * length / extent
        for count, start, extent, length in ((75, 20, 90, size[0]), (50, 10, 60, size[1]))
    )
    for row, column in np.argwhere(labels):
        part = mask[
            max(0, int(y[row])) : max(0, int(np.ceil(y[row + 1]))),
            max(0, int(x[column])) : max(0, int(np.ceil(x[column + 1]))),
        ]
        assert not part.any()


def test_a_mask_has_soft_edges_near_what_differs(tmp_path: Path) -> None:
    pair = covered(pair_of(tmp_path, *thirds(), scaling(1 / 3), Framing()))
    mask = render_mask(pair, (300, 200))
    assert 0 < ((mask > 0) & (mask < 255)).mean() < 0.03
    assert mask[:, :150].min() == 255
    assert (mask == 0).mean() == pytest.approx(BOX.width * BOX.height / 15000, rel=0.2)


def test_what_the_hr_does_not_cover_is_masked(tmp_path: Path) -> None:
    lr, hr = thirds()
    framing = Framing(border=Border.KEEP)
    pair = pair_of(tmp_path, lr, hr, translation(10, 0) @ scaling(1 / 3), framing)
    assert pair.common == Rect(10, 0, 140, 100)
    for one, masked in ((pair, 0), (covered(pair), BOX.width * BOX.height)):
        mask = render_mask(one, (300, 200))
        assert mask[:, :20].max() == 0
        assert mask[:, 20:100].min() == 255
        assert ((mask[:, 20:] == 0).sum() > 0) == (masked > 0)


def test_nothing_is_left_of_a_mask_where_both_have_nothing_in_common(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, *thirds(), scaling(1 / 3), Framing())
    assert render_mask(pair._replace(common=Rect(500, 0, 20, 20)), (30, 20)).max() == 0


@pytest.mark.parametrize("scale", ["1", "1.5", "2"])
def test_black_is_black_in_both_pictures_and_nowhere_else(tmp_path: Path, scale: str) -> None:
    lr, hr = (np.maximum(picture, 1) for picture in thirds())
    framing = Framing(scale=parse_scale(scale), partial=Partial.BLACK)
    pair = covered(pair_of(tmp_path, lr, hr, scaling(1 / 3), framing))
    black = hidden(pair)
    written = decode(render_lr(pair, WriteSettings(), Partial.BLACK))
    assert BOX.cut(black).all()
    assert ((written == 0).all(axis=2) == black).all()
    assert (written[~black] == lr[~black]).all()
    made = render_hr(pair, framing, None)
    nearest = cv2.resize(black.astype(np.uint8), made.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    assert ((made == 0).all(axis=2) == nearest).all()


def test_an_lr_of_which_nothing_differs_keeps_its_bytes(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, *thirds(), scaling(1 / 3), Framing())
    assert render_lr(pair, WriteSettings(), Partial.BLACK) == (tmp_path / "lr.png").read_bytes()


@pytest.mark.parametrize("how", ColorTransfer)
def test_colours_are_those_of_what_agrees(tmp_path: Path, how: ColorTransfer) -> None:
    lr, hr = thirds()
    captioned = lr.copy()
    BOX.cut(captioned)[:] = (255, 0, 0)
    pair = pair_of(tmp_path, captioned, hr, scaling(1 / 3), Framing())
    made = render_hr(covered(pair), Framing(), how)
    plain = cv2.resize(lr, made.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert abs(made.astype(int) - plain).mean() < 5
    assert abs(render_hr(pair, Framing(), how).astype(int) - plain).mean() > 15


def test_colours_are_those_of_all_where_nothing_agrees(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, *thirds(), scaling(1 / 3), Framing())
    nowhere = covered(pair, Rect(0, 0, 150, 100))
    made = [render_hr(one, Framing(), ColorTransfer.PLAIN) for one in (pair, nowhere)]
    assert (made[0] == made[1]).all()


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("side", [0, 1])
def test_what_is_not_opaque_is_masked(tmp_path: Path, side: int, depth: type) -> None:
    both = list(thirds())
    top = np.iinfo(depth).max
    pixels = both[side].astype(depth) * depth(top // 255)
    alpha = np.full(pixels.shape[:2], top, depth)
    alpha[: len(alpha) // 2, : pixels.shape[1] // 4] = top // 2
    both[side] = np.dstack([pixels, alpha])
    mask = render_mask(pair_of(tmp_path, *both, scaling(1 / 3), Framing()), (300, 200))
    assert mask[:100, :75].max() == 0
    assert mask[103:].min() == mask[:, 79:].min() == 255


def test_what_is_opaque_is_not_masked(tmp_path: Path) -> None:
    lr, hr = thirds()
    pair = pair_of(tmp_path, np.dstack([lr, np.full(lr.shape[:2], 255, np.uint8)]), hr, scaling(1 / 3), Framing())
    assert pair.proposal.lr.opaque is None
    assert render_mask(pair, (300, 200)).min() == 255
