"""The hash index equals brute force."""

from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.paths import EXAMPLES
from tests.support.pictures import cat
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR, Fingerprint
from twimager.fingerprint.phash import perceptual_hash
from twimager.geometry import transform_points
from twimager.propose.by_hash import HashIndex, nearest_hashes, propose
from twimager.propose.proposal import CANDIDATES

HASHES = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 40) | st.just(2**64 - 1), max_size=40)


@pytest.mark.parametrize("vp_tree_up_to", [0, 100])
@given(owned=HASHES, queries=HASHES, distance=st.integers(0, 64))
def test_vp_tree_and_faiss_equal_brute_force(
    vp_tree_up_to: int, owned: list[int], queries: list[int], distance: int
) -> None:
    index = HashIndex(((value, owner) for owner, value in enumerate(owned)), vp_tree_up_to)
    for value, near in zip(queries, index.within(queries, distance), strict=True):
        found = [(owner, bits) for bits, owners in near for owner in owners]
        brute = [(owner, (value ^ other).bit_count()) for owner, other in enumerate(owned)]
        assert sorted(found) == [couple for couple in brute if couple[1] <= distance]


def test_equal_hashes_keep_all_their_owners() -> None:
    assert list(HashIndex([(5, 0), (5, 1), (7, 2)]).within([5], 0)) == [[(0, [0, 1])]]


@pytest.mark.parametrize("side", [8, 11, 16])
def test_the_hash_is_that_of_imagehash(side: int) -> None:
    for path in sorted(EXAMPLES.glob("?R/*.[jp]*g")):
        gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        ours = perceptual_hash(np.asarray(gray, np.uint8), side)
        bits = np.packbits(imagehash.phash(Image.fromarray(gray), hash_size=side).hash)
        assert ours == int.from_bytes(bits.tobytes(), "big")


def image(name: str, *hashes: int, size: tuple[int, int] = (9, 9)) -> Fingerprint:
    return Fingerprint(Path(name), size, hashes)


def proposed(lrs: list[Fingerprint], hrs: list[Fingerprint], distance: int) -> list[list[str]]:
    return [[p.hr.path.name for p in of_one_lr] for of_one_lr in propose(lrs, hrs, distance)[0]]


def test_a_pair_is_proposed_once_by_its_nearest_hashes() -> None:
    lr, near, far = image("l", 0b1111, 0b1), image("n", 0b1110, 0b0), image("f", 0xFFFF)
    assert proposed([lr], [far, near], 3) == [["n"]]
    assert nearest_hashes(lr, near)[0] == 1


def test_copies_of_one_picture_do_not_all_propose_the_first() -> None:
    lrs, hrs = ([image(f"{side}{number:02}", 5) for number in range(30)] for side in "lh")
    found = proposed(lrs, hrs, 12)
    assert [hrs_of_one[0] for hrs_of_one in found] == [hr.path.name for hr in hrs]
    assert {len(hrs_of_one) for hrs_of_one in found} == {CANDIDATES}
    assert propose(lrs, hrs, 12)[1] == [30] * 30


def test_the_hashes_that_are_near_tell_the_framing() -> None:
    square, wide = image("s", 5, size=(90, 90)), image("w", 0xFFFF, 5, size=(320, 180))
    bits, matrix = nearest_hashes(square, wide)
    assert bits == 0
    assert transform_points(matrix, np.array([[69.5, -0.5], [249.5, 179.5]])) == pytest.approx(
        np.array([[-0.5, -0.5], [89.5, 89.5]])
    )


def test_a_wide_picture_is_also_known_by_its_centre_square(tmp_path: Path) -> None:
    wide = cat()[:280, :448]
    for name, pixels in (("wide", wide), ("square", wide[:, 84:364])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    square, whole = fingerprint(tmp_path / "square.png", LIGHT_HR), fingerprint(tmp_path / "wide.png", LIGHT_HR)
    assert len(square.hashes) == 1
    assert nearest_hashes(square, whole)[0] <= 4
