"""The pixels of AVIF, HEIF, JPEG XL and camera raw files, by libraries of their own.

They are only called in a process that may crash or be killed (`decoder_process`). Beside AVIF's, the libraries are
optional, and imported where they are used.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image

from twimager.errors import UnreadableImage
from twimager.image import boxes, jpeg_xl, tiff
from twimager.image.codecs import AVIF, CAMERA_RAW, HEIF, JPEG_XL, RAW_BUFFER, Codec
from twimager.image.headers import check_limit
from twimager.image.icc import to_srgb
from twimager.image.pixels import Pixels
from twimager.runtime.child import limit_memory

# What the library of a format takes that is loaded when the first such file comes.
LIBRARY_BYTES = 256 << 20
# How camera raws are developed: sRGB's tone curve, as sRGB's primaries are rawpy's default.
DEVELOPED = {"use_camera_wb": True, "no_auto_bright": True, "output_bps": 16, "gamma": (2.4, 12.92)}
# What libheif, libavif, OpenCV and the bindings of libjxl raise on damaged files.
CODEC_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, RuntimeError, ImportError,
    struct.error, cv2.error,
)  # fmt: skip
# An object that a message names, by an address that is another in each run.
ADDRESS = re.compile(r"\s*<[^>]* at 0x[^>]*>")
# EXIF's tag for how a picture is to be turned, and of each of its values, whether pixels are mirrored and how often
# they are then rotated by 90 degrees anticlockwise.
ORIENTATION = 0x0112
TURNS = {
    2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 1), 6: (False, 3), 7: (True, 3), 8: (False, 1),
}  # fmt: skip


def decode(codec: Codec, data: bytes, alpha: bool = False) -> Pixels:
    """Return the pixels of a file, (h, w, 3) BGR, uint8 or uint16, upright; raises UnreadableImage.

    With `alpha`, (h, w, 4) of a file that has it.
    """
    try:
        pixels = DECODERS[codec](data)
    except CODEC_ERRORS as error:
        why = " ".join(ADDRESS.sub("", str(error)).split())
        raise UnreadableImage(f"{codec.name}, damaged or of an odd kind: {why}") from error
    channels = pixels.reshape(*pixels.shape[:2], -1)
    if channels.shape[2] < 3:
        channels = np.concatenate([*3 * [channels[..., :1]], channels[..., 1:]], axis=2)
    return channels if alpha else channels[..., :3]


def _avif(data: bytes) -> Pixels:
    """Decode by Pillow, of which all values have 8 bit, or if they have more by OpenCV where that can."""
    depth = boxes.bit_depth(data) or 8
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and the header has been tested
    with Image.open(BytesIO(data), formats=["AVIF"]) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if depth > 8 else None
        pixels = _bgr(np.asarray(image.convert("RGBA"))) if deep is None else to_16_bit(deep, depth)
    mirrored, turns = TURNS.get(orientation, (False, 0))
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, turns)


def _heif(data: bytes) -> Pixels:
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1
    image = pillow_heif.open_heif(data, convert_hdr_to_8bit=False, bgr_mode=True, hdr_to_16bit=False)
    return to_16_bit(np.asarray(image), image.info["bit_depth"])


def _jpeg_xl(data: bytes) -> Pixels:
    """Decode, and convert to sRGB: the colours of most files are absolute, and the decoder chooses their space."""
    import imagecodecs
    import pillow_jxl

    pixels = imagecodecs.jpegxl_decode(data, index=0, numthreads=1)
    pixels = to_16_bit(pixels, jpeg_xl.header(data).depth or 8 * pixels.itemsize)
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        return pixels
    profile, bgr = pillow_jxl.Decoder(num_threads=0)(data)[3], _bgr(pixels)
    return np.concatenate([to_srgb(bgr[..., :3], bytes(profile)), bgr[..., 3:]], axis=2) if profile else bgr


def _bgr(rgb: Pixels) -> Pixels:
    """Return pixels with their first and third channel exchanged, (h, w, 3 or 4)."""
    return np.concatenate([rgb[..., 2::-1], rgb[..., 3:]], axis=2)


def _camera_raw(data: bytes) -> Pixels:
    """Develop at full size, to 16-bit sRGB with the camera's white balance; its exposure is left as it is."""
    import rawpy

    try:
        with rawpy.RawPy() as raw:
            raw.open_buffer(BytesIO(data))
            sizes = raw.sizes
            check_limit(sizes.raw_width, sizes.raw_height)
            limit_memory(RAW_BUFFER * sizes.raw_width * sizes.raw_height + LIBRARY_BYTES)
            raw.unpack()
            return np.asarray(raw.postprocess(**DEVELOPED))[..., ::-1]
    except rawpy.LibRawError as error:
        if (pixels := _linear_samples(data)) is not None:
            return pixels
        why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else error
        raise UnreadableImage(f"camera raw that can't be developed: {why}") from error


def _linear_samples(data: bytes) -> Pixels | None:
    """Return the linear samples of all colours that a TIFF file has, as sRGB; None if it has none such of 16 bit."""
    linear = tiff.linear_first(data) if data.startswith(tiff.SIGNATURES) else None
    samples = cv2.imdecode(np.frombuffer(linear, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if linear else None
    if samples is None or samples.dtype != np.uint16:
        return None
    level = np.arange(65536) / 65535
    encoded = np.where(level <= 0.0031308, 12.92 * level, 1.055 * level ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 65535).astype(np.uint16)[samples])


def to_16_bit(pixels: Pixels, depth: int) -> Pixels:
    """Return pixels of `depth` bits as uint16, scaled so that white is 65535; 8-bit ones as they are.

    Raises UnreadableImage if they are neither uint8 nor uint16.
    """
    if pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and depth == 16):
        return pixels
    if pixels.dtype != np.uint16:
        raise UnreadableImage(f"{pixels.dtype} pixels; only 8 and 16 bit are supported")
    levels: Any = np.rint(np.arange(1 << depth) * (65535 / ((1 << depth) - 1))).astype(np.uint16)
    return np.asarray(levels[np.minimum(pixels, len(levels) - 1)])


DECODERS: dict[Codec, Callable[[bytes], Pixels]] = {
    AVIF: _avif, HEIF: _heif, JPEG_XL: _jpeg_xl, CAMERA_RAW: _camera_raw,
}  # fmt: skip
