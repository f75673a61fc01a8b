"""Alpha is read from every format that has it, upright and with the colours as they were; opaque files have none."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, features

from tests.support.pictures import cat
from twimager.image import headers
from twimager.image.decode import decode, decode_with_alpha, decoded_for_analysis
from twimager.image.decoders import decoders
from twimager.image.files import ORIENTATION
from twimager.image.headers import Header
from twimager.image.opacity import is_opaque, straight

SIDES = 40, 60
COLORS = np.ascontiguousarray(cat()[100:140, 100:160])
ALPHA = np.tile(np.linspace(255, 60, 60).astype(np.uint8), (40, 1))
ALPHA[:9] = 0
BGRA = np.dstack([COLORS, ALPHA])
OPAQUE = np.dstack([COLORS, np.full(SIDES, 255, np.uint8)])
GRAY = cv2.cvtColor(COLORS, cv2.COLOR_BGR2GRAY)
TURN = 6


def by_pillow(pixels: Any, kind: str, **settings: Any) -> bytes:
    file = BytesIO()
    order = [0, 1] if pixels.shape[2] == 2 else [2, 1, 0, 3]
    Image.fromarray(np.ascontiguousarray(pixels[..., order])).save(file, kind, **settings)
    return file.getvalue()


def by_opencv(pixels: Any, kind: str) -> bytes:
    return bytes(cv2.imencode(kind, pixels)[1])


def tiff(pixels: Any, extra: str) -> bytes:
    file = BytesIO()
    color = pixels.shape[2] == 4
    order = [2, 1, 0, 3] if color else [0, 1]
    kind = "rgb" if color else "minisblack"
    tifffile.imwrite(file, pixels[..., order], photometric=kind, planarconfig="contig", extrasamples=[extra])
    return file.getvalue()


def multiplied(pixels: Any) -> Any:
    """Colours as they are stored with alpha that is associated."""
    top = np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:]
    return np.concatenate([np.rint(pixels[..., :-1] * (alpha / top)).astype(pixels.dtype), alpha], axis=-1)


def turned() -> Any:
    exif = Image.Exif()
    exif[ORIENTATION] = TURN
    return exif


DEEP = BGRA.astype(np.uint16) * 257
WITH_GRAY = np.dstack([GRAY, ALPHA])
EXACT = {"lossless": True, "exact": True}
# The file, its alpha by OpenCV's pixels, and by how many levels colours may be off where there is any alpha.
FILES: dict[str, tuple[Callable[[], bytes], Any, Any, float]] = {
    "png": (lambda: by_pillow(BGRA, "PNG"), COLORS, ALPHA, 0),
    "png, 16 bit": (lambda: by_opencv(DEEP, ".png"), DEEP[..., :3], DEEP[..., 3], 0),
    "png, gray": (lambda: by_pillow(WITH_GRAY, "PNG"), cv2.merge([GRAY] * 3), ALPHA, 0),
    "png, turned": (lambda: by_pillow(BGRA, "PNG", exif=turned()), np.rot90(COLORS, -1), np.rot90(ALPHA, -1), 0),
    "webp": (lambda: by_pillow(BGRA, "WEBP", **EXACT), COLORS, ALPHA, 0),
    "webp, lossy": (lambda: by_pillow(BGRA, "WEBP", quality=95), COLORS, ALPHA, 60),
    "webp, turned": (
        lambda: by_pillow(BGRA, "WEBP", exif=turned(), **EXACT), np.rot90(COLORS, -1), np.rot90(ALPHA, -1), 0,
    ),
    "tiff": (lambda: tiff(BGRA, "unassalpha"), COLORS, ALPHA, 3),
    "tiff, multiplied": (lambda: tiff(multiplied(BGRA), "assocalpha"), COLORS, ALPHA, 3),
    "tiff, 16 bit": (lambda: tiff(DEEP, "unassalpha"), DEEP[..., :3], DEEP[..., 3], 0),
    "tiff, 16 bit, multiplied": (lambda: tiff(multiplied(DEEP), "assocalpha"), DEEP[..., :3], DEEP[..., 3], 3),
    "tiff, by OpenCV": (lambda: by_opencv(BGRA, ".tiff"), COLORS, ALPHA, 0),
    "tiff, turned": (lambda: by_pillow(BGRA, "TIFF", exif=turned()), np.rot90(COLORS, -1), np.rot90(ALPHA, -1), 3),
    "tiff, gray": (lambda: tiff(WITH_GRAY, "unassalpha"), cv2.merge([GRAY] * 3), ALPHA, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_alpha_is_read_and_colours_are_as_they_were(name: str) -> None:
    make, colors, alpha, tolerance = FILES[name]
    data = make()
    pixels, _, found = decode_with_alpha(data)
    assert headers.parse(data).has_alpha
    assert pixels.dtype == colors.dtype
    assert found is not None
    assert (found == alpha).all()
    seen = alpha > 0
    assert abs(pixels[seen].astype(int) - colors[seen]).max() <= tolerance


@pytest.mark.parametrize("kind", ["JPEG2000", "AVIF"])
def test_the_decoder_tells_of_alpha_where_headers_do_not(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes none")
    found = [decode_with_alpha(by_pillow(pixels, kind, quality=100)) for pixels in (BGRA, OPAQUE)]
    assert found[1].alpha is None
    assert found[0].alpha is not None
    assert abs(found[0].alpha.astype(int) - ALPHA).max() <= 3
    assert abs(found[1].pixels.astype(int) - COLORS).max() <= 12


@pytest.mark.parametrize("kind", ["palette", "palette of alphas", "gray key", "color key", "gif"])
def test_transparent_colours_are_read(kind: str) -> None:
    stripes = np.repeat(np.arange(40, dtype=np.uint8)[:, None] // 20, 60, axis=1)
    image, file = Image.fromarray(stripes, "P"), BytesIO()
    image.putpalette([10, 20, 30, 200, 210, 220])
    settings: dict[str, Any] = {"transparency": bytes([0, 255]) if kind == "palette of alphas" else 0}
    if kind == "gray key":
        image = Image.fromarray(stripes)
    elif kind == "color key":
        image, settings = image.convert("RGB"), {"transparency": (10, 20, 30)}
    image.save(file, "GIF" if kind == "gif" else "PNG", **settings)
    pixels, _, alpha = decode_with_alpha(file.getvalue())
    assert alpha is not None
    assert not alpha[:20].any()
    assert (alpha[20:] == 255).all()
    assert (pixels == decode(file.getvalue())).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "JPEG"])
def test_what_is_opaque_has_no_alpha(kind: str) -> None:
    data = by_opencv(COLORS, ".jpg") if kind == "JPEG" else by_pillow(BGRA if kind == "BMP" else OPAQUE, kind)
    assert headers.parse(data).has_alpha == (kind in ("PNG", "TIFF"))  # WebP says so only if it is used
    pixels, _, alpha = decode_with_alpha(data)
    assert alpha is None
    assert (pixels == decode(data)).all()


def test_what_pillow_can_t_read_is_opaque() -> None:
    data = tiff(np.dstack([GRAY, ALPHA]).astype(np.uint16) * 257, "unassalpha")
    pixels, _, alpha = decode_with_alpha(data)
    assert alpha is None
    assert (pixels == decode(data)).all()


def test_analysis_gets_the_alpha_in_the_same_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(by_pillow(BGRA, "PNG"))
    monkeypatch.setattr(decoders, "decode", None)
    with decoded_for_analysis(tmp_path / "a.png", srgb=False) as found:
        assert (found.pixels == GRAY).all()
        assert found.alpha is not None
        assert (found.alpha == ALPHA).all()


@pytest.mark.parametrize("most", [255, 128, 1])
def test_what_is_as_opaque_as_any_is_picture(most: int) -> None:
    alpha = np.array([[0, most // 2, most]], np.uint8)
    assert is_opaque(alpha).tolist() == [[False, False, True]]
    assert not is_opaque(np.zeros((2, 2), np.uint8)).any()


def test_colours_are_as_they_were_before_they_were_multiplied() -> None:
    pixels = np.array([[[100, 50, 0], [100, 50, 0], [9, 9, 9]]], np.uint8)
    assert straight(pixels, np.array([[255, 128, 0]], np.uint8)).tolist() == [[[100, 50, 0], [199, 100, 0], [255] * 3]]


def test_headers_tell_channels() -> None:
    made = {
        name: headers.parse(by_opencv(pixels, name)).channels
        for name, pixels in ((".png", GRAY), (".jpg", GRAY), (".bmp", COLORS), (".webp", COLORS), (".tiff", GRAY))
    }
    assert made == {".png": 1, ".jpg": 1, ".bmp": 3, ".webp": 3, ".tiff": 1}
    assert not Header((1, 1)).has_alpha
