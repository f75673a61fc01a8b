"""Groups of pairs are split as near to the share as they allow, the same for a seed, and none is torn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twimager.select.split import validation_groups

SIZES = st.dictionaries(st.text(min_size=1), st.integers(1, 9), min_size=2, max_size=8)


def reachable(sizes: list[int]) -> set[int]:
    sums = {0}
    for size in sizes:
        sums |= {before + size for before in sums}
    return sums - {0, sum(sizes)}


@given(sizes=SIZES, share=st.floats(0.01, 0.99), seed=st.integers())
def test_no_other_choice_of_groups_is_nearer_to_the_share(sizes: dict[str, int], share: float, seed: int) -> None:
    target = max(1, round(share * sum(sizes.values())))
    chosen = sum(sizes[name] for name in validation_groups(sizes, share, seed))
    assert abs(chosen - target) == min(abs(one - target) for one in reachable([*sizes.values()]))


def test_the_seed_decides_and_the_order_does_not() -> None:
    sizes = {f"scene {number}": 1 + number % 3 for number in range(40)}
    drawn = [validation_groups(sizes, 0.2, seed) for seed in range(5)]
    assert len({frozenset(names) for names in drawn}) == 5
    assert validation_groups(dict(reversed(sizes.items())), 0.2, 0) == drawn[0]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_there_is_one_at_least_on_either_side_of_two(share: float) -> None:
    assert len(validation_groups({"a": 90, "b": 3}, share, 0)) == 1


def test_of_a_single_group_and_of_none_nothing_is_to_validate_with() -> None:
    assert validation_groups({"a": 5}, 0.5, 0) == validation_groups({}, 0.5, 0) == set()


def test_many_groups_are_split_at_once() -> None:
    """A hundred thousand pairs, each a scene of its own, are no work."""
    sizes = {str(number): 1 for number in range(100_000)}
    assert len(validation_groups(sizes, 0.02, 0)) == 2000
