"""The hash index answers as brute force does."""

from pathlib import Path

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pictures import cat

from twimager.fingerprints import Fingerprint, fingerprint
from twimager.proposals.hashes import HashIndex, propose

HASHES = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 40) | st.just(2**64 - 1), max_size=40)


@given(HASHES, HASHES, st.integers(0, 64))
def test_index_equals_brute_force(owned: list[int], asked: list[int], distance: int) -> None:
    index = HashIndex((value, owner) for owner, value in enumerate(owned))
    for value in asked:
        brute = [(owner, (value ^ other).bit_count()) for owner, other in enumerate(owned)]
        assert sorted(index.within(value, distance)) == [found for found in brute if found[1] <= distance]


def test_equal_hashes_keep_all_their_owners() -> None:
    index = HashIndex([(5, 0), (5, 1), (7, 2)])
    assert sorted(index.within(5, 0)) == [(0, 0), (1, 0)]


def image(name: str, *hashes: int) -> Fingerprint:
    return Fingerprint(Path(name), (9, 9), hashes, np.empty((0, 2)), np.empty(0), np.empty((0, 128), np.uint8))


def test_a_pair_is_proposed_once_by_its_nearest_hashes() -> None:
    lr, near, far = image("l", 0b1111, 0b1), image("n", 0b1110, 0b0), image("f", 0xFFFF)
    found = [(p.lr.path.name, p.hr.path.name, p.distance) for p in propose([lr], [far, near], 3)]
    assert found == [("l", "n", 1)]


def test_a_wide_picture_is_also_known_by_its_centre_square(tmp_path: Path) -> None:
    wide = cat()[:280, :448]
    for name, pixels in (("wide", wide), ("square", wide[:, 84:364])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    square, whole = fingerprint(tmp_path / "square.png"), fingerprint(tmp_path / "wide.png")
    assert len(square.hashes) == 1
    assert [p.distance <= 4 for p in propose([square], [whole], 12)] == [True]
