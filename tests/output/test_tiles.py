"""Where tiles are, and how much there is to see in one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twimager.errors import UsageError
from twimager.options import Framing, Options, PairSettings, Partial, Tiling, WriteSettings, parse_scale
from twimager.output.tiles import gradient, tile_windows

OF = Path("low"), Path("high")
SIDES = st.integers(1, 90)


@settings(suppress_health_check=list(HealthCheck))
@given(size=st.tuples(SIDES, SIDES), tile=st.integers(1, 40), step=st.integers(1, 40))
def test_tiles_lie_in_the_picture_and_cover_it_if_they_touch(size: tuple[int, int], tile: int, step: int) -> None:
    windows = tile_windows(size, tile, step)
    seen = np.zeros(size[::-1], int)
    for window in windows:
        assert window.cut(seen).shape == (tile, tile)
        window.cut(seen)[:] += 1
    assert bool(windows) == (min(size) >= tile)
    assert len(set(windows)) == len(windows)
    assert windows == sorted(windows, key=lambda window: (window.y, window.x))
    if windows and step <= tile:
        assert seen.min() > 0
    if step == tile and not any(side % tile for side in size):
        assert seen.max(initial=1) == 1


def test_the_last_tiles_end_with_the_picture() -> None:
    assert [window[:2] for window in tile_windows((50, 20), 20, 20)] == [(0, 0), (20, 0), (30, 0)]
    assert [window[:2] for window in tile_windows((20, 45), 20, 15)] == [(0, 0), (0, 15), (0, 25)]


def test_the_gradient_is_the_mean_difference_of_neighbours() -> None:
    ramp = np.repeat(np.arange(0, 80, 4, dtype=np.uint8)[None, :, None], 10, axis=0).repeat(3, axis=2)
    assert gradient(ramp)[:, :-1].mean() == 2  # 4 levels to the right, none below
    assert gradient(np.full((5, 5, 4), 200, np.uint8)).max() == 0
    assert gradient(ramp.astype(np.uint16) * 257).max() == 257 * gradient(ramp).max()


@pytest.mark.parametrize(
    ("numbers", "framing", "message"),
    [
        ([65], Framing(), "multiples of --scale 2"),
        ([64, 31], Framing(), "multiples of --scale 2"),
        ([64], Framing(parse_scale("1.5")), "not with --scale 1.5"),
        ([64], Framing(min_size=64), "makes LRs of 32 pixels, less than --min_size 64, or what --for needs: 128"),
        ([64], Framing(partial=Partial.MASK), "not with --partial mask"),
        ([64], Framing(partial=Partial.BLACK), "not with --partial black"),
        ([0], Framing(), "numbers above 0"),
        ([64, 64, 64], Framing(), "1 or 2 numbers"),
    ],
)
def test_what_makes_no_tiles_is_refused(numbers: list[int], framing: Framing, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Options(*OF, pair=PairSettings(framing=framing), write=WriteSettings(tile=Tiling.from_numbers(numbers)))
