"""Transparency in the files of a pair: of both or of neither, with edges of its own colours, on one background."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.output.test_render import pair_of, thirds
from twimager.errors import UnreadableImage, UsageError
from twimager.geometry import scaling, translation
from twimager.options import Alpha, Border, ColorTransfer, Format, Framing, Partial, WriteSettings
from twimager.output.render import render_hr, render_lr, rendering_bytes
from twimager.output.transparency import background, laid_out, resample_with_alpha, treatment
from twimager.pairs import VerifiedPair

THIRD, PLAIN = scaling(1 / 3), Framing()
MAGENTA = (255, 0, 255)


def disc(width: int, height: int) -> Any:
    """Alpha of a disc that is soft at its edge."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) / height
    return np.clip(255 * (0.5 - distance) * 20, 0, 255).astype(np.uint8)


def cut_out(pixels: Any, below: Any = MAGENTA) -> Any:
    """The disc of a picture, with other colours below what is transparent."""
    alpha = disc(pixels.shape[1], pixels.shape[0])
    return np.dstack([np.where(alpha[..., None] > 0, pixels, np.uint8(below)), alpha])


def flat(pixels: Any, below: Any) -> Any:
    """The disc of a picture, laid on a background."""
    alpha = disc(pixels.shape[1], pixels.shape[0])[..., None] / 255
    return np.rint(alpha * pixels + (1 - alpha) * below).astype(np.uint8)


def made(pair: VerifiedPair, write: WriteSettings, framing: Framing = PLAIN) -> tuple[Any, Any]:
    """The pixels of both files."""
    lr = cv2.imdecode(np.frombuffer(render_lr(pair, write, framing.partial), np.uint8), cv2.IMREAD_UNCHANGED)
    return lr, render_hr(pair, framing, write.color_transfer, treatment(pair, write))


def apart(lr: Any, hr: Any) -> float:
    """How many levels an LR and its HR are apart in the mean; of what is visible."""
    small = cv2.resize(hr.astype(np.float32), lr.shape[1::-1], interpolation=cv2.INTER_AREA)
    return float(abs(small - lr)[..., :3].mean())


@pytest.fixture
def both(tmp_path: Path) -> VerifiedPair:
    """A pair of which both are transparent."""
    return pair_of(tmp_path, *map(cut_out, thirds()), THIRD, PLAIN)


@pytest.mark.parametrize(
    ("sides", "kind", "given", "expected"),
    [
        ((True, True), Format.PNG, Alpha.AUTO, Alpha.KEEP), ((True, True), Format.WEBP, Alpha.AUTO, Alpha.KEEP),
        ((True, True), Format.JPG, Alpha.AUTO, Alpha.WHITE), ((True, True), Format.PNG, Alpha.BLACK, Alpha.BLACK),
        ((True, False), Format.PNG, Alpha.AUTO, Alpha.AUTO), ((False, True), Format.JPG, Alpha.AUTO, Alpha.AUTO),
        ((False, True), Format.PNG, Alpha.KEEP, Alpha.KEEP), ((False, False), Format.PNG, Alpha.KEEP, Alpha.DROP),
    ],
)  # fmt: skip
def test_what_becomes_of_transparency(
    tmp_path: Path, sides: tuple[bool, bool], kind: Format, given: Alpha, expected: Alpha
) -> None:
    pixels = [cut_out(p) if transparent else p for p, transparent in zip(thirds(), sides, strict=True)]
    pair = pair_of(tmp_path, *pixels, THIRD, PLAIN)
    assert treatment(pair, WriteSettings(format=kind, alpha=given)) is expected


def test_transparency_can_t_be_kept_in_jpg() -> None:
    with pytest.raises(UsageError, match="jpg has no transparency"):
        WriteSettings(format=Format.JPG, alpha=Alpha.KEEP)


@pytest.mark.parametrize("kind", [Format.PNG, Format.WEBP, Format.TIFF])
def test_both_keep_it_and_edges_keep_their_colours(both: VerifiedPair, kind: Format) -> None:
    lr, hr = made(both, WriteSettings(format=kind))
    assert lr.shape[2] == hr.shape[2] == 4
    up = cv2.resize(thirds()[0], hr.shape[1::-1], interpolation=cv2.INTER_CUBIC).astype(int)
    edge = (hr[..., 3] > 16) & (hr[..., 3] < 240)
    assert edge.sum() > 500
    # Neither magenta, which lies below, nor black comes into what is visible.
    assert abs(hr[..., :3].astype(int) - up)[edge].mean() < 12
    assert not hr[hr[..., 3] == 0].any()
    small = cv2.resize(hr[..., 3], lr.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert abs(small.astype(int) - lr[..., 3]).mean() < 2


def test_an_lr_that_keeps_it_keeps_its_bytes(tmp_path: Path) -> None:
    lr, hr = thirds()
    lr, hr = (np.dstack([p, np.full(p.shape[:2], 255, np.uint8)]) for p in (lr, hr))
    lr[40:60, 50:90, 3] = hr[120:180, 150:270, 3] = 0
    pair = pair_of(tmp_path, lr, hr, THIRD, PLAIN)
    assert render_lr(pair, WriteSettings()) == (tmp_path / "lr.png").read_bytes()
    dropped, _ = made(pair, WriteSettings(alpha=Alpha.DROP))
    assert (dropped == lr[..., :3]).all()


def test_an_alpha_channel_that_is_opaque_is_not_written(tmp_path: Path) -> None:
    lr, hr = thirds()
    pair = pair_of(tmp_path, np.dstack([lr, np.full(lr.shape[:2], 255, np.uint8)]), hr, THIRD, PLAIN)
    written, rendered = made(pair, WriteSettings())
    assert (written == lr).all()
    assert rendered.shape[2] == 3


@pytest.mark.parametrize(("how", "level"), [(Alpha.WHITE, 255), (Alpha.BLACK, 0)])
def test_both_lie_on_one_background(both: VerifiedPair, how: Alpha, level: int) -> None:
    for pixels in made(both, WriteSettings(alpha=how)):
        assert pixels.shape[2] == 3
        assert abs(pixels[:6, :6].astype(int) - level).max() <= 1
    assert apart(*made(both, WriteSettings(alpha=how))) < 2


def test_colours_below_are_written_where_it_is_dropped(both: VerifiedPair) -> None:
    for pixels in made(both, WriteSettings(alpha=Alpha.DROP)):
        assert (pixels[2, 2] == MAGENTA).all()


def checks(width: int, height: int) -> Any:
    squares = np.indices((height, width)).sum(axis=0) // (width // 10) % 2
    return cv2.GaussianBlur((squares[..., None] * [90, 60, 120] + 90).astype(np.uint8), (0, 0), 3)


@pytest.mark.parametrize("side", ["lr", "hr"])
@pytest.mark.parametrize("kind", ["white", "black", "checks"])
def test_one_lies_on_what_the_opaque_one_shows(tmp_path: Path, side: str, kind: str) -> None:
    lr, hr = thirds()
    below = [checks(p.shape[1], p.shape[0]) if kind == "checks" else 255 * (kind == "white") for p in (lr, hr)]
    pixels = (cut_out(lr), flat(hr, below[1])) if side == "lr" else (flat(lr, below[0]), cut_out(hr))
    written, rendered = made(pair_of(tmp_path, *pixels, THIRD, PLAIN), WriteSettings())
    assert written.shape[2] == rendered.shape[2] == 3
    assert apart(written, rendered) < 4
    if kind != "checks":
        assert (rendered[:3, :3] == below[0]).all()


def test_a_background_is_white_where_there_is_nothing_to_tell_it_by() -> None:
    assert background(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), bool), (9, 9)).tolist() == [[[1, 1, 1]]]


def test_what_is_opaque_gets_alpha_if_it_is_to_be_kept(tmp_path: Path) -> None:
    lr, hr = thirds()
    written, rendered = made(pair_of(tmp_path, lr, cut_out(hr), THIRD, PLAIN), WriteSettings(alpha=Alpha.KEEP))
    assert (written[..., 3] == 255).all()
    assert rendered[..., 3].min() == 0


@pytest.mark.parametrize("how", [Alpha.KEEP, Alpha.WHITE])
def test_beyond_a_transparent_hr_there_is_nothing(tmp_path: Path, how: Alpha) -> None:
    framing = Framing(border=Border.KEEP)
    pair = pair_of(tmp_path, *map(cut_out, thirds()), translation(12, 0) @ THIRD, framing)
    written, rendered = made(pair, WriteSettings(alpha=how), framing)
    assert written.shape[:2] == (100, 150)
    assert rendered.shape[:2] == (200, 300)
    assert (rendered[:, :60] == ([0] * 4 if how is Alpha.KEEP else [255] * 3)).all()


def test_black_is_black_in_both(both: VerifiedPair) -> None:
    framing = Framing(partial=Partial.BLACK)
    for pixels in made(both, WriteSettings(alpha=Alpha.WHITE), framing):
        assert not pixels[:4, :4].any()


def test_colours_are_those_of_what_is_visible(tmp_path: Path) -> None:
    lr, hr = thirds()
    faded = np.clip(lr * 0.5 + 60, 0, 255).astype(np.uint8)
    pair = pair_of(tmp_path, cut_out(faded, 255), cut_out(hr, 0), THIRD, PLAIN)
    written, rendered = made(pair, WriteSettings(alpha=Alpha.WHITE, color_transfer=ColorTransfer.PLAIN))
    assert apart(written, rendered) < 4


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_resampled_colours_stay_where_they_were(depth: type) -> None:
    top = np.iinfo(depth).max
    pixels = np.full((30, 30, 3), top // 2, depth)
    alpha = np.full((30, 30), top, depth)
    pixels[:, :15], alpha[:, :15] = top, 0
    made, opacity = resample_with_alpha(
        pixels, alpha, lambda p: np.asarray(cv2.resize(p, (45, 45), interpolation=cv2.INTER_LINEAR))
    )
    assert made.dtype == opacity.dtype == depth
    assert abs(made[opacity > top // 50].astype(int) - top // 2).max() <= 2
    assert not made[opacity == 0].any()
    assert laid_out(made, opacity, Alpha.BLACK, lambda _: pytest.fail("needs none")).dtype == depth


def test_more_memory_is_admitted_for_it(both: VerifiedPair, tmp_path: Path) -> None:
    plain = pair_of(tmp_path, *thirds(), THIRD, PLAIN)._replace(window=both.window)
    assert rendering_bytes(both, PLAIN, WriteSettings()) > rendering_bytes(plain, PLAIN, WriteSettings())


def test_an_image_that_is_opaque_by_now_has_changed(both: VerifiedPair, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "hr.png"), thirds()[1])
    with pytest.raises(UnreadableImage, match="changed"):
        render_hr(both, PLAIN, None)
