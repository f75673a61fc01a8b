"""Files as they come from the web: nothing that they hold ends or stops a run."""

from __future__ import annotations

import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import hostile
from tests.support.command import Run
from tests.support.folders import Folders, contents
from tests.support.report import report_of
from twimager.errors import UnreadableImage, UnsupportedFormat
from twimager.image import headers, icc
from twimager.image.decode import decode
from twimager.image.decoders import Decoders
from twimager.image.files import is_animated, is_plain, read_bytes
from twimager.image.headers import LIMIT_VARIABLE
from twimager.options import MAX_PIXELS, Format

SMALL = {
    kind: (hostile.encoded(f".{kind.split('_')[0]}"), *(hostile.saved(name, **how) for name, how in made))
    for kind, made in {
        "png": [("PNG", {"pictures": 3}), ("PNG", {"optimize": True})],
        "jpg": [("JPEG", {"progressive": True}), ("JPEG", {"quality": 30, "comment": b"x" * 99})],
        "webp": [("WEBP", {"lossless": True}), ("WEBP", {"pictures": 2}), ("WEBP", {"exif": b"Exif\0\0x"})],
        "tiff": [("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"pictures": 2}), ("TIFF", {"compression": "jpeg"})],
    }.items()
}


@pytest.mark.parametrize("name", hostile.damaged())
def test_what_is_damaged_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(UnreadableImage, match=r"\w+"):
        decode(hostile.damaged()[name])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bomb.png", f"100000 x 100000 pixels; --max_pixels {MAX_PIXELS} is the limit"),
        ("bomb.jpg", "60000 x 60000 pixels; --max_pixels"),
        ("bomb.bmp", "60000 x 60000 pixels; --max_pixels"),
        ("bomb.gif", "60000 x 60000 pixels; --max_pixels"),
        ("text.ppm", "--max_pixels"),
        ("hollow.png", "can't hold 12000 x 12000 pixels"),
        ("hollow.jpg", "can't hold 10000 x 12000 pixels"),
        ("hollow.bmp", "can't hold 3000 x 3000 pixels"),
        ("greedy.png", "cut short: a chunk of 1073741823 bytes is announced"),
        ("greedy_text.png", "cut short: a chunk of 1073741823 bytes is announced"),
        ("empty.png", "empty file"),
        ("liar.png", "not an image of a format that can be read"),
    ],
)
def test_the_reason_is_the_true_one(name: str, words: str) -> None:
    with pytest.raises(UnreadableImage, match=words):
        decode(hostile.damaged()[name])


def test_everyday_files_are_decoded_here_and_others_apart() -> None:
    everyday = [hostile.encoded(f".{kind}") for kind in ("png", "jpg", "webp", "bmp", "tiff")]
    everyday += [hostile.saved("JPEG", progressive=True), hostile.saved("TIFF", compression="tiff_lzw")]
    assert all(headers.parse(data).everyday for data in everyday)
    others = [hostile.saved("GIF"), hostile.saved("PNG", 2), hostile.saved("TIFF", 2), hostile.encoded(".jp2")]
    assert not any(headers.parse(data).everyday for data in others)
    assert all(decode(data).ndim == 3 for data in others)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_pictures_the_first_is_read(kind: str, tmp_path: Path) -> None:
    lossless = {"lossless": True} if kind == "WEBP" else {}
    several, one = hostile.saved(kind, 3, **lossless), hostile.saved(kind, 1, **lossless)
    assert (decode(several) == decode(one)).all()
    for data, moving in ((several, True), (one, False), (several[:30], kind == "WEBP")):
        (tmp_path / "file").write_bytes(data)
        assert is_animated(tmp_path / "file") is moving


def test_the_limit_is_an_option(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, str(MAX_PIXELS))
    outcome = run(*folders.flags, "--max_pixels", 450 * 300, "--report")
    assert "h1.png: unreadable: 600 x 399 pixels; --max_pixels 135000 is the limit" in outcome.err
    assert [Path(pair["hr"]).name for pair in report_of(folders.dest)["pairs"]] == ["h0.png"]


def test_what_is_no_image_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "film.mkv").open("wb") as file:
        file.write(b"\x1a\x45\xdf\xa3")
        file.truncate(1 << 40)
    with pytest.raises(UnsupportedFormat):
        read_bytes(tmp_path / "film.mkv")
    with (tmp_path / "film.png").open("wb") as file:
        file.write(hostile.PNG)
        file.truncate(1 << 40)
    with pytest.raises(UnreadableImage, match="1099511627776 bytes"):
        read_bytes(tmp_path / "film.png")


def decoders_that(does: str, timeout: float = 5) -> Decoders:
    """Children that do as they should but for what they do with an image that begins with `bad`."""
    program = f"""
        import os, time, sys
        from twimager.image import decoder_process
        def answer(data, flags, before=decoder_process.answer):
            if data.startswith(b"bad"):
                {does}
            return before(data, flags)
        decoder_process.answer = answer
        decoder_process.serve()
    """
    return Decoders((sys.executable, "-c", textwrap.dedent(program)), timeout)


@pytest.mark.parametrize(
    "does",
    [
        "os._exit(0)",
        "raise ValueError",
        *(pytest.param(end, marks=pytest.mark.slow) for end in ("os.abort()", "os.kill(os.getpid(), 9)")),
    ],
)
def test_a_decoder_that_crashes_costs_one_file(does: str) -> None:
    decoders = decoders_that(does)
    for _ in range(2):
        with pytest.raises(UnreadableImage, match="its decoder crashed"):
            decoders.decode(b"bad")
        assert decoders.decode(hostile.encoded(".png")).shape == (48, 64, 3)
    decoders.close()


def test_a_crash_that_another_image_has_prepared_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "first").touch()
    decoders = decoders_that(
        f"import pathlib; mark = pathlib.Path({str(tmp_path / 'first')!r}); data = data[3:]\n"
        "                if mark.exists(): mark.unlink(); os.abort()"
    )
    assert decoders.decode(b"bad" + hostile.encoded(".png")).shape == (48, 64, 3)
    decoders.close()


@pytest.mark.parametrize("does", ["time.sleep(60)", pytest.param("while True: pass", marks=pytest.mark.slow)])
def test_a_decoder_that_hangs_costs_one_file(does: str) -> None:
    decoders, started = decoders_that(does, timeout=1), time.monotonic()
    with pytest.raises(UnreadableImage, match="decoding takes longer than 1 s"):
        decoders.decode(b"bad")
    assert time.monotonic() - started < 30
    assert decoders.decode(hostile.encoded(".png")).shape == (48, 64, 3)
    decoders.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited where /proc tells how much is taken")
def test_a_decoder_that_takes_too_much_memory_costs_one_file() -> None:
    decoders = decoders_that("decoder_process.np.ones(200_000_000, float)")
    with pytest.raises(UnreadableImage, match=r"crashed|memory"):
        decoders.decode(b"bad")
    decoders.close()


def test_without_a_process_to_decode_in_the_file_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="no process to decode it"):
        Decoders(("/no/such/program",)).decode(b"")


def test_a_folder_of_bad_files_loses_no_pair(run: Run, folders: Folders) -> None:
    plain = folders.dest.with_name("plain")
    assert run(*folders.flags[:4], "--dest", plain, "--report").code == 0
    for folder in (folders.lr, folders.hr):
        for name, data in hostile.damaged().items():
            (folder / name).write_bytes(data)
    outcome = run(*folders.flags, "--report")
    assert outcome.code == 3
    bad = 2 * len(hostile.damaged())
    assert f"files that could not be read: {bad}" in outcome.out
    assert outcome.err.count("\n") == bad, outcome.err
    reasons = {
        image["path"]: (image["reason"], image["detail"]) for image in report_of(folders.dest)["rejected_images"]
    }
    assert len(reasons) == bad
    assert all(reason in ("unreadable", "unsupported format") and detail for reason, detail in reasons.values())
    pairs, before = (report_of(dest)["pairs"] for dest in (folders.dest, plain))
    assert [pair["matrix"] for pair in pairs] == [pair["matrix"] for pair in before]
    images = [{k: v for k, v in contents(dest).items() if k.endswith(".png")} for dest in (folders.dest, plain)]
    assert images[0] == images[1] != {}


def test_other_kinds_of_files_are_named_once_and_counted(run: Run, folders: Folders) -> None:
    for number in range(4):
        (folders.lr / f"notes{number}.TXT").write_text("not an image")
        (folders.hr / f"page{number}.pdf").write_text("%PDF-1.7")
    for name in ("README", "NOTES"):
        (folders.hr / name).write_text("read me")
    outcome = run(*folders.flags, "--report")
    assert outcome.code == 3
    lines = outcome.err.splitlines()
    assert len(lines) == 3 + 3, lines
    assert sum("notes0.TXT: unsupported format" in line for line in lines) == 1
    assert "3 more files *.txt: unsupported format" in lines
    assert "3 more files *.pdf: unsupported format" in lines
    assert "1 more file without an extension: unsupported format" in lines
    rejected = report_of(folders.dest)["rejected_images"]
    assert sum(image["reason"] == "unsupported format" for image in rejected) == 10


def test_an_animation_is_used_and_noted(run: Run, folders: Folders) -> None:
    (folders.hr / "moving.gif").write_bytes(hostile.saved("GIF", 3))
    outcome = run(*folders.flags, "--report")
    assert outcome.code == 0
    assert "moving.gif: holds several pictures; the first is used" in outcome.err
    assert [Path(note["path"]).name for note in report_of(folders.dest)["notes"]] == ["moving.gif"]


def test_profiles_that_are_damaged_change_no_colour() -> None:
    deep, flat = np.zeros((4, 5, 3), np.uint16), np.zeros((4, 5, 3), np.uint8)
    for profile in (b"", b"x" * 131, bytes(128) + b"\xff\xff\xff\xff", bytes(128) + b"\0\0\0\1rXYZ" + b"\xff" * 8):
        assert (icc.to_srgb(deep, profile) == deep).all()
        assert (icc.to_srgb(flat, profile) == flat).all()


damages = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as the command line does
@pytest.mark.parametrize("kind", SMALL)
@settings(max_examples=300, derandomize=True, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 3), keep=st.floats(0.02, 1), damage=damages, early=st.booleans())
def test_any_damage_ends_in_an_image_or_a_clean_no(
    kind: str, which: int, keep: float, damage: list[tuple[float, int]], early: bool
) -> None:
    """Cut and turned bits, all over the file or (early) among its first bytes, where its structure is."""
    made = SMALL[kind]
    data = bytearray(made[which % len(made)])
    for position, bits in damage:
        data[int(position * (min(len(data), 200) if early else len(data)))] ^= bits
    whole = bytes(data[: max(1, int(len(data) * keep))] if keep < 0.9 else data)
    for form in Format:
        is_plain(whole, form)
    icc.embedded_profile(whole)
    with suppress(UnreadableImage):
        pixels = decode(whole)
        assert pixels.dtype in (np.uint8, np.uint16)
        assert pixels.ndim == pixels.shape[2] == 3
