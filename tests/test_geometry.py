"""Pixel centres, and what two frames have in common."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twimager.geometry import (
    Rect,
    area_scale,
    common_rectangle,
    covered_share,
    frame_corners,
    resize_matrix,
    scaling,
    transform_points,
    translation,
)


def test_a_resize_maps_pixel_centres_by_the_half_pixel_rule() -> None:
    assert transform_points(scaling(4), np.array([[0.0, 0.0], [10.0, 2.0]])) == pytest.approx(
        np.array([[1.5, 1.5], [41.5, 9.5]])
    )


def test_a_resized_frame_keeps_its_outer_edges() -> None:
    assert transform_points(resize_matrix((640, 480), (213, 160)), frame_corners((640, 480))) == pytest.approx(
        frame_corners((213, 160))
    )


def test_the_centre_of_mass_of_an_area_shrink_moves_by_the_rule() -> None:
    spot = np.zeros((60, 80), np.float32)
    spot[24:28, 36:40] = 1
    small = cv2.resize(spot, (20, 15), interpolation=cv2.INTER_AREA)
    y, x = (float((np.indices(small.shape)[axis] * small).sum() / small.sum()) for axis in (0, 1))
    assert transform_points(scaling(1 / 4), np.array([[37.5, 25.5]]))[0] == pytest.approx([x, y])


def test_area_scale_is_signed() -> None:
    assert area_scale(scaling(0.5, 0.25), (100, 60)) == pytest.approx(0.125)
    assert area_scale(np.diag([-1.0, 1.0, 1.0]), (100, 60)) == pytest.approx(-1)


def test_covered_share_of_a_shifted_frame() -> None:
    assert covered_share(translation(25, 0), (100, 60), (100, 60)) == pytest.approx(0.75)
    assert covered_share(translation(200, 0), (100, 60), (100, 60)) == 0


def test_common_rectangle_of_equal_frames_is_all_of_it() -> None:
    assert common_rectangle(scaling(0.25), (400, 240), (100, 60)) == Rect(0, 0, 100, 60)


def test_common_rectangle_leaves_out_partly_covered_pixels() -> None:
    assert common_rectangle(translation(2.5, -1.25), (100, 60), (100, 60)) == Rect(3, 0, 97, 58)


def test_tolerance_keeps_pixels_that_are_covered_but_for_a_sliver() -> None:
    assert common_rectangle(translation(0.1, 0), (100, 60), (100, 60), 0.125) == Rect(0, 0, 100, 60)


def test_no_common_rectangle_where_frames_do_not_meet() -> None:
    assert common_rectangle(translation(150, 0), (100, 60), (100, 60)) is None


def largest_by_brute_force(covered: np.ndarray) -> int:
    """Area of the largest all-true rectangle."""
    total = np.zeros((covered.shape[0] + 1, covered.shape[1] + 1), int)
    total[1:, 1:] = covered.cumsum(0).cumsum(1)
    best = 0
    for top in range(covered.shape[0]):
        for left in range(covered.shape[1]):
            inside = total[top + 1 :, left + 1 :] - total[top, left + 1 :] - total[top + 1 :, [left]] + total[top, left]
            areas = np.outer(np.arange(1, inside.shape[0] + 1), np.arange(1, inside.shape[1] + 1))
            best = max(best, int(areas[inside == areas].max(initial=0)))
    return best


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.floats(-40, 40),
    st.floats(-12, 12),
    st.floats(-9, 9),
    st.floats(0.4, 1.3),
    st.floats(-0.004, 0.004),
)
def test_common_rectangle_is_the_largest_of_covered_pixels(
    degrees: float, x: float, y: float, scale: float, lean: float
) -> None:
    hr_size, lr_size = (30, 22), (26, 18)
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    matrix = np.array([[c, -s, x], [s, c, y], [lean, -lean, 1]])
    columns, rows = np.meshgrid(np.arange(lr_size[0]), np.arange(lr_size[1]))
    corners = np.stack([columns, rows], -1).reshape(-1, 1, 2) + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    source = transform_points(np.asarray(np.linalg.inv(matrix)), corners.reshape(-1, 2)).reshape(-1, 4, 2)
    found = common_rectangle(matrix, hr_size, lr_size)
    area = found.width * found.height if found else 0
    # Pixels that the frame's edge touches, to within a few millionths, may count or not.
    surely, perhaps = (
        ((source > -0.5 - slack) & (source < np.array(hr_size) - 0.5 + slack)).all(axis=(1, 2)).reshape(lr_size[::-1])
        for slack in (-5e-6, 5e-6)
    )
    assert largest_by_brute_force(surely) <= area <= largest_by_brute_force(perhaps)
    assert found is None or found.cut(perhaps).all()
