"""Files that do not decode in full: unreadable, whatever their format, or used as far as their rows are complete."""

from __future__ import annotations

import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support import hostile
from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.pictures import cat
from tests.support.report import report_of
from twimager.errors import UnreadableImage
from twimager.image import decoder_process, headers, jpeg
from twimager.image.decode import decode, decode_gray, decode_rows
from twimager.image.decoder_process import ANSWER, READ_FLAGS
from twimager.image.headers import PNG_END, PNG_SIGNATURE
from twimager.runtime import decoder_warnings
from twimager.runtime.console import own_stderr

PLAIN, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
END = jpeg.END_OF_IMAGE
SHARES = (0.1, 0.35, 0.6, 0.9, 0.99)


def part() -> Any:
    return cat()[20:240, 30:320]


def gray_part() -> Any:
    return cv2.cvtColor(part(), cv2.COLOR_BGR2GRAY)


JPEGS = {
    "baseline": hostile.encoded(".jpg", part(), (cv2.IMWRITE_JPEG_QUALITY, 92)),
    "gray": hostile.encoded(".jpg", gray_part()),
    "restarts": hostile.encoded(".jpg", part(), (cv2.IMWRITE_JPEG_RST_INTERVAL, 8)),
    "full colour": hostile.encoded(".jpg", part(), (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111)),
    "progressive": hostile.encoded(".jpg", part(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "gray progressive": hostile.encoded(".jpg", gray_part(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "CMYK": hostile.saved("JPEG", quality=90),
}


@pytest.fixture(params=["recorded", "not recorded"], autouse=True)
def where_warnings_go(request: pytest.FixtureRequest) -> Iterator[None]:
    """As the command line has it, and as in a library, where file descriptor 2 is another's."""
    with own_stderr() if request.param == "recorded" else nullcontext():
        yield


def refuse(data: bytes) -> None:
    for read in (decode, decode_gray, decode):
        with pytest.raises(UnreadableImage, match=r"cut short|damaged"):
            read(data)


def same(data: bytes, whole: bytes) -> None:
    assert np.array_equal(decode(data), decode(whole))
    assert np.abs(decode_gray(data).astype(int) - decode_gray(whole)).mean() < 0.5  # of its colours, or as stored


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("share", SHARES)
def test_a_jpeg_that_is_cut_is_unreadable_however_it_ends(kind: str, share: float) -> None:
    cut = JPEGS[kind][: int(len(JPEGS[kind]) * share)]
    for end in (b"", END, b"\0" * 100 + END):
        refuse(cut + end)


@pytest.mark.parametrize("kind", ["progressive", "gray progressive"])
def test_a_progressive_jpeg_that_lacks_scans_is_unreadable(kind: str) -> None:
    data = JPEGS[kind]
    starts = [offset for offset in range(len(data)) if data[offset : offset + 2] == b"\xff\xda"]
    for start in starts[1:]:
        refuse(data[:start] + END)


@pytest.mark.parametrize("kind", ["baseline", "gray", "restarts", "progressive"])
def test_a_jpeg_of_whose_scan_bytes_are_lost_is_unreadable(kind: str) -> None:
    data = JPEGS[kind]
    for share in (0.4, 0.6, 0.8):
        start = int(len(data) * share)
        refuse(data[:start] + data[start + len(data) // 10 :])


def jfif(revision: int) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(b"JFIF\0\1", b"JFIF\0" + bytes([revision]), 1)


ODD = {
    "no end": lambda data: data.removesuffix(END),
    "half an end": lambda data: data[:-1],
    "zeros before the end": lambda data: data.removesuffix(END) + bytes(7) + END,
    "fill bytes before the end": lambda data: data.removesuffix(END) + b"\xff" * 9 + END,
    "bytes after the end": lambda data: data + b"more of the camera's",
    "bytes between segments": lambda data: data[:20] + b"\0\1\2" + data[20:],
    "another revision": jfif(3),
    "another revision, no end": lambda data: jfif(3)(data).removesuffix(END),
    "comment": lambda data: data[:2] + b"\xff\xfe\0\4hi" + data[2:],
}


@pytest.mark.parametrize("kind", ["baseline", "gray", "restarts", "progressive"])
@pytest.mark.parametrize("oddity", ODD)
def test_a_whole_jpeg_is_read_whatever_is_odd_about_it(kind: str, oddity: str) -> None:
    same(ODD[oddity](JPEGS[kind]), JPEGS[kind])


@pytest.mark.parametrize("oddity", ["zeros before the end", "bytes between segments", "another revision"])
def test_an_odd_jpeg_that_is_cut_is_unreadable_too(oddity: str) -> None:
    data = JPEGS["baseline"]
    refuse(ODD[oddity](data[: len(data) * 9 // 10] + END))


@pytest.mark.parametrize("compression", [PLAIN, LZW, DEFLATE, PACKBITS])
@pytest.mark.parametrize("rows", [16, 220])
def test_a_tiff_that_is_cut_is_unreadable(compression: int, rows: int) -> None:
    gray = gray_part()
    strips = hostile.strips_of(gray, rows, compression)
    whole = hostile.tiff(strips, gray.shape[::-1], rows, compression)
    assert np.array_equal(decode(whole)[..., 0], gray)
    for share in SHARES:
        refuse(whole[: int(len(whole) * share)])
        shorter = [strip[: int(len(strip) * share)] for strip in strips]
        for cut in (shorter, [*strips[:-1], shorter[-1]], [shorter[0], *strips[1:]]):
            refuse(hostile.tiff(cut, gray.shape[::-1], rows, compression))
    refuse(hostile.tiff(strips[:-1] or [b""], gray.shape[::-1], rows, compression))


@pytest.mark.parametrize("compression", [LZW, DEFLATE])
def test_a_tiff_with_a_damaged_strip_is_unreadable(compression: int) -> None:
    gray = gray_part()
    strips = hostile.strips_of(gray, 16, compression)
    middle = strips[5]
    for filling in (b"\xff", b"\x00"):
        strips[5] = middle[:100] + filling * 200 + middle[300:]
        refuse(hostile.tiff(strips, gray.shape[::-1], 16, compression))


@pytest.mark.parametrize("compression", [PLAIN, LZW, DEFLATE, PACKBITS, 7, 4])
@pytest.mark.parametrize("rows", [1000, 14_000])
def test_a_tiff_that_can_not_hold_its_pixels_is_refused_by_its_structure(compression: int, rows: int) -> None:
    strips = [bytes(20)] * -(-14_000 // rows)
    with pytest.raises(UnreadableImage, match="can't hold 14000 x 14000 pixels"):
        headers.parse(hostile.tiff(strips, (14_000, 14_000), rows, compression) + bytes(10_000))


TWICE = {
    "width": (256, 8), "height": (257, 8), "compression": (259, LZW), "offset": (273, 0), "samples": (277, 3),
    "rows": (278, 8), "count": (279, 8), "bits": (258, 16), "tile offset": (324, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", TWICE)
def test_of_a_tag_given_twice_the_first_is_checked_as_libtiff_takes_it(name: str) -> None:
    tag, value = TWICE[name]
    gray = gray_part()[:32, :48]
    data = hostile.tiff([gray.tobytes()], (48, 32), 32, PLAIN, (tag, 4, 1, value))
    found = headers.parse(data)
    assert (found.size, found.everyday) == ((48, 32), False)
    if name != "tile offset":  # which of the two is taken is libtiff's affair
        assert np.array_equal(decode(data)[..., 0], gray)
    with pytest.raises(UnreadableImage, match="can't hold"):
        headers.parse(hostile.tiff([gray.tobytes()], (14_000, 14_000), 32, PLAIN, (256, 4, 1, 48), (257, 4, 1, 32)))


def test_tiles_are_checked_as_strips_are() -> None:
    tiles = ((322, 4, 1, 8_000), (323, 4, 1, 8_000), (324, 4, 1, 8), (325, 4, 1, 100))
    with pytest.raises(UnreadableImage, match="can't hold 8000 x 8000 pixels"):
        headers.parse(hostile.tiff([bytes(100)], (8_000, 8_000), 8_000, LZW, *tiles))
    tiles = ((322, 4, 1, 80_000), (323, 4, 1, 80_000), (324, 4, 1, 8), (325, 4, 1, 100))
    with pytest.raises(UnreadableImage, match="80000 x 80000 pixels; --max_pixels"):
        headers.parse(hostile.tiff([bytes(100)], (10, 10), 10, LZW, *tiles))


def test_a_tiff_of_unknown_tags_is_read() -> None:
    gray = gray_part()
    strips = hostile.strips_of(gray, 16, LZW)
    data = hostile.tiff(strips, gray.shape[::-1], 16, LZW, (65_000, 4, 1, 7), (65_001, 4, 1, 8))
    assert np.array_equal(decode(data)[..., 0], gray)


def with_sums(data: bytes) -> bytes:
    """A PNG that is cut, its last chunk made whole and its end put on."""
    chunks, position = PNG_SIGNATURE, len(PNG_SIGNATURE)
    while position + 8 < len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        chunks += hostile.chunk(name, data[position + 8 : position + 8 + length])
        position += 12 + length
    return chunks + PNG_END


def with_lengths(data: bytes) -> bytes:
    """A WebP that is cut, with the lengths that it has now."""
    made = bytearray(data)
    struct.pack_into("<I", made, 4, len(made) - 8)
    struct.pack_into("<I", made, 16, len(made) - 20)
    return bytes(made)


@pytest.mark.parametrize("share", SHARES)
def test_other_files_that_are_cut_are_unreadable_though_their_lengths_are_mended(share: float) -> None:
    png = hostile.encoded(".png", part())
    webps = [hostile.encoded(".webp", part(), (cv2.IMWRITE_WEBP_QUALITY, quality)) for quality in (80, 101)]
    others = [hostile.encoded(kind, part()) for kind in (".bmp", ".jp2", ".ppm")] + [hostile.saved("GIF")]
    cut = [data[: int(len(data) * share)] for data in (png, *webps, *others)]
    for data in (*cut, with_sums(cut[0]), *map(with_lengths, cut[1:3])):
        with pytest.raises(UnreadableImage, match=r"\w+"):
            decode(data)


def test_what_is_not_recorded_is_decoded_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process whose damaged files leave no trace, all is left to the decoder's process."""
    monkeypatch.setattr(decoder_process, "are_warnings_recorded", lambda: False)
    assert decoder_process.decode_unwarned(JPEGS["baseline"]) is None
    same(JPEGS["baseline"], JPEGS["baseline"])


@pytest.mark.skipif(sys.platform == "win32", reason="OpenCV may have a stderr of its own there")
def test_whole_files_are_decoded_in_this_process() -> None:
    with own_stderr():
        decoder_process.try_damaged.cache_clear()
        assert all(decoder_process.decode_unwarned(data) is not None for data in JPEGS.values())
    assert decoder_process.decode_unwarned(hostile.encoded(".png")) is not None


def shown(data: bytes, whole: bytes) -> int:
    """How many rows are kept of a file that is cut: just those of the whole file, but for the last block's blur."""
    rows, missing = decode_rows(data)
    full = decode(whole)
    assert len(rows) + missing == len(full)
    certain = len(rows) - (8 if data.startswith(jpeg.SIGNATURE) else 0)
    assert np.array_equal(rows[:certain], full[:certain])
    return len(rows)


@pytest.mark.parametrize("kind", ["baseline", "gray", "restarts", "full colour", "CMYK"])
@pytest.mark.parametrize("share", [0.5, 0.7])
def test_of_a_cut_jpeg_the_complete_rows_of_blocks_can_be_had(kind: str, share: float) -> None:
    data = JPEGS[kind]
    cut = data[: int(len(data) * share)]
    rows = shown(cut, data)
    assert rows % 8 == 0
    assert 0.2 < rows / len(decode(data)) < 0.9
    assert shown(cut + END, data) == rows


def test_of_a_cut_png_and_of_strips_the_complete_rows_can_be_had() -> None:
    png = hostile.encoded(".png", part())
    cut = png[: len(png) * 6 // 10]
    assert 0.3 < shown(cut, png) / 220 < 0.9
    assert shown(with_sums(cut), png) == shown(cut, png)
    gray = gray_part()
    for compression in (PLAIN, LZW, DEFLATE, PACKBITS):
        whole = hostile.tiff(hostile.strips_of(gray, 16, compression), gray.shape[::-1], 16, compression)
        rows = shown(whole[: len(whole) * 6 // 10], whole)
        assert rows % 16 == 0
        assert 60 < rows < 180
    whole = hostile.tiff([gray.tobytes()], gray.shape[::-1], 220, PLAIN)
    assert shown(whole[: -10 * gray.shape[1] - 1], whole) == 209


def test_what_has_no_complete_rows_or_is_damaged_elsewhere_has_none_to_be_had() -> None:
    turned = bytearray(hostile.encoded(".png", part()))
    turned[len(turned) // 2] ^= 0xFF
    half = [data[: len(data) // 2] for data in (JPEGS["progressive"], hostile.encoded(".webp", part()))]
    interlaced = PNG_SIGNATURE + hostile.chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 1))
    early = [JPEGS["baseline"][: JPEGS["baseline"].find(b"\xff\xda") + 20], PNG_SIGNATURE + hostile.header(9, 9)]
    packed = hostile.chunk(b"IDAT", zlib.compress(bytes(50)))
    for data in (
        *half,
        *early,
        bytes(turned),
        interlaced + packed,
        hostile.bmp_of(9, 9),
        hostile.jpeg_of(60_000, 60_000),
    ):
        with pytest.raises(UnreadableImage, match=r"\w+"):
            decode_rows(data)


def cut_in_half() -> dict[str, bytes]:
    """Files of every kind of which complete rows can be had, cut in their midst."""
    gray, png = gray_part(), hostile.encoded(".png", part())
    kinds = ("baseline", "gray", "restarts", "full colour", "CMYK")
    files = {kind: JPEGS[kind] for kind in kinds} | {"PNG": png}
    for compression in (PLAIN, LZW, DEFLATE, PACKBITS):
        strips = hostile.strips_of(gray, 16, compression)
        files[f"TIFF {compression}"] = hostile.tiff(strips, gray.shape[::-1], 16, compression)
    files["one strip"] = hostile.tiff([gray.tobytes()], gray.shape[::-1], 220, PLAIN)
    return {kind: data[: len(data) * 6 // 10] for kind, data in files.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="OpenCV may have a stderr of its own there")
@pytest.mark.parametrize("kind", cut_in_half())
def test_a_decoder_gets_the_same_rows_in_whatever_process_it_is(kind: str) -> None:
    data = cut_in_half()[kind]
    with decoder_warnings.recorded():
        rows, missing = decoder_process.decode_complete_rows(data)
    others, others_missing = decode_rows(data)
    assert missing == others_missing > 0
    assert np.array_equal(rows, others)


HEAD = PNG_SIGNATURE + hostile.header(9, 9)


@pytest.mark.skipif(sys.platform == "win32", reason="OpenCV may have a stderr of its own there")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (PNG_SIGNATURE + hostile.chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 1)), "not stored row by row"),
        (HEAD + hostile.chunk(b"IDAT", zlib.compress(bytes(99)))[:-4] + bytes(4), "damaged"),
        (hostile.tiff([bytes(99)], (9, 22), 22, PLAIN, (257, 4, 1, 11)), "not stored row by row"),
        (b"RIFF", "not stored row by row"),
        (JPEGS["baseline"][: JPEGS["baseline"].find(b"\xff\xda") + 20], r"no rows|damaged"),
        (JPEGS["progressive"][: len(JPEGS["progressive"]) // 2], r"\w+"),
        (HEAD, "no rows"),
        (HEAD[:-9], "damaged"),
    ],
)
def test_where_there_are_none_it_says_why_in_whatever_process_it_is(data: bytes, why: str) -> None:
    with decoder_warnings.recorded(), pytest.raises(UnreadableImage, match=why):
        decoder_process.decode_complete_rows(data)


def test_what_stands_before_the_pixels_of_a_cut_png_holds_for_its_rows() -> None:
    head = HEAD.replace(hostile.header(9, 9), hostile.header(9, 9, color=3))
    palette = hostile.chunk(b"PLTE", bytes(range(99, 99 + 9)))
    packed = hostile.chunk(b"IDAT", zlib.compress(b"\0" + bytes([2, 1, 0] * 3)))
    with decoder_warnings.recorded():
        rows, missing = decoder_process.decode_complete_rows(head + palette + packed)
    assert missing == 8
    assert rows[0, :3].tolist() == [[107, 106, 105], [104, 103, 102], [101, 100, 99]]


@pytest.mark.skipif(sys.platform == "win32", reason="OpenCV may have a stderr of its own there")
@pytest.mark.parametrize("oddity", ODD)
def test_a_decoder_answers_with_the_pixels_of_a_whole_jpeg_whatever_is_odd_about_it(oddity: str) -> None:
    with decoder_warnings.recorded():
        head, pixels = decoder_process.answer(ODD[oddity](JPEGS["baseline"]), READ_FLAGS)
    assert np.array_equal(pixels, decode(JPEGS["baseline"]))
    assert ANSWER.unpack(head) == (1, *pixels.shape[:2], 0, pixels.nbytes)


@pytest.mark.skipif(sys.platform == "win32", reason="OpenCV may have a stderr of its own there")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (JPEGS["baseline"][:9000], "damaged or cut short: Corrupt JPEG data: premature end"),
        (hostile.encoded(".tiff", part().astype(np.float32)), "float32 pixels; only 8 and 16 bit are supported"),
        (b"P6 2000000 9 255\n" + bytes(999), r"too many pixels; --max_pixels \d+ is the limit"),
        (b"", "cannot be decoded: "),
        (b"no image", "not an image"),
    ],
)
def test_a_decoder_answers_with_the_reason_where_there_are_no_pixels(data: bytes, why: str) -> None:
    with decoder_warnings.recorded():
        head, message = decoder_process.answer(data, READ_FLAGS)
    assert re.match(why, message.decode())
    assert ANSWER.unpack(head) == (0, 0, 0, 0, len(message))


def test_zeros_before_the_marker_that_is_warned_of_are_padding_and_nothing_else_is() -> None:
    whole, warning = JPEGS["baseline"], b"Corrupt JPEG data: 7 extraneous bytes before marker 0xd9"
    scan = whole.removesuffix(END)
    assert jpeg.without_padding(scan + bytes(7) + END, warning) == whole
    assert jpeg.without_padding(scan + b"\1" * 7 + END, warning) is None
    assert jpeg.without_padding(scan + bytes(7) + END, b"Premature end of JPEG file") is None


def cut_files(folders: Folders) -> None:
    """Cut the HR h0 and the LR l1 in their lower third."""
    for path in (folders.hr / "h0.png", folders.lr / "l1.png"):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 7 // 10])


def test_what_is_complete_of_a_cut_file_is_used_on_demand(run: Run, folders: Folders) -> None:
    cut_files(folders)
    outcome = run(*folders.flags, "--report")
    assert (outcome.code, outcome.err.count("unreadable: cut short")) == (4, 2)
    kept = folders.dest.with_name("kept")
    outcome = run(*folders.flags[:4], "--dest", kept, "--report", "--truncated", "keep")
    assert outcome.code == 0
    assert outcome.err.count("rows are missing and left out") == 2
    report = report_of(kept)
    assert {Path(note["path"]).name for note in report["notes"]} == {"h0.png", "l1.png"}
    pairs = {Path(pair["hr"]).name: pair for pair in report["pairs"]}
    for name, height in (("h0.png", 100), ("h1.png", 133)):
        lr, hr = (cv2.imread(pairs[name][f"{side}_output"]) for side in ("lr", "hr"))
        assert 0.4 * height < len(lr) < 0.9 * height
        assert len(hr) == 2 * len(lr)
        assert (lr[-1] != 0).any()
        assert (hr[-1] != 0).any()
    assert Path(pairs["h1.png"]["lr_output"]).read_bytes() != (folders.lr / "l1.png").read_bytes()


@pytest.mark.slow
def test_what_is_kept_for_the_next_run_is_kept_apart(run: Run, folders: Folders) -> None:
    cut_files(folders)
    save = folders.dest.with_name("kept.sqlite")
    codes = [
        run(*folders.flags[:4], "--dry", "--save", save, "--truncated", how).code
        for how in ("keep", "refuse", "keep", "refuse")
    ]
    assert codes == [0, 4, 0, 4]
