"""An index in shards proposes what one index does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twimager.errors import TwimagerError
from twimager.fingerprint.features import NO_FEATURES
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.output.shards import Shards, shared
from twimager.pairing import index_shards
from twimager.pairing.index_shards import FEATURE_BYTES, LIST_BYTES, IndexShards, cuts, grouped
from twimager.propose.by_features import FeatureIndex
from twimager.runtime.pool import InlineExecutor, Threads

FEATURES = 90


class Remote(Threads):
    """Workers that may take so much memory for the index."""

    def __init__(self, index_memory: int) -> None:
        super().__init__(InlineExecutor(), 1)
        self._index_memory = index_memory

    @property
    def index_memory(self) -> int:
        return self._index_memory


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Shards]:
    with shared(tmp_path, False) as made:
        yield made


def images(descriptors: np.ndarray, shards: Shards | None = None) -> list[Fingerprint]:
    """Images that have these features, (n, m, 128), stored if there are `shards`; the fifth of ten has none."""
    unit = 512 * descriptors / np.linalg.norm(descriptors, axis=2, keepdims=True)
    made = []
    for number, own in enumerate(np.clip(np.rint(unit), 0, 255).astype(np.uint8)):
        some = own[: 0 if number % 10 == 5 else FEATURES - number % 3]
        zeros = np.zeros(len(some), np.float32)
        features = replace(NO_FEATURES, points=np.stack([zeros] * 2, 1), radii=zeros, angles=zeros, descriptors=some)
        stored = shards.store(features) if shards else features
        made.append(Fingerprint(Path(str(number)), (640, 480), (), stored))
    return made


def collection(count: int, shards: Shards | None = None) -> tuple[list[Fingerprint], list[Fingerprint]]:
    """HRs of random features, many of which several have, and LRs that have half of those of one, a little changed."""
    rng = np.random.default_rng(0)
    hrs = rng.gamma(0.5, size=(count, FEATURES, 128))
    hrs[1::2, ::3] = hrs[::2, ::3]
    noisy = hrs * rng.uniform(0.7, 1.3, hrs.shape)
    lrs = np.where(np.arange(FEATURES)[:, None] % 2, noisy, rng.gamma(0.5, size=hrs.shape))
    return images(hrs, shards), images(lrs, shards)


def proposed(index: FeatureIndex, lrs: list[Fingerprint], **how: object) -> list[list[str]]:
    return [[proposal.hr.path.name for proposal in of_one_lr] for of_one_lr in index.propose(lrs, **how)]


HOW = {
    "plain": {},
    "mirrored": {"mirror": True},
    "negative and mirrored": {"mirror": True, "invert": True},
    "wide": {"wide": True},
    "limited": {"limit": 3},
}


@pytest.mark.parametrize("memory", [80_000, 200_000, 1 << 30])
def test_shards_propose_what_one_index_does(shards: Shards, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_shards, "IN_A_LIST", 30)
    hrs, lrs = collection(100, shards)
    index, one = IndexShards(hrs, Remote(memory), shards), FeatureIndex(hrs, 1)
    files = sorted(path.name for path in shards.folder.iterdir())
    made = [name for name in files if name.removesuffix(".faiss").rpartition("-")[2].isdigit()]
    assert len(made) >= 3
    assert (len(index._groups) == 1) == (memory == 1 << 30)
    for how in HOW.values():
        assert proposed(index, lrs, **how) == proposed(one, lrs, **how) != [[]] * len(lrs)
    assert proposed(index, hrs, exclude_self=True) == proposed(one, hrs, exclude_self=True)
    assert sorted(path.name for path in shards.folder.iterdir()) == files


def test_votes_are_those_of_one_index_to_the_last_bit(shards: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_shards, "IN_A_LIST", 30)
    hrs, lrs = collection(100, shards)
    counted = list[np.ndarray]()
    chosen = index_shards.Query.chosen
    monkeypatch.setattr(index_shards.Query, "chosen", lambda self, votes: counted.append(votes) or chosen(self, votes))
    list(IndexShards(hrs, Remote(200_000), shards).propose(lrs))
    merged, counted[:] = [sorted(votes[votes > 0]) for votes in counted], []
    list(FeatureIndex(hrs, 1).propose(lrs))
    assert merged == [sorted(votes[votes > 0]) for votes in counted]


def test_what_is_done_twice_does_no_harm(shards: Shards) -> None:
    class Twice(Remote):
        def submit(self, task, item, crashed=None):
            task(item)
            return super().submit(task, item)

    hrs, lrs = collection(120, shards)
    assert proposed(IndexShards(hrs, Twice(100_000), shards), lrs) == proposed(FeatureIndex(hrs, 1), lrs)


def test_lrs_without_features_are_proposed_nothing(shards: Shards) -> None:
    hrs, lrs = collection(60, shards)
    assert proposed(IndexShards(hrs, Remote(100_000), shards), [lrs[5].without_features, lrs[15]]) == [[], []]


def test_a_shard_that_is_gone_ends_the_run(shards: Shards) -> None:
    hrs, lrs = collection(60, shards)
    index = IndexShards(hrs, Remote(1 << 30), shards)
    for path in shards.folder.glob("index-*"):
        path.unlink()
    with pytest.raises(TwimagerError, match="gone or damaged"):
        proposed(index, lrs)


def test_shards_are_even_and_fit() -> None:
    counts, lists = [300] * 1000, 500
    memory = LIST_BYTES * lists + FEATURE_BYTES * 30_000
    places = cuts(counts, lists, memory)
    assert (places[0], places[-1]) == (0, 1000)
    assert len(places) == 11
    assert max(np.diff(places)) - min(np.diff(places)) <= 1
    assert len(cuts(counts, lists, 1 << 40)) == 3  # 200,000 features each, at most
    assert len(cuts(counts, lists, 1)) == 601  # one in a list, at least


def test_groups_fit_but_for_what_is_alone() -> None:
    files = [Path(name) for name in "abcdef"]
    assert grouped(files, [4, 4, 4, 20, 1, 1], 9) == [files[:2], files[2:3], files[3:4], files[4:]]
