"""16-bit files of which fewer bits are in use: found, scaled where they are decoded, written as they are or so."""

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.image.test_files import encoded
from tests.support.client import served
from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.icc import adobe_rgb
from tests.support.page import Parsed
from tests.support.pictures import cat
from tests.support.report import report_of
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.image import decode as decoding
from twimager.image.decode import decode, decode_gray, decode_with_bits, decoded, decoded_for_analysis, in_memory
from twimager.image.depth import at_depth
from twimager.image.headers import parse
from twimager.image.pixels import to_8_bit


def stored(pixels: Any, bits: int) -> Any:
    """Return 8-bit pixels as a device of so many bits has them, noise in what 8 bits do not hold."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, pixels.shape)
    return np.clip(np.rint((pixels + noise) / 255 * (2**bits - 1)), 0, 2**bits - 1).astype(np.uint16)


def with_sbit(png: bytes, bits: int) -> bytes:
    """Put an sBIT chunk after the header of a PNG in colour."""
    chunk = b"sBIT" + bytes([bits] * 3)
    return png[:33] + struct.pack(">I", 3) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


def with_tag(tiff: bytes, tag: int, value: int) -> bytes:
    """Put another tag, a value for each channel, into the directory of a TIFF in colour, which is moved to the end."""
    start = struct.unpack_from("<I", tiff, 4)[0]
    count = struct.unpack_from("<H", tiff, start)[0]
    entries = [tiff[start + 2 + 12 * i :][:12] for i in range(count)] + [struct.pack("<HHII", tag, 3, 3, len(tiff))]
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    directory = struct.pack("<H", count + 1) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff) + 6) + tiff[8:] + struct.pack("<3H", *[value] * 3) + directory


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("extension", [".png", ".tiff", ".pnm"])
@pytest.mark.parametrize("is_gray", [False, True])
def test_what_is_in_use_is_brought_to_full_range(bits: int, extension: str, is_gray: bool) -> None:
    pixels = cat()[..., 1] if is_gray else cat()
    deep = stored(pixels, bits)
    found = decode_with_bits(encoded(deep, extension))
    assert found.bits == bits
    assert (np.abs(to_8_bit(found.pixels).astype(int) - (pixels[..., None] if is_gray else pixels)) <= 1).all()
    back = at_depth(found.pixels, None, bits)
    assert (back == (deep[..., None] if is_gray else deep)).all()


@pytest.mark.parametrize("shift", [0, 4])
def test_values_of_full_range_stay_as_they_are(shift: int) -> None:
    deep = stored(cat(), 16) >> shift << shift
    found = decode_with_bits(encoded(deep))
    assert found.bits == 16
    assert (found.pixels == deep).all()


@pytest.mark.parametrize("stretch", [256, 257])
def test_8_bit_that_was_stretched_may_be_dark(stretch: int) -> None:
    dark = (cat() // 20).astype(np.uint16) * stretch
    assert dark.max() < 4096
    assert (decode(encoded(dark)) == dark).all()


@pytest.mark.parametrize(
    ("made", "stated", "bits"), [(12, 14, 14), (12, 16, 16), (12, 12, 12), (12, 10, 16), (9, 9, 9), (9, 4, 10)]
)
def test_a_png_says_how_many_bits_are_significant(made: int, stated: int, bits: int) -> None:
    assert decode_with_bits(with_sbit(encoded(stored(cat(), made)), stated)).bits == bits


@pytest.mark.parametrize("tag", [281, 341])
@pytest.mark.parametrize(("stated", "bits"), [(65535, 16), (16000, 14), (4095, 12), (255, 12)])
def test_a_tiff_says_its_largest_value(tag: int, stated: int, bits: int) -> None:
    data = with_tag(encoded(stored(cat(), 12), ".tiff"), tag, stated)
    assert decode_with_bits(data).bits == bits


def test_a_netpbm_file_says_what_white_is() -> None:
    values = stored(cat() // 3, 12)[..., 0]
    height, width = values.shape
    for head in (
        b"P5\n# a comment\n%d %d\n4095\n" % (width, height),
        b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 1\nMAXVAL 4095\nTUPLTYPE GRAYSCALE\nENDHDR\n" % (width, height),
    ):
        assert decode_with_bits(head + values.astype(">u2").tobytes()).bits == 12


def test_a_file_that_is_odd_where_it_says_so_goes_by_its_values() -> None:
    values = stored(cat(), 12)
    data = encoded(values)
    odd = with_sbit(data, 12).replace(b"\0\0\0\3sBIT", b"\0\0\0\0sBIT")
    assert decoding.full_range(values, odd).bits == 12
    assert decoding.full_range(values, b"P5").bits == 12
    assert decoding.full_range(values, b"II*\0").bits == 12
    assert decoding.full_range(np.zeros((8, 8, 3), np.uint16)).bits == 16


def test_a_depth_is_what_is_asked_for() -> None:
    deep = decode(encoded(stored(cat(), 12)))
    assert (at_depth(deep, 8, 12) == to_8_bit(deep)).all()
    assert at_depth(deep, 16, 12) is deep
    assert (at_depth(cat(), 16, 8) == cat().astype(np.uint16) * 257).all()
    assert at_depth(cat(), None, 8).dtype == np.uint8


def test_a_large_picture_is_analysed_in_all_its_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LARGE", 1000)
    for bits, depth in ((12, np.uint16), (16, np.uint8)):
        cv2.imwrite(str(tmp_path / "large.png"), stored(cat(), bits))
        with decoded_for_analysis(tmp_path / "large.png", srgb=False) as found:
            assert (found.bits, found.depth, found.pixels.dtype) == (bits, 2, depth)
    assert decode_gray(encoded(cat())).dtype == np.uint8


def test_arrays_are_scaled_too_and_left_as_they_were() -> None:
    deep = stored(cat(), 12)
    before = deep.copy()
    with in_memory(deep) as path, decoded(path, srgb=True) as pixels:
        assert pixels.max() > 50000
    assert (deep == before).all()


def deepened(folders: Folders, bits: int = 12) -> None:
    """Store all HRs in so many bits of 16."""
    for path in folders.hr.iterdir():
        cv2.imwrite(str(path), stored(cv2.imread(str(path)), bits))


def deepened_lrs(folders: Folders) -> None:
    for path in folders.lr.iterdir():
        cv2.imwrite(str(path), stored(cv2.imread(str(path)), 12))


def outputs(folders: Folders) -> dict[str, Any]:
    return {
        side: cv2.imread(str(folders.dest / side / "h0.png"), cv2.IMREAD_UNCHANGED).astype(float)
        for side in ("LR", "HR")
    }


@pytest.fixture
def plain(run: Run, folders: Folders) -> Any:
    """What an HR of 8 bit comes to."""
    run(*folders.flags)
    made = outputs(folders)["HR"]
    for path in sorted(folders.dest.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folders.dest.rmdir()
    return made


def test_pairs_are_written_as_both_sources_are(run: Run, folders: Folders, plain: Any) -> None:
    deepened(folders)
    deepened_lrs(folders)
    outcome = run(*folders.flags, "--report")
    assert outcome.code == 0
    assert "HR: 2 images use 12 of their 16 bits (" in outcome.err
    made = outputs(folders)
    assert np.abs(made["HR"] / 4095 * 255 - plain).mean() < 0.5
    assert made["LR"].max() <= 4095
    notes = report_of(folders.dest)["notes"]
    assert [note["note"] for note in notes] == ["12 of 16 bits are in use"] * 4


@pytest.mark.parametrize("bits", [12, 16])
def test_of_sources_of_unlike_depth_the_deeper_one_counts(run: Run, folders: Folders, plain: Any, bits: int) -> None:
    deepened(folders, bits)
    run(*folders.flags)
    made = outputs(folders)
    assert np.abs(made["HR"] / 257 - plain).mean() < 0.5
    assert (made["LR"] == cv2.imread(str(folders.lr / "l0.png")) * 257.0).all()


@pytest.mark.parametrize("depth", [8, 16])
def test_both_sides_are_of_one_depth(run: Run, folders: Folders, plain: Any, depth: int) -> None:
    deepened(folders)
    gray = cv2.imread(str(folders.lr / "l1.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folders.lr / "l1.png"), gray)
    run(*folders.flags, "--depth", depth, "--color_transfer")
    for path in folders.dest.glob("*/*.png"):
        header = parse(path.read_bytes())
        assert (header.channels, 8 * header.depth) == (3, depth)
    made = outputs(folders)
    assert np.abs(made["HR"] / (257 if depth == 16 else 1) - plain).mean() < 1
    lr = cv2.imread(str(folders.lr / "l0.png"))
    assert (made["LR"] == lr * (257.0 if depth == 16 else 1.0)).all()


def test_formats_of_8_bit_hold_the_full_range(run: Run, folders: Folders, plain: Any) -> None:
    deepened(folders)
    run(*folders.flags, "--format", "webp")
    assert np.abs(cv2.imread(str(folders.dest / "HR" / "h0.webp")) - plain).mean() < 0.5
    assert run(*folders.flags, "--format", "webp", "--depth", 16).code == 2


def test_a_cut_lr_keeps_its_values(run: Run, folders: Folders) -> None:
    deepened(folders)
    lr = stored(cv2.imread(str(folders.lr / "l0.png")), 12)
    deepened_lrs(folders)
    run(*folders.flags, "--crop", 10)
    assert (outputs(folders)["LR"] == lr[10:-10, 10:-10]).all()


def test_profiles_are_of_full_range(tmp_path: Path) -> None:
    shallow, deep = tmp_path / "8.png", tmp_path / "12.png"
    for path, pixels in ((shallow, cat()), (deep, stored(cat(), 12))):
        png, profile = encoded(pixels), zlib.compress(adobe_rgb())
        chunk = b"iCCP" + b"profile\0\0" + profile
        head = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(png[:33] + head + png[33:])
    with decoded(shallow, srgb=True) as expected, decoded(deep, srgb=True) as found:
        assert np.abs(expected.astype(int) - cat()).mean() > 2
        assert np.abs(to_8_bit(found).astype(int) - expected).mean() < 1


def test_fingerprints_are_those_of_the_same_picture_in_8_bit(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "8.png"), cat())
    cv2.imwrite(str(tmp_path / "12.png"), stored(cat(), 12))
    shallow, deep = (fingerprint(tmp_path / name, LIGHT_HR) for name in ("8.png", "12.png"))
    assert shallow.hashes == deep.hashes
    assert np.abs(shallow.thumbnail.astype(int) - deep.thumbnail).max() <= 1
    assert (shallow.is_dim, deep.is_dim, deep.bits) == (False, True, 12)


def test_pages_show_what_a_browser_would_show_nearly_black(run: Run, folders: Folders) -> None:
    deepened(folders)
    deepened_lrs(folders)
    cv2.imwrite(str(folders.hr / "alone.png"), stored(np.ascontiguousarray(cat()[:, ::-1])[50:250, 100:300], 12))
    run(*folders.flags, "--report", "--no_mirror")
    page = Parsed((folders.dest / "report.html").read_bytes()).data
    for link in (*page["pairs"][0]["images"], page["rejected"][0]["image"]):
        assert link.startswith("data:image/jpeg;base64,")
    with served(folders.dest / "report.json") as tab:
        data = tab.image(tab.show()["pairs"][0]["images"][1])
    assert data
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    written = outputs(folders)["HR"]
    assert shown.dtype == np.uint8
    assert np.abs(shown - written / 4095 * 255).max() <= 1


def test_a_browser_gets_16_bit_of_full_range_as_they_are(run: Run, folders: Folders) -> None:
    deepened(folders, 16)
    run(*folders.flags, "--report")
    assert Parsed((folders.dest / "report.html").read_bytes()).data["pairs"][0]["images"][1].endswith(".png")
    with served(folders.dest / "report.json") as tab:
        data = tab.image(tab.show()["pairs"][0]["images"][1])
    assert data == (folders.dest / "HR" / "h0.png").read_bytes()


def test_a_page_holds_few_copies_and_none_of_what_is_gone(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    deepened(folders)
    run(*folders.flags, "--report")
    (folders.dest / "HR" / "h0.png").unlink()
    monkeypatch.setattr("twimager.report.page.EMBEDDED", 1)
    run("gallery", folders.dest / "report.json")
    page = Parsed((folders.dest / "report.html").read_bytes()).data
    assert all(not link.startswith("data:") for pair in page["pairs"] for link in pair["images"])
