"""What is not known of a picture is filled in with the nearest that is."""

import numpy as np
import pytest

from twimager.image.inpaint import filled, inpainted, shrunk_known


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_hole_takes_the_values_around_it(channels: tuple[int, ...]) -> None:
    values = np.zeros((40, 60, *channels), np.float32)
    values[:, 30:] = 100
    known = np.ones((40, 60), bool)
    known[10:20, 5:15] = known[10:20, 45:55] = False
    spoiled = values.copy()
    spoiled[~known] = 255
    assert filled(spoiled, known) == pytest.approx(values, abs=1e-3)
    assert (inpainted(spoiled.astype(np.uint8), known) == values).all()


def test_where_nothing_is_known_all_is_black() -> None:
    assert not filled(np.full((5, 7), 9, np.float32), np.zeros((5, 7), bool)).any()


def test_a_copy_is_known_where_all_of_its_pixels_are() -> None:
    known = np.ones((60, 90), bool)
    known[20:22, 30:33] = False
    assert np.argwhere(~shrunk_known(known, (30, 20))).tolist() == [[6, 10], [7, 10]]
    larger = shrunk_known(known, (180, 120))
    assert not larger[40:44, 60:66].any()
    assert larger.mean() > 0.997
