"""The hash index answers as brute force does."""

from hypothesis import given
from hypothesis import strategies as st

from twimager.proposals.hashes import HashIndex

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
