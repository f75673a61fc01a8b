"""Reading: upright, three channels, 8 or 16 bit, and a clear no to everything else."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import cat
from twimager.errors import UnreadableImage
from twimager.image.decode import decode, decode_gray, read_image
from twimager.image.encode import encode
from twimager.image.files import is_plain, list_files
from twimager.image.pixels import to_8_bit, to_gray
from twimager.options import Format


def encoded(pixels: Any, extension: str = ".png") -> bytes:
    return bytes(cv2.imencode(extension, pixels)[1])


def saved(image: Image.Image, kind: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def rgb() -> Image.Image:
    return Image.fromarray(cv2.cvtColor(cat(), cv2.COLOR_BGR2RGB))


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(rgb().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)
    assert np.abs(decode(turned).astype(int) - cat()).mean() < 3


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("settings", [{"quality": 95}, {"quality": 60, "progressive": True}])
def test_the_gray_of_a_jpeg_is_that_of_its_colours(mode: str, settings: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(rgb().convert(mode), "JPEG", exif=exif, **settings)
    gray = decode_gray(data)
    assert gray.shape == decode(data).shape[:2]
    assert np.abs(gray.astype(int) - to_gray(decode(data))).mean() < 0.5


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_gray_of_other_files_keeps_their_depth(depth: type) -> None:
    pixels = cat().astype(depth) * (257 if depth == np.uint16 else 1)
    assert (decode_gray(encoded(pixels)) == to_gray(pixels)).all()


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_16_bit_stays_16_bit(extension: str) -> None:
    deep = cat().astype(np.uint16) * 257
    assert decode(encoded(deep, extension)).dtype == np.uint16
    assert (decode(encoded(deep, extension)) == deep).all()


def test_every_kind_of_image_becomes_three_channels() -> None:
    gray = cv2.cvtColor(cat(), cv2.COLOR_BGR2GRAY)
    assert (decode(encoded(gray)) == gray[..., None]).all()
    assert (decode(encoded(np.dstack([cat(), np.full(gray.shape, 7, np.uint8)]))) == cat()).all()
    assert decode(saved(rgb().quantize(64), "PNG")).shape == cat().shape
    assert decode(saved(rgb().convert("CMYK"), "JPEG")).shape == cat().shape


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated_files_are_unreadable(extension: str, share: float) -> None:
    whole = encoded(cat(), extension)
    with pytest.raises(UnreadableImage):
        decode(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("data", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableImage):
        decode(data)


def test_float_pixels_are_refused_by_name() -> None:
    with pytest.raises(UnreadableImage, match="32-bit float TIFF: not supported"):
        decode(encoded(cat().astype(np.float32), ".tiff"))


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="No such file"):
        read_image(tmp_path / "gone.png")


def test_names_may_be_anything(tmp_path: Path) -> None:
    path = tmp_path / "日本 ünï — 画像.png"
    path.write_bytes(encoded(cat()))
    assert (read_image(path) == cat()).all()


def test_white_stays_white_in_8_bit() -> None:
    assert to_8_bit(np.array([[0, 257, 65535]], np.uint16)).tolist() == [[0, 1, 255]]


@pytest.mark.parametrize(
    ("kind", "name"), [(Format.PNG, "PNG"), (Format.JPG, "JPEG"), (Format.WEBP, "WEBP"), (Format.TIFF, "TIFF")]
)
def test_a_file_that_must_be_turned_or_is_of_another_format_is_not_plain(kind: Format, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert is_plain(saved(rgb(), name), kind)
    assert not is_plain(saved(rgb(), name, exif=exif), kind)
    assert not is_plain(saved(rgb(), "BMP"), kind)
    assert not is_plain(b"nothing", kind)


def test_an_animation_is_not_plain() -> None:
    frames = [rgb(), rgb().rotate(180)]
    for kind, name in ((Format.PNG, "PNG"), (Format.WEBP, "WEBP"), (Format.TIFF, "TIFF")):
        assert not is_plain(saved(frames[0], name, save_all=True, append_images=frames[1:]), kind)


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_what_is_encoded_comes_back(kind: Format, depth: type) -> None:
    pixels = cat().astype(depth) * (257 if depth == np.uint16 else 1) + depth(1)
    back = decode(encode(pixels, kind))
    deep = depth == np.uint16 and kind.has_16_bit
    assert back.dtype == (np.uint16 if deep else np.uint8)
    difference = np.abs(back.astype(int) - (pixels if deep else to_8_bit(pixels)))
    assert difference.max() == 0 if kind is not Format.JPG else difference.mean() < 3


def test_png_is_small_for_drawings_and_quick_for_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = cv2.circle(np.full((300, 400, 3), 200, np.uint8), (200, 150), 80, (90, 200, 10), -1)
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    assert len(encode(drawing, Format.PNG)) <= len(cv2.imencode(".png", drawing)[1])
    assert len(encode(noise, Format.PNG)) <= 1.01 * len(cv2.imencode(".png", noise)[1])
    used = []
    write = cv2.imencode
    monkeypatch.setattr(cv2, "imencode", lambda *how: used.append(how[2]) or write(*how))
    encode(drawing, Format.PNG)
    encode(noise, Format.PNG)
    assert [cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY in settings for settings in used] == [False, True]
    assert np.array_equal(decode(encode(drawing[:1, :1], Format.PNG)), drawing[:1, :1])


def test_quality_is_that_of_jpg() -> None:
    assert len(encode(cat(), Format.JPG, 50)) < len(encode(cat(), Format.JPG, 98)) / 2


def test_files_are_listed_in_order_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", ".hidden.png", "Thumbs.db", "sub/c.png", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_files(tmp_path, recursive=False, warn=pytest.fail) == [tmp_path / "a.png", tmp_path / "b.png"]
    assert list_files(tmp_path, recursive=True, warn=pytest.fail) == [
        tmp_path / n for n in ("a.png", "b.png", "sub/c.png")
    ]
