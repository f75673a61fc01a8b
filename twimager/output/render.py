"""Make the two pictures of a pair: frame, resampling, colours."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.matching import Match
from twimager.errors import Reason, Rejection
from twimager.fingerprint.working_image import picture, picture_with_alpha
from twimager.geometry import Matrix, Rect, Size, area_scale, common_rectangle, scaling, translation, trimmed
from twimager.image.colors import Colors, transfer_color
from twimager.image.decode import decode_with_alpha
from twimager.image.depth import at_depth
from twimager.image.displacement import Displacement, covered
from twimager.image.encode import encode
from twimager.image.files import is_plain, read_bytes
from twimager.image.headers import parse
from twimager.image.icc import embedded_profile, to_srgb
from twimager.image.pixels import Pixels, frame_size, shrink
from twimager.image.warp import resample
from twimager.options import Alpha, Border, ColorTransfer, Crop, Framing, Partial, WriteSettings
from twimager.output.mask import hidden
from twimager.output.transparency import background, laid_out, resample_with_alpha, treatment
from twimager.pairs import VerifiedPair

# An LR pixel counts as covered where at most a quarter of an output pixel of it lies outside the HR frame: a frame
# that fits to within the alignment's error keeps its outermost pixels, and no output pixel shows mostly nothing.
EDGE_TOLERANCE = 0.25
# An HR with so much less than one source pixel per output pixel is none the smaller for it: alignments err by as much.
SAME_SIZE = 0.005
CHANNELS = 3
# What a pixel takes while colours are carried over: three values of 4 bytes, several times.
TRANSFER_BYTES = 72
# What a pixel takes while transparency is resampled: four values of 4 bytes, a few times.
ALPHA_BYTES = 48
# What small pictures take too: the finer grid that is averaged.
OVERHEAD = 64 << 20


class Rendered(NamedTuple):
    """One of the pictures of a pair: its pixels, (h, w, 3) or with alpha (h, w, 4), and their profile."""

    pixels: Pixels
    profile: bytes | None

    def cut(self, window: Rect) -> Rendered:
        """Return a part of it."""
        return self._replace(pixels=window.cut(self.pixels))

    def encoded(self, write: WriteSettings) -> bytes:
        """Return it as a file."""
        return encode(self.pixels, write.format, write.quality, self.profile)


def common_area(match: Match, hr_size: Size, lr_size: Size, scale: Fraction) -> Rect | None:
    """Return the LR pixels of which the HR has a picture: the largest rectangle of them, or None."""
    tolerance = EDGE_TOLERANCE / max(float(scale), 1.0)
    if match.displacement is None:
        return common_rectangle(match.matrix, hr_size, lr_size, tolerance)
    return trimmed(covered(match.matrix, match.displacement, hr_size, lr_size, tolerance))


def output_window(common: Rect, whole: Rect, framing: Framing) -> Rect | Rejection:
    """Return the LR pixels to be written: what border and crop leave, less the odd ones that the scale can't use.

    `common` are those that the HR covers, `whole` the LR's frame with its bars, both as seen from its picture.
    """
    frame = common if framing.border is Border.CROP else whole
    cropped = _cropped((frame.width, frame.height), framing.crop) if framing.crop else Rect(0, 0, *frame[2:])
    if cropped is None:
        return Rejection(Reason.CROP, f"{frame.width}x{frame.height} LR pixels are left to crop from")
    step = framing.scale.denominator
    width, height = cropped.width // step * step, cropped.height // step * step
    if min(width, height) == 0:
        return Rejection(Reason.CROP, f"{cropped.width}x{cropped.height} LR pixels make no whole pixels at this scale")
    if min(width, height) < framing.min_size:
        return Rejection(Reason.SMALL, f"{width}x{height} LR pixels, at least {framing.min_size} along a side")
    return cropped._replace(width=width, height=height).moved(frame.x, frame.y)


def native_scale(match: Match, hr_size: Size, scale: Fraction) -> float:
    """Return how many HR source pixels there are, along a side, per output pixel; below 1 the HR is enlarged."""
    return 1 / (math.sqrt(abs(area_scale(match.matrix, hr_size))) * float(scale))


def _cropped(size: Size, crop: Crop) -> Rect | None:
    """Return the crop inside a frame of `size`, or None if it does not fit."""
    width = crop.width or size[0] - 2 * crop.margin
    height = crop.height or size[1] - 2 * crop.margin
    x = (size[0] - width) // 2 if crop.x is None else crop.x
    y = (size[1] - height) // 2 if crop.y is None else crop.y
    fits = min(x, y) >= 0 and min(width, height) > 0 and x + width <= size[0] and y + height <= size[1]
    return Rect(x, y, width, height) if fits else None


def output_size(window: Rect, scale: Fraction) -> Size:
    """Return the HR output's (width, height): exactly `scale` times the window's."""
    return int(window.width * scale), int(window.height * scale)


def output_bits(pair: VerifiedPair, write: WriteSettings) -> int | None:
    """Return the bits of a value in both files of a pair, 8 or 16, all in use; None where those are both sources'."""
    lr, hr = pair.proposal.images
    if write.bits or (lr.depth, lr.bits) == (hr.depth, hr.bits):
        return write.bits
    return 8 * max(lr.depth, hr.depth)


def render_lr(pair: VerifiedPair, write: WriteSettings, partial: Partial = Partial.NONE) -> bytes:
    """Return the LR output as a file: its source's bytes if those are what would be decoded, cut and encoded."""
    lr, depth = pair.proposal.lr, output_bits(pair, write)
    data = read_bytes(lr.path)
    profile = embedded_profile(data)
    black = hidden(pair) if partial is Partial.BLACK else np.zeros(1, bool)
    is_whole = not lr.missing and pair.window == lr.frame and not black.any()
    if is_whole and not (profile and lr.srgb) and is_plain(data, write.format):
        is_right = not depth or (8 * lr.depth, lr.is_dim) == (depth, False)
        if is_right and parse(data).has_alpha == (treatment(pair, write) is Alpha.KEEP):
            return data
    made = lr_picture(pair, write, data)
    if black.any():
        made = made._replace(pixels=np.where(black[..., None], made.pixels.dtype.type(0), made.pixels))
    return made.encoded(write)


def lr_picture(pair: VerifiedPair, write: WriteSettings, data: bytes) -> Rendered:
    """Return the LR output, whose source's file holds `data`."""
    lr, how, profile = pair.proposal.lr, treatment(pair, write), embedded_profile(data)
    frame, bits, transparency = decode_with_alpha(data, missing=lr.missing)
    window = pair.window.moved(lr.picture.x, lr.picture.y)
    shown = window.cut(frame)
    alpha = None if transparency is None else window.cut(transparency)
    colors = to_srgb(shown, profile) if profile and lr.srgb else shown
    shown = laid_out(colors, alpha, how, lambda alpha: _shown_by_hr(pair, alpha))
    return Rendered(at_depth(shown, output_bits(pair, write), bits), None if lr.srgb else profile)


def encoded_hr(pair: VerifiedPair, framing: Framing, write: WriteSettings, tones: VerifiedPair | None = None) -> bytes:
    """Return the HR output as a file; `tones` is the pair on which colours are measured, if that is another one."""
    return hr_picture(pair, framing, write, tones).encoded(write)


def hr_picture(
    pair: VerifiedPair, framing: Framing, write: WriteSettings, tones: VerifiedPair | None = None
) -> Rendered:
    """Return the HR output; `tones` as `encoded_hr` has it."""
    how, bits = treatment(pair, write), output_bits(pair, write)
    pixels = render_hr(pair, framing, write.color_transfer, how, bits, tones=tones)
    hr = pair.proposal.hr
    profile = None if hr.srgb else embedded_profile(read_bytes(hr.path))
    return Rendered(pixels, profile)


def render_hr(
    pair: VerifiedPair,
    framing: Framing,
    color_transfer: ColorTransfer | None,
    how: Alpha = Alpha.DROP,
    depth: int | None = None,
    *,
    tones: VerifiedPair | None = None,
) -> Pixels:
    """Return the HR output, resampled once from the source's pixels; of a depth of 8 or 16, or the source's.

    (h, w, 3), or with alpha (h, w, 4) where that is what becomes of transparency.
    """
    from_lr = scaling(float(framing.scale)) @ translation(-pair.window.x, -pair.window.y)
    to_output = from_lr @ pair.match.matrix
    size = output_size(pair.window, framing.scale)
    displacement = pair.match.displacement and pair.match.displacement.on(from_lr)
    alpha: Pixels | None = None
    with picture_with_alpha(pair.proposal.hr) as (pixels, bits, transparency):
        if how is Alpha.DROP or transparency is None:
            rendered = resample(pixels, to_output, size, displacement=displacement)
            # Interpolation overshoots at edges; what the source does not reach, the output does not either.
            np.clip(rendered, pixels.min(), pixels.max(), out=rendered)
        else:
            resampled = functools.partial(resample, matrix=to_output, size=size, displacement=displacement)
            rendered, alpha = resample_with_alpha(pixels, transparency, resampled)
        if color_transfer and tones is None:
            rendered = _with_lr_colors(rendered, pixels, pair, color_transfer)
    if color_transfer and tones is not None:
        with picture(tones.proposal.hr) as pixels:
            rendered = _with_lr_colors(rendered, pixels, tones, color_transfer)
    if framing.border is Border.KEEP:
        beyond = ~_shown(to_output, pair.proposal.hr.size, size, displacement)
        for made in (rendered,) if alpha is None else (rendered, alpha):
            made[beyond] = 0
    rendered = laid_out(rendered, alpha, how, lambda alpha: _shown_by_lr(pair, size, alpha))
    if framing.partial is Partial.BLACK:
        rendered[cv2.resize(hidden(pair).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0] = 0
    return at_depth(rendered, depth, bits)


def _shown_by_hr(pair: VerifiedPair, alpha: Pixels) -> Colors:
    """Return what an opaque HR shows where the LR that is written has no alpha, (h, w)."""
    with picture(pair.proposal.hr) as pixels:
        return background(_on_window(pair, pixels), alpha == 0, frame_size(alpha))


def _shown_by_lr(pair: VerifiedPair, size: Size, alpha: Pixels) -> Colors:
    """Return what an opaque LR shows where its HR has no alpha, for an output of `size`; `alpha`, (h, w), is that."""
    with picture(pair.proposal.lr) as pixels:
        lr = resample(pixels, translation(-pair.window.x, -pair.window.y), pair.window[2:])
    return background(lr, shrink(alpha, pair.window[2:]) == 0, size)


def _on_window(pair: VerifiedPair, hr: Pixels) -> Pixels:
    """Return the HR's pixels on the grid of what is written of the LR."""
    from_lr = translation(-pair.window.x, -pair.window.y)
    displacement = pair.match.displacement and pair.match.displacement.on(from_lr)
    return resample(hr, from_lr @ pair.match.matrix, pair.window[2:], displacement=displacement)


def rendering_bytes(pair: VerifiedPair, framing: Framing, write: WriteSettings) -> int:
    """Return how many bytes it takes to make both files of a pair, at most."""
    depth = max((write.bits or 8) // 8, *(image.depth for image in pair.proposal.images))
    lr, hr = (math.prod(image.frame[2:]) * depth * CHANNELS for image in pair.proposal.images)
    pixels = math.prod(output_size(pair.window, framing.scale))
    output = pixels * depth * CHANNELS
    if any(image.opaque for image in pair.proposal.images):
        output += (pixels + math.prod(pair.proposal.hr.frame[2:])) * ALPHA_BYTES
    if write.color_transfer:
        output += (pixels + math.prod(pair.common[2:])) * TRANSFER_BYTES
    # Each source is held twice while it is decoded, the output together with the HR, or with its file and a copy of it.
    return lr + max(2 * lr, 2 * hr, hr + 2 * output, 3 * output) + OVERHEAD


def _shown(to_output: Matrix, hr_size: Size, size: Size, displacement: Displacement | None) -> NDArray[np.bool_]:
    """Tell, (height, width), of which output pixels the HR frame covers at least half."""
    frame = np.full(hr_size[::-1], 255, np.uint8)
    return np.asarray(resample(frame, to_output, size, cv2.BORDER_CONSTANT, displacement=displacement) >= 128)


def _with_lr_colors(rendered: Pixels, hr: Pixels, pair: VerifiedPair, how: ColorTransfer) -> Pixels:
    """Carry the LR's colours over, measured on the pixels in which both agree, on the LR's grid.

    An HR that is the LR's negative is inverted first.
    """
    from_lr = translation(-pair.common.x, -pair.common.y)
    displacement = pair.match.displacement and pair.match.displacement.on(from_lr)
    with picture(pair.proposal.lr) as whole:
        lr = pair.common.cut(whole)
        seen = resample(hr, from_lr @ pair.match.matrix, frame_size(lr), displacement=displacement)
        if pair.proposal.negative:
            rendered, seen = ~rendered, ~seen
        masked = pair.agreement or any(image.mask for image in pair.proposal.images)
        if masked and (agrees := ~hidden(pair._replace(window=pair.common))).any():
            seen, lr = seen[agrees][None], lr[agrees][None]
        return transfer_color(rendered, seen, lr, how)
