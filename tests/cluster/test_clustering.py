"""Groups of hashes: those of SciPy on the full matrix, also where that would be too large."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from tests.support.paths import ROOT
from twimager.cluster import clustering
from twimager.cluster.clustering import Linkage, cluster_hashes, pack_hashes
from twimager.errors import UsageError

LINKAGES = pytest.mark.parametrize("linkage", Linkage)


def near_twins(count: int, bits: int, seed: int, share: float = 0.05) -> np.ndarray:
    """Hashes, half of which differ in a few bits from one of the others: (n, bits)."""
    rng = np.random.default_rng(seed)
    hashes = rng.random((count, bits)) < 0.5
    copied = rng.integers(count // 2, size=count - count // 2)
    hashes[count // 2 :] = hashes[copied] ^ (rng.random((len(copied), bits)) < share)
    return hashes[rng.permutation(count)]


def rows(hashes: np.ndarray) -> np.ndarray:
    return pack_hashes([int("".join(map(str, row.astype(int))), 2) for row in hashes], hashes.shape[1])


def by_scipy(hashes: np.ndarray, similarity: float, linkage: Linkage) -> set[frozenset[int]]:
    tree = hierarchy.linkage(pdist(hashes, "hamming"), linkage.value)
    return groups(hierarchy.fcluster(tree, similarity, "distance"))


def groups(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


@pytest.mark.slow
@LINKAGES
@pytest.mark.parametrize(
    ("count", "side", "similarities"), [(2000, 8, (0.2,)), (300, 9, (0.0, 0.1, 0.3, 0.45)), (300, 16, (0.2, 0.45))]
)
def test_groups_are_those_of_scipy(count: int, side: int, similarities: tuple[float, ...], linkage: Linkage) -> None:
    hashes = near_twins(count, side * side, seed=side)
    for similarity in similarities:
        found = groups(cluster_hashes(rows(hashes), side * side, similarity, linkage))
        assert found == by_scipy(hashes, similarity, linkage)


@LINKAGES
@pytest.mark.parametrize(("side", "similarity"), [(8, 0.0), (8, 0.2), (12, 0.2), (16, 0.3), (16, 0.36)])
def test_groups_of_many_are_the_same(side: int, similarity: float, linkage: Linkage) -> None:
    hashes = near_twins(800, side * side, seed=1, share=0.04)
    found = groups(cluster_hashes(rows(hashes), side * side, similarity, linkage, matrix_up_to=50))
    assert found == by_scipy(hashes, similarity, linkage)


@pytest.mark.slow
@pytest.mark.parametrize("linkage", [Linkage.AVERAGE, Linkage.WEIGHTED])
@pytest.mark.parametrize("similarity", [0.2, 0.44, 0.47])
def test_groups_without_a_matrix_are_the_same(similarity: float, linkage: Linkage) -> None:
    """All in one component or a few, and so many different distances that no two are equal where it matters."""
    hashes = near_twins(300, 2048, seed=3, share=0.1)
    found = groups(cluster_hashes(rows(hashes), 2048, similarity, linkage, matrix_up_to=1))
    assert found == by_scipy(hashes, similarity, linkage)


@settings(max_examples=30)
@given(values=st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=40), most=st.integers(0, 16))
def test_single_linkage_needs_no_luck(values: list[int], most: int) -> None:
    """Its groups do not depend on which of equally near ones are joined first."""
    hashes = pack_hashes(values, 16)
    whole = cluster_hashes(hashes, 16, most / 16, Linkage.SINGLE)
    assert (cluster_hashes(hashes, 16, most / 16, Linkage.SINGLE, matrix_up_to=0) == whole).all()


@settings(max_examples=30)
@given(values=st.lists(st.integers(0, 2**16 - 1), min_size=2, max_size=40), most=st.integers(0, 15))
@pytest.mark.parametrize("linkage", [Linkage.AVERAGE, Linkage.WEIGHTED, Linkage.COMPLETE])
def test_groups_are_within_reach(linkage: Linkage, values: list[int], most: int) -> None:
    """However ties fall: equal hashes stay together, and groups within a component."""
    hashes = pack_hashes(values, 16)
    labels = cluster_hashes(hashes, 16, most / 16, linkage, matrix_up_to=1)
    connected = cluster_hashes(hashes, 16, most / 16, Linkage.SINGLE)
    for label in range(labels.max() + 1):
        assert len(set(connected[labels == label])) == 1
    for value in set(values):
        assert len({label for label, other in zip(labels, values, strict=True) if other == value}) == 1


@settings(max_examples=30)
@given(values=st.lists(st.integers(0, 2**16 - 1), min_size=2, max_size=40), most=st.integers(0, 15))
@pytest.mark.parametrize("matrix_up_to", [1, 10, 100])
def test_no_two_groups_are_left_that_are_near(matrix_up_to: int, values: list[int], most: int) -> None:
    """However ties fall, by average linkage: what brute force finds of all distances between every two groups."""
    hashes = pack_hashes(values, 16)
    labels = cluster_hashes(hashes, 16, most / 16, Linkage.AVERAGE, matrix_up_to)
    apart = np.array([[(a ^ b).bit_count() for b in values] for a in values])
    for one in range(labels.max() + 1):
        for other in range(one):
            assert apart[labels == one][:, labels == other].mean() > most


def test_nought_puts_equal_ones_together_and_one_all() -> None:
    hashes = pack_hashes([5, 9, 5, 2**64 - 1, 9, 0], 64)
    assert cluster_hashes(hashes, 64, 0, Linkage.AVERAGE).tolist() == [0, 1, 0, 2, 1, 3]
    assert cluster_hashes(hashes, 64, 0, Linkage.AVERAGE, matrix_up_to=1).tolist() == [0, 1, 0, 2, 1, 3]
    assert cluster_hashes(hashes, 64, 1, Linkage.COMPLETE).tolist() == [0] * 6
    assert cluster_hashes(hashes[:1], 64, 0.2, Linkage.AVERAGE).tolist() == [0]
    assert cluster_hashes(hashes[:0], 64, 0.2, Linkage.AVERAGE).tolist() == []


def test_what_would_need_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "COMPLETE_UP_TO", 10)
    hashes = rows(near_twins(100, 64, seed=1))
    with pytest.raises(UsageError, match="100 images are connected"):
        cluster_hashes(hashes, 64, 0.6, Linkage.COMPLETE, matrix_up_to=5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is counted in Linux's kilobytes")
def test_a_hundred_thousand_take_less_than_two_gigabytes() -> None:
    script = """
import resource, numpy
from twimager.cluster.clustering import Linkage, cluster_hashes
rng = numpy.random.default_rng(1)
hashes = rng.integers(256, size=(100_000, 8), dtype=numpy.uint8)
hashes[50_000:, :7] = hashes[:50_000, :7]
hashes[99_000:] = 0
labels = cluster_hashes(hashes, 64, 0.2, Linkage.AVERAGE)
print(labels.max() + 1, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found, megabytes = map(int, told.split())
    assert 45_000 < found < 51_500
    assert megabytes < 2000
