"""A film's colours come back as they were: through every matrix and range, from 8 and 10 bit, chroma where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from twimager.video.color import HLG, PQ, Hdr, coding, coding_of_video, eetf, nits_to_pq, pq_to_nits, tone_mapped
from twimager.video.container import frames, probe
from twimager.video.frames import FrameSettings, read_frames

# Kr and Kb of ITU-R BT.601, BT.709 and BT.2020, and what H.273 numbers them.
WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
NUMBERS = {"bt601": 6, "bt709": 1, "bt2020": 9}
Floats = NDArray[np.float64]


def chart(bits: int) -> list[NDArray[np.uint16]]:
    """Return a chart's luma and chroma codes, (8, 12) patches: whole numbers, so that they are exact in a file."""
    rng, unit = np.random.default_rng(1), 1 << (bits - 8)
    luma = np.linspace(70, 180, 96).reshape(8, 12)
    return [np.rint(one * unit).astype(np.uint16) for one in (luma, *rng.uniform(104, 152, (2, 8, 12)))]


def bgr_of(codes: Sequence[NDArray[Any]], matrix: str, full: bool, bits: int) -> Floats:
    """Return what BGR, 0..255, codes stand for by the standards' formulas."""
    unit, top = float(1 << (bits - 8)), float((1 << bits) - 1)
    luma, blue, red = (one.astype(float) for one in codes)
    y = luma / top if full else (luma - 16 * unit) / (219 * unit)
    cb, cr = ((one - 128 * unit) / (top if full else 224 * unit) for one in (blue, red))
    kr, kb = WEIGHTS[matrix]
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return 255 * np.stack([b, (y - kr * r - kb * b) / (1 - kr - kb), r], axis=-1)


def film(
    path: Path, codec: str, form: str, planes: Sequence[NDArray[Any]], tags: dict[str, int], **options: str
) -> Path:
    """Write three frames of given planes, (h, w) each."""
    height, width = planes[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, form
        for tag, value in tags.items():
            setattr(stream.codec_context, tag, value)
        for number in range(3):
            frame = av.VideoFrame(width, height, form)
            for plane, codes in zip(frame.planes, planes, strict=True):
                kind = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
                padded = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
                padded[:, : codes.shape[1]] = codes
                plane.update(padded)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for tag in tags.keys() & {"colorspace", "color_range"}:
                setattr(frame, tag, tags[tag])
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def second_frame(path: Path, hdr: Hdr = Hdr.SDR) -> NDArray[Any]:
    pts = [timed.pts for timed in frames(path, pytest.fail)]
    ((_, pixels),) = read_frames(path, pts[1:2], FrameSettings(hdr=hdr), pytest.fail)
    return pixels


def enlarged(codes: NDArray[Any], side: int) -> NDArray[Any]:
    return np.kron(codes, np.ones((side, side), codes.dtype))


CODECS: dict[str, tuple[str, int, dict[str, str]]] = {
    "libx264": ("yuv420p", 8, {"crf": "1"}),
    "libx265": ("yuv420p10le", 10, {"crf": "1", "x265-params": "log-level=none"}),
    "mpeg2video": ("yuv420p", 8, {"qmin": "1", "qmax": "1", "b": "40M"}),
    "ffv1": ("yuv422p10le", 10, {}),
    "mjpeg": ("yuvj420p", 8, {"qmin": "1", "qmax": "1"}),
}


@pytest.mark.parametrize(
    ("codec", "matrix", "full", "tagged"),
    [
        *((codec, matrix, full, True) for codec in ("libx264", "libx265", "ffv1") for matrix in WEIGHTS
          for full in (False, True)),
        *(("mpeg2video", matrix, False, True) for matrix in ("bt601", "bt709")),
        *((codec, matrix, False, False) for codec in ("libx264", "libx265", "mpeg2video")
          for matrix in ("bt601", "bt709")),
        ("mjpeg", "bt601", True, False),
    ],
)  # fmt: skip
def test_a_chart_comes_back_within_one_and_a_half_levels(
    tmp_path: Path, codec: str, matrix: str, full: bool, tagged: bool
) -> None:
    form, bits, options = CODECS[codec]
    codes = chart(bits)
    # What is not tagged is of the matrix that its size lets expect.
    side = 96 if not tagged and matrix == "bt709" else 16
    shared = side // 2 if "420" in form else side
    across = side // 2
    planes = [enlarged(codes[0], side)] + [np.kron(one, np.ones((shared, across), one.dtype)) for one in codes[1:]]
    tags = {"colorspace": NUMBERS[matrix], "color_range": 2 if full else 1} if tagged else {}
    path = film(tmp_path / "chart.mkv", codec, form, planes, tags, **options)
    found = coding_of_video(probe(path))
    assert (found.matrix, found.full_range) == (matrix, full)
    if codec != "mjpeg":
        assert ("matrix" in found.guessed) is not tagged
    pixels = second_frame(path)
    assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    middles = pixels[side // 2 :: side, side // 2 :: side] / (1 if bits == 8 else 257)
    assert np.abs(middles - bgr_of(codes, matrix, full, bits)).max() <= 1.5


@pytest.mark.parametrize(("form", "bits"), [("yuv420p", 8), ("yuv444p10le", 10), ("yuv420p12le", 12), ("gray", 8)])
@pytest.mark.parametrize("full", [False, True])
def test_black_and_white_are_the_ends_of_the_range(tmp_path: Path, form: str, bits: int, full: bool) -> None:
    unit, top = 1 << (bits - 8), (1 << bits) - 1
    black, white = (0, top) if full else (16 * unit, 235 * unit)
    luma = np.full((32, 32), black, np.uint16)
    luma[:, 16:] = white
    chroma = np.full((32, 32) if "444" in form else (16, 16), 128 * unit, np.uint16)
    planes = [luma] if form == "gray" else [luma, chroma, chroma]
    tags = {"colorspace": 1, "color_range": 2 if full else 1}
    pixels = second_frame(film(tmp_path / "film.mkv", "ffv1", form, planes, tags))
    most = np.iinfo(pixels.dtype).max
    assert pixels[:, 4].max() <= most / 2000
    assert pixels[:, 28].min() >= most * (1 - 1 / 2000)


@pytest.mark.parametrize(
    ("codec", "form", "number", "across", "down"),
    [
        ("ffv1", "yuv420p", 1, 0.0, 0.5), ("ffv1", "yuv422p", 1, 0.0, 0.0), ("ffv1", "yuv420p10le", 9, 0.0, 0.0),
        ("libx264", "yuv420p", 1, 0.0, 0.5), ("mjpeg", "yuvj420p", 5, 0.5, 0.5),
        ("mpeg1video", "yuv420p", 5, 0.5, 0.5), ("ffv1", "yuv411p", 5, 0.0, 0.0),
    ],
)  # fmt: skip
def test_chroma_is_upsampled_from_where_it_lies(
    tmp_path: Path, codec: str, form: str, number: int, across: float, down: float
) -> None:
    shape = (64, 128)
    made = av.VideoFormat(form)
    step = (64 // made.chroma_height(64), 64 // made.chroma_width(64))
    unit = 1 << (made.components[0].bits - 8)
    rows, columns = (np.arange(0, side, one) for side, one in zip(shape, step, strict=True))
    # A ramp of red, along both sides, taken where the samples lie.
    red = 60 + 0.6 * (columns[None] + across) + 0.8 * (rows[:, None] + down)
    planes = [np.full(shape, 120), np.full(red.shape, 128), red]
    options = {"ffv1": {}, "libx264": {"crf": "1"}}.get(codec, {"qmin": "1", "qmax": "1"})
    scaled = [np.rint(one * unit).astype(np.uint16) for one in planes]
    pixels = second_frame(film(tmp_path / "ramp.mkv", codec, form, scaled, {"colorspace": number}, **options))
    code = coding_of_video(probe(tmp_path / "ramp.mkv"))
    y, x = np.mgrid[: shape[0], : shape[1]]
    exact = [np.full(shape, 120.0), np.full(shape, 128.0), 60 + 0.6 * x + 0.8 * y]
    expected = bgr_of(exact, str(code.matrix), code.full_range, 8)
    inside = (slice(8, -8), slice(8, -8), 2)
    # Half a pixel of siting is 0.3 levels of chroma and more, 0.42 of red.
    shift = (pixels / (1 if unit == 1 else 257) - expected)[inside].mean()
    assert abs(shift) < 0.21


@pytest.mark.parametrize(
    ("form", "size", "matrix", "full_range", "expected"),
    [
        ("yuv420p", (720, 576), None, None, ("bt601", False, ("matrix", "range"))),
        ("yuv420p", (720, 480), 1, None, ("bt709", False, ("range",))),
        ("yuv420p", (1280, 720), None, False, ("bt709", False, ("matrix",))),
        ("yuvj420p", (640, 480), None, None, ("bt601", True, ("matrix",))),
        ("gbrp10le", (1920, 1080), 0, None, (None, True, ())),
        ("gray", (640, 480), None, None, (None, True, ())),
    ],
)  # fmt: skip
def test_what_is_not_tagged_is_guessed_and_said(
    form: str, size: tuple[int, int], matrix: int | None, full_range: bool | None, expected: tuple[Any, ...]
) -> None:
    found = coding(form, size, matrix, full_range, None)
    assert (found.matrix, found.full_range, found.guessed) == expected


def test_the_tone_curve_keeps_what_is_dark_rises_and_ends_at_white() -> None:
    nits = np.linspace(0, 1000, 500)
    shown = eetf(nits, 1000.0)
    assert shown[nits < 80] == pytest.approx(nits[nits < 80], rel=1e-6, abs=1e-6)
    assert (np.diff(shown) > 0).all()
    assert shown[-1] == pytest.approx(203)
    assert pq_to_nits(nits_to_pq(nits)) == pytest.approx(nits, abs=1e-6)
    # SMPTE ST 2084: 100 nits are at 0.508 of the range.
    assert float(nits_to_pq(100.0)) == pytest.approx(0.508, abs=0.001)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_grays_stay_gray_and_in_order_and_what_is_dark_is_as_in_sdr(transfer: int) -> None:
    codes = np.repeat(np.linspace(0, 65535, 256).astype(np.uint16)[None, :, None], 3, axis=2)
    shown = tone_mapped(codes, transfer, 1000.0)[0].astype(float)
    assert np.ptp(shown, axis=1).max() <= 8
    assert (np.diff(shown[:, 1]) >= 0).all()
    assert shown[0, 1] == 0
    assert shown[-1, 1] == pytest.approx(65535, rel=0.001)
    if transfer == PQ:
        fifty = int(np.argmin(np.abs(pq_to_nits(codes[0, :, 1] / 65535) - 50)))
        light = pq_to_nits(codes[0, fifty : fifty + 1, 1] / 65535)[0]
        assert shown[fifty, 1] / 65535 == pytest.approx((light / 203) ** (1 / 2.4), rel=0.001)


def test_films_of_hdr_are_tone_mapped_or_kept(tmp_path: Path) -> None:
    luma = np.repeat(np.linspace(64, 940, 64)[None], 32, axis=0).astype(np.uint16)
    gray = np.full((16, 32), 512, np.uint16)
    tags = {"colorspace": 9, "color_range": 1, "color_trc": PQ, "color_primaries": 9}
    path = film(tmp_path / "hdr.mkv", "ffv1", "yuv420p10le", [luma, gray, gray], tags)
    assert coding_of_video(probe(path)).transfer == PQ
    kept, shown = second_frame(path, Hdr.KEEP), second_frame(path)
    assert kept.dtype == shown.dtype == np.uint16
    assert kept[10, :, 1] / 65535 == pytest.approx((luma[10] - 64.0) / 876, abs=0.001)
    assert np.abs(shown.astype(int) - tone_mapped(kept, PQ, 1000.0)).max() == 0
