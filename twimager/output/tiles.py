"""The tiles that a pair is cut into: where they are, which are written, and their files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.errors import Reason, Rejection
from twimager.geometry import Rect, Size
from twimager.image.files import read_bytes
from twimager.image.pixels import Pixels, to_gray
from twimager.options import Options
from twimager.output.mask import hidden
from twimager.output.names import Outputs
from twimager.output.render import hr_picture, lr_picture, output_bits, output_size
from twimager.pairs import VerifiedPair
from twimager.runtime.console import counted

# What a pixel of a tile's file takes at most: four values.
CHANNELS = 4
# What an LR pixel takes while its gradient is computed: seven values of 4 bytes.
GRADIENT_BYTES = 28


class Tile(NamedTuple):
    """A part of a pair that has files of its own: which LR pixels, as the pair's window has them, and the files."""

    window: Rect
    outputs: Outputs


def tile_windows(size: Size, tile: int, step: int) -> list[Rect]:
    """Return the squares with sides of `tile` that a picture of `size` (width, height) is cut into, rows first.

    They begin every `step` pixels; where a remainder is left, there is one more that ends with the picture.

    Examples
    --------
    >>> from twimager.output.tiles import tile_windows
    >>> [(x, y) for x, y, _, _ in tile_windows((100, 60), 40, 30)]
    [(0, 0), (30, 0), (60, 0), (0, 20), (30, 20), (60, 20)]
    >>> tile_windows((100, 30), 40, 30)
    []
    """
    columns, rows = (_starts(length, tile, step) for length in size)
    return [Rect(x, y, tile, tile) for y in rows for x in columns]


def _starts(length: int, tile: int, step: int) -> list[int]:
    """Return where tiles begin along a side."""
    starts = list(range(0, length - tile + 1, step))
    has_remainder = starts and starts[-1] + tile < length
    return [*starts, length - tile] if has_remainder else starts


def tiles_of(pair: VerifiedPair, outputs: Outputs, options: Options) -> list[Tile]:
    """Return all tiles of a pair, none without `--tile`.

    Their numbers count those that are not written, too, so that a name tells where a tile was.
    """
    tiling, scale = options.write.tile, options.pair.framing.scale
    if not tiling:
        return []
    windows = tile_windows(pair.window[2:], int(tiling.size / scale), int(tiling.step / scale))
    return [Tile(one.moved(*pair.window[:2]), outputs.tile(number)) for number, one in enumerate(windows, 1)]


def render_tiles(
    pair: VerifiedPair, outputs: Outputs, options: Options
) -> tuple[list[Tile], dict[Path, bytes]] | Rejection:
    """Return those tiles of a pair that are to be written, and their files: both pictures are made once, then cut."""
    framing, write = options.pair.framing, options.write
    lr = lr_picture(pair, write, read_bytes(pair.proposal.lr.path))
    bits = 8 if lr.pixels.dtype == np.uint8 else output_bits(pair, write) or pair.proposal.lr.bits
    detail = gradient(lr.pixels) * np.float32(255 / ((1 << bits) - 1))
    tiles = usable(pair, tiles_of(pair, outputs, options), detail, write.min_detail)
    if isinstance(tiles, Rejection):
        return tiles
    hr = hr_picture(pair, framing, write) if outputs.hr else None
    files: dict[Path, bytes] = {}
    for tile in tiles:
        window = _within(tile, pair)
        if tile.outputs.lr:
            files[tile.outputs.lr] = lr.cut(window).encoded(write)
        if tile.outputs.hr and hr:
            place = output_size(Rect(0, 0, window.x, window.y), framing.scale)
            files[tile.outputs.hr] = hr.cut(Rect(*place, *output_size(window, framing.scale))).encoded(write)
    return tiles, files


def usable(
    pair: VerifiedPair, tiles: Sequence[Tile], detail: NDArray[np.float32], min_detail: float
) -> list[Tile] | Rejection:
    """Return the tiles in which the pair's mask would be white all over and there is something to see.

    Parameters
    ----------
    detail : (h, w), the gradient of the LR output, in levels of 255
    min_detail : the least mean of that in a tile
    """
    differs = hidden(pair)
    agreeing = [tile for tile in tiles if not _within(tile, pair).cut(differs).any()]
    found = [tile for tile in agreeing if _within(tile, pair).cut(detail).mean() >= min_detail]
    if found:
        return found
    width, height = pair.window[2:]
    flat = counted(len(agreeing), "is flat", "are flat")
    why = f"{len(tiles) - len(agreeing)} of {len(tiles)} differ or are not covered, {flat}"
    return Rejection(Reason.NO_TILE, why if tiles else f"{width}x{height} LR pixels are less than one")


def gradient(pixels: Pixels) -> NDArray[np.float32]:
    """Return by how much the gray of pixels, (h, w, ...), differs from that to the right and below, (h, w)."""
    gray = to_gray(pixels[..., :3]).astype(np.float32)
    right, below = (np.diff(gray, axis=axis, append=gray.take([-1], axis)) for axis in (1, 0))
    return np.asarray((abs(right) + abs(below)) / 2, np.float32)


def tile_bytes(pair: VerifiedPair, options: Options) -> int:
    """Return how many bytes a pair's tiles take, at most, on top of its pictures: all files, and the LR's gradient."""
    tiling = options.write.tile
    if not tiling:
        return 0
    count = len(tiles_of(pair, Outputs(), options))
    depth = max((options.write.bits or 8) // 8, *(image.depth for image in pair.proposal.images))
    files = 2 * CHANNELS * depth * count * tiling.size**2  # a whole scale: no LR is larger than its HR
    return files + GRADIENT_BYTES * math.prod(pair.window[2:])


def _within(tile: Tile, pair: VerifiedPair) -> Rect:
    """Return a tile's LR pixels as the LR output has them."""
    return tile.window.moved(-pair.window.x, -pair.window.y)
