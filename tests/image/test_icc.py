"""Colour profiles are followed, in 8 and 16 bit, and left alone on demand."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.icc import CURVES, adobe_rgb
from tests.support.pictures import cat
from twimager.image.icc import embedded_profile, to_srgb


def file_with(profile: bytes, kind: str = "PNG") -> bytes:
    stream = BytesIO()
    Image.fromarray(cat()[..., ::-1]).save(stream, kind, icc_profile=profile)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_profiles_are_found_in_every_format(kind: str) -> None:
    assert embedded_profile(file_with(adobe_rgb(), kind)) == adobe_rgb()


def test_profiles_are_found_in_16_bit_files() -> None:
    plain = cv2.imencode(".png", cat().astype(np.uint16) * 257)[1].tobytes()
    chunk = b"iCCPtest\0\0" + zlib.compress(adobe_rgb())
    header = len(b"\x89PNG\r\n\x1a\n") + 25
    length, check = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    assert embedded_profile(plain[:header] + length + chunk + check + plain[header:]) == adobe_rgb()


def test_srgb_no_profile_and_damaged_ones_change_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    gray = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (srgb, gray, b"no profile at all", adobe_rgb()[:200]):
        assert embedded_profile(file_with(profile)) is None
    assert embedded_profile(cv2.imencode(".png", cat())[1].tobytes()) is None
    assert embedded_profile(b"iCCP and nothing else") is None


@pytest.mark.parametrize("curve", CURVES)
def test_a_wide_gamut_is_brought_to_srgb(curve: str) -> None:
    converted = to_srgb(cat(), adobe_rgb(curve))
    b, g, r = (cat()[..., channel].astype(int) for channel in range(3))
    reddish = (r > g + 40) & (r > b + 40) & (r < 200)
    assert reddish.sum() > 500
    assert (converted[..., 2].astype(int) - r)[reddish].mean() > 5
    neutral = np.full((4, 4, 3), 128, np.uint8)
    assert np.abs(to_srgb(neutral, adobe_rgb(curve)).astype(int) - 128).max() <= 2


@pytest.mark.parametrize("curve", CURVES)
def test_16_bit_is_converted_as_8_bit_is_but_finer(curve: str) -> None:
    deep = to_srgb(cat().astype(np.uint16) * 257, adobe_rgb(curve))
    assert deep.dtype == np.uint16
    difference = np.abs(deep / 257 - to_srgb(cat(), adobe_rgb(curve)))
    assert np.percentile(difference, 99) < 1.5
    ramp = np.repeat(np.arange(20000, 21000, dtype=np.uint16)[None, :, None], 3, axis=2)
    assert len(np.unique(to_srgb(ramp, adobe_rgb(curve))[0, :, 1])) > 800


def test_the_hr_is_written_in_srgb_or_as_it_was(run: Run, folders: Folders) -> None:
    (folders.hr / "h0.png").unlink()
    source: Path = folders.hr / "h0.tiff"
    hr = cat()[:300, :450]
    Image.fromarray(hr[..., ::-1]).save(source, icc_profile=adobe_rgb())
    for flags, expected in (([], to_srgb(hr, adobe_rgb())), (["--keep_icc"], hr)):
        dest = folders.dest.with_name("kept" if flags else "converted")
        assert run(*folders.flags[:5], dest, "--scale", 3, *flags).code == 0
        written = cv2.imread(str(dest / "HR/h0.png"))
        assert np.abs(written.astype(int) - expected[: written.shape[0], : written.shape[1]]).mean() < 1
