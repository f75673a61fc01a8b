"""Formats that other libraries decode: what headers tell, what has to be installed, and that it is no thumbnail."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np
import pytest

from tests.image import test_formats as formats
from tests.support import raws
from tests.support.command import Run
from tests.support.folders import Folders
from twimager.errors import UnreadableImage, UnsupportedFormat
from twimager.image import boxes, codec_pixels, codecs, headers, jpeg_xl, tiff
from twimager.image.decode import decode
from twimager.image.decoder_process import ALPHA, READ_FLAGS, answer, decode_in_full
from twimager.image.decoders import decoders
from twimager.image.files import read_bytes
from twimager.image.jpeg_xl import JpegXlHeader


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


@pytest.mark.parametrize(
    ("codestream", "found"),
    [
        (b"\xff\x0a\x0f\x41\x24\x08\x04\x01\x00\x11\x65\x0b", JpegXlHeader((96, 64))),
        (b"\xff\x0a\x0f\xf1\x03\x50\xb4\x08\x08\x04\x01\x00", JpegXlHeader((96, 64), 16)),
        (b"\xff\x0a\x0f\xc9\x01\x14\x2d\x02\x08\x04\x01\x00", JpegXlHeader((96, 64), 32, floating=True)),
        (b"\xff\x0a\x0f\x05\x4d\x00\x20\x26\x08\x04\x01\x00", JpegXlHeader((96, 64), animated=True)),
        (b"\xff\x0a\x7f\x40\x24\x08\x04\x01\x00\x1c\x00\x4b", JpegXlHeader((256, 256))),
        (b"\xff\x0a\x31\x41\x24\x08\x04\x01\x00\x1c\x00\x4b", JpegXlHeader((300, 200))),
        (b"\xff\x0a\x20\x83\x18\x08\x88\x04\x08\x02\x01\x00", JpegXlHeader((1037, 101))),
    ],
)
def test_the_header_of_a_jpeg_xl_file(codestream: bytes, found: JpegXlHeader) -> None:
    assert jpeg_xl.header(codestream) == found
    for kind, before in ((b"jxlc", b""), (b"jxlp", bytes(4))):
        file = jpeg_xl.CONTAINER + box(b"ftyp", b"jxl ") + box(kind, before + codestream)
        assert jpeg_xl.header(file) == found
        assert codecs.codec_of(file) is codecs.JPEG_XL


@pytest.mark.parametrize("data", [b"\xff\x0a\x0f", jpeg_xl.CONTAINER + box(b"ftyp", b"jxl ")])
def test_half_a_header_of_a_jpeg_xl_file_is_an_error(data: bytes) -> None:
    with pytest.raises(struct.error):
        jpeg_xl.header(data)


def test_boxes_may_have_long_sizes_or_none() -> None:
    long = struct.pack(">I4sQ", 1, b"long", 20) + b"1234"
    assert list(boxes.boxes(long + b"\0\0\0\0last" + b"56")) == [(b"long", 16, 20), (b"last", 28, 30)]
    with pytest.raises(struct.error):
        list(boxes.boxes(struct.pack(">I4s", 4, b"tiny")))


@pytest.mark.parametrize(
    ("beginning", "codec"),
    [
        (box(b"ftyp", b"heic\0\0\0\0mif1heic"), codecs.HEIF),
        (box(b"ftyp", b"mif1\0\0\0\0mif1avif"), codecs.AVIF),
        (box(b"ftyp", b"crx \0\0\0\1crx isom"), codecs.CAMERA_RAW),
        (box(b"ftyp", b"isom\0\0\0\1mp41"), None),
        (b"FUJIFILMCCD-RAW 0201", codecs.CAMERA_RAW),
        (b"IIU\0\x18\0\0\0", codecs.CAMERA_RAW),
        (raws.bayer(formats.PIXELS), codecs.CAMERA_RAW),
        (raws.linear(formats.PIXELS), codecs.CAMERA_RAW),
        (formats.opencv(".tif"), None),
        (b"II*\0\xff\xff\xff\xff", None),
    ],
)
def test_a_format_is_told_by_its_beginning(beginning: bytes, codec: Any) -> None:
    assert codecs.codec_of(beginning) is codec


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (raws.bayer(formats.PIXELS), "camera raw: pip install rawpy"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw: pip install rawpy"),
        (box(b"ftyp", b"heic\0\0\0\0mif1heic"), "HEIF: pip install pillow-heif"),
        (b"\xff\x0a\x0f\x41\x24", "JPEG XL: pip install imagecodecs pillow-jxl-plugin"),
    ],
)
def test_where_a_library_is_missing_its_package_is_named(
    data: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "_is_installed", lambda _: False)
    with pytest.raises(UnsupportedFormat, match=f"^{message}$"):
        decode(data)


@pytest.mark.parametrize("flags", [READ_FLAGS, ALPHA], ids=["colours", "alpha"])
@pytest.mark.parametrize("name", formats.FORMATS)
def test_what_a_process_sends_is_what_is_decoded_there(name: str, flags: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, features = formats.FORMATS[name]
    for module, _ in codec.packages if codec else ():
        pytest.importorskip(module)
    monkeypatch.setattr(codec_pixels, "limit_memory", lambda _: None)
    files = [made for make in features.values() if (made := make())]
    files += [raws.linear(formats.PIXELS)] * (codec is codecs.CAMERA_RAW)
    for data in (*files, files[0][: len(files[0]) // 2]):
        try:
            here = decode_in_full(data, flags)
        except UnreadableImage as error:
            why = str(error)
            with pytest.raises(UnreadableImage, match=f"^{re.escape(why)}$"):
                decoders.decode(data, flags)
            assert answer(data, flags)[1].decode() == why
        else:
            sent = decoders.decode(data, flags)
            assert sent.dtype == here.dtype
            assert (sent == here).all()
            assert answer(data, flags)[1].tobytes() == here.tobytes()


def test_the_thumbnail_of_a_camera_raw_is_never_used(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "_is_installed", lambda _: False)
    (folders.hr / "camera.dng").write_bytes(raws.bayer(formats.PIXELS))
    outcome = run(*folders.flags)
    assert outcome.code == 3
    assert "camera.dng: unsupported format: camera raw: pip install rawpy" in outcome.err


@pytest.mark.parametrize("sub", [True, False])
def test_of_a_tiff_that_begins_with_a_thumbnail_the_picture_is_read(sub: bool, tmp_path: Any) -> None:
    picture = formats.PIXELS[..., ::-1], [(254, raws.LONG, [0]), (262, raws.SHORT, [raws.RGB])]
    (tmp_path / "file.tif").write_bytes(raws.tiff_of(raws.thumbnail(formats.PIXELS), picture, sub))
    assert (decode(read_bytes(tmp_path / "file.tif")) == formats.PIXELS).all()


def test_a_tiff_of_thumbnails_alone_is_unreadable(tmp_path: Any) -> None:
    small = raws.thumbnail(formats.PIXELS)
    (tmp_path / "file.tif").write_bytes(raws.tiff_of(small, small))
    with pytest.raises(UnreadableImage, match="its first picture is a thumbnail"):
        decode(read_bytes(tmp_path / "file.tif"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (formats.exr(), "16-bit float EXR: not supported"),
        (formats.exr()[:20], "EXR: not supported"),
        (formats.opencv(".hdr", formats.FLOAT), "float HDR: not supported"),
        (formats.opencv(".pfm", formats.FLOAT), "32-bit float PFM: not supported"),
        (formats.opencv(".tif", formats.FLOAT.astype(np.float64)), "64-bit float TIFF: not supported"),
        (b"\xff\x0a\x0f\xc9\x01\x14\x2d\x02\x08\x04\x01\x00", "32-bit float JPEG XL: not supported"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "_is_installed", lambda _: True)
    with pytest.raises(UnsupportedFormat, match=f"^{message}$"):
        decode(data)


def test_whether_the_main_picture_of_a_raw_has_linear_samples() -> None:
    found = tiff.linear_first(raws.linear(formats.PIXELS))
    assert found is not None
    assert tiff.directory(found).size == (96, 64)
    assert tiff.directory(found).first(tiff.PHOTOMETRIC) == tiff.RGB
    assert tiff.linear_first(raws.bayer(formats.PIXELS)) is None


def test_more_pixels_than_allowed_are_refused_by_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "_is_installed", lambda _: True)
    monkeypatch.setenv(headers.LIMIT_VARIABLE, "6000")
    for data in (formats.pillow("AVIF"), b"\xff\x0a\x0f\x41\x24\x08\x04\x01", raws.bayer(formats.PIXELS)):
        with pytest.raises(UnreadableImage, match="96 x 64 pixels; --max_pixels 6000"):
            decode(data)
