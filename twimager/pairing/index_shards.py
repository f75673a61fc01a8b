"""The index of the HRs' features in shards, which remote workers make and search.

Any worker searches whichever shards come next, and LRs are split among the workers: nothing is moved between these.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from twimager.errors import TwimagerError
from twimager.fingerprint.features import NO_FEATURES, Features, StoredFeatures
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.output.shards import Shards
from twimager.pairing.read import Reader
from twimager.propose.by_features import (
    BATCH,
    CODE_BITS,
    CODES,
    EXACT_UP_TO,
    INDEXED,
    NEIGHBOURS,
    FeatureIndex,
    Query,
    empty_index,
    indexed,
    weights,
)
from twimager.runtime.child import heartbeat
from twimager.runtime.console import counted
from twimager.runtime.pool import Workers

# Features of a shard for each of its lists. To search a shard for a feature takes 6 microseconds whatever is in it, and
# one or more for each hundred in a list: with so many the shards of a million HRs take two to three times as long as
# one index would.
IN_A_LIST = 400
# What a shard takes in memory: codes and an owner for each feature; a list is padded by 16 codes, on average.
FEATURE_BYTES = CODES * CODE_BITS // 8 + 8
LIST_BYTES = 16 * CODES * CODE_BITS // 8 + 64


# FAISS's types lack what its Python side adds.
FAISS: Any = faiss
Stored = Features | StoredFeatures


class Part(NamedTuple):
    """The HRs of a shard: which it is, the number of the first, and the features of all."""

    number: int
    first: int
    hrs: Sequence[Stored]


class Batch(NamedTuple):
    """LRs that are searched for together.

    Attributes
    ----------
    number : of the batch
    lrs : their features
    own : the number of the HR that each of them is, if it is one
    """

    number: int
    lrs: Sequence[Stored]
    own: Sequence[int | None]


class Nearest(NamedTuple):
    """What is known of n features between two groups of shards.

    Attributes
    ----------
    lists : (n, probes), which are searched
    squares : (n, NEIGHBOURS + 1), squared distances of the nearest so far, those first
    owners : of the same shape, the numbers of their HRs; -1 for none
    """

    lists: NDArray[np.int64]
    squares: NDArray[np.float32]
    owners: NDArray[np.int64]


class Group(NamedTuple):
    """Shards that a process keeps at once.

    Attributes
    ----------
    quantizer : what finds the lists of a feature
    files : the shards
    before, after : begin the names of what is known before and after this group, None of the first and the last one
    """

    shards: Shards
    quantizer: Path
    files: Sequence[Path]
    before: str | None
    after: str | None


class IndexShards(FeatureIndex):
    """A nearest-neighbour index of the HRs' features that proposes what `FeatureIndex` does."""

    def __init__(self, hrs: Sequence[Fingerprint], workers: Workers, shards: Shards) -> None:
        """Have workers index the strongest features of `hrs`, more than EXACT_UP_TO, in files of `shards`."""
        self._hrs, self._workers, self._shards = hrs, workers, shards
        self._name = f"index-{uuid.uuid4().hex}"
        counts = list(map(indexed, hrs))
        index: Any = empty_index(hrs, sum(counts))
        self._quantizer = self._written("quantizer", index.quantizer)
        index.quantizer = FAISS.IndexFlatL2(index.d)  # the shards share one
        make = partial(
            make_shard, shards=shards, name=self._name, empty=self._written("empty", index), quantizer=self._quantizer
        )
        parts = (
            Part(number, first, _features(hrs[first:end]))
            for number, (first, end) in enumerate(pairwise(cuts(counts, index.nlist, workers.index_memory)))
        )
        sizes = self._made(make, parts)
        files = [shards.folder / _shard_name(self._name, number) for number in range(len(sizes))]
        self._groups = grouped(files, sizes, workers.index_memory)

    def _made(self, make: Callable[[Part], int], parts: Iterable[Part]) -> list[int]:
        """Make the shards, each by itself, and return their bytes."""
        futures = list[Future[int]]()
        for part in parts:
            futures.append(self._workers.submit(make, part))
            self._workers.flush(make)
        return [future.result() for future in futures]

    @property
    def size(self) -> str:
        """How many shards it has, and in how many passes they are searched."""
        return f"{counted(sum(map(len, self._groups)), 'shard')}, {counted(len(self._groups), 'pass', 'passes')}"

    def _written(self, kind: str, index: Any) -> Path:
        name = f"{self._name}-{kind}.faiss"
        self._shards.write(name, partial(_write_index, index))
        return self._shards.folder / name

    def _found(
        self, batched: Iterable[Sequence[Fingerprint]], query: Query, without: Sequence[int | None]
    ) -> Iterator[Sequence[int]]:
        """Yield the numbers of the HRs that are proposed for every LR; the last group of shards tells."""
        batches, number = list[Batch](), 0
        for lrs in batched:
            batches.append(Batch(len(batches), _features(lrs), without[number : number + len(lrs)]))
            number += len(lrs)
        between = [f"nearest-{uuid.uuid4().hex}-" for _ in self._groups[1:]]
        for files, before, after in zip(self._groups, [None, *between], [*between, None], strict=True):
            group = Group(self._shards, self._quantizer, files, before, after)
            found = self._workers.map_shards(partial(search_group, group=group, query=query), batches)
            if after:
                deque(found, maxlen=0)
            else:
                yield from (numbers for of_one_batch in found for numbers in of_one_batch)
            if before:
                self._shards.remove(f"{before}{batch.number}.npz" for batch in batches)


def feature_index(hrs: Sequence[Fingerprint], reader: Reader) -> FeatureIndex:
    """Return an index of the HRs' features: in shards, if remote workers share a folder and it is worth it."""
    if reader.shards and sum(map(indexed, hrs)) > EXACT_UP_TO:
        index = IndexShards(hrs, reader.workers, reader.shards)
        reader.console.decision(f"index of features: {index.size}")
        return index
    return FeatureIndex(hrs, reader.workers.jobs)


def _features(images: Sequence[Fingerprint]) -> list[Stored]:
    return [image.features or NO_FEATURES for image in images]


def cuts(counts: Sequence[int], lists: int, memory: int) -> list[int]:
    """Return where shards begin, and the end of the last, so that each fits into `memory`.

    Parameters
    ----------
    counts : (n,), how many features of each HR are indexed
    lists : how many lists a shard has
    """
    most = min(IN_A_LIST * lists, max(lists, (memory - LIST_BYTES * lists) // FEATURE_BYTES))
    sums = [0, *accumulate(counts)]
    shards = -(-sums[-1] // most)
    return [int(place) for place in np.searchsorted(sums, np.linspace(0, sums[-1], shards + 1))]


def grouped(files: Sequence[Path], sizes: Sequence[int], memory: int) -> list[list[Path]]:
    """Return files in groups, each of which, if it is not one file, fits into `memory`."""
    groups, left = list[list[Path]](), 0
    for file, size in zip(files, sizes, strict=True):
        if size > left or not groups:
            groups.append([])
            left = memory
        groups[-1].append(file)
        left -= size
    return groups


def make_shard(part: Part, shards: Shards, name: str, empty: Path, quantizer: Path) -> int:
    """Worker task: index the HRs of a shard, and return how many bytes the file has."""
    _kept.clear()
    index = _read_index(empty)
    own, index.quantizer = index.quantizer, _quantizer(quantizer)
    try:
        for start in range(0, len(part.hrs), BATCH):
            descriptors = [hr.loaded().descriptors[:INDEXED] for hr in part.hrs[start : start + BATCH]]
            numbers = np.arange(part.first + start, part.first + start + len(descriptors))
            owners = np.repeat(numbers, list(map(len, descriptors)))
            index.add_with_ids(np.concatenate(descriptors).astype(np.float32), owners)
            heartbeat.beat()
    finally:
        index.quantizer = own
    return shards.write(_shard_name(name, part.number), partial(_write_index, index))


def search_group(batch: Batch, group: Group, query: Query) -> list[list[int]]:
    """Worker task: search a group of shards; of the last one, return the numbers of the HRs proposed for every LR."""
    descriptors = [query.descriptors(lr.loaded()) for lr in batch.lrs]
    features = np.concatenate(descriptors).astype(np.float32)
    nearest = _nearest_before(batch, group) if group.before else _none_yet(features, _quantizer(group.quantizer), query)
    for index in _kept_indexes(group.files):
        nearest = _nearer(features, nearest, index)
        heartbeat.beat()
    if group.after:
        group.shards.write(f"{group.after}{batch.number}.npz", partial(_write_arrays, nearest))
        return []
    ends = np.cumsum(list(map(len, descriptors)))[:-1]
    weighted = np.split(weights(nearest.squares, nearest.owners), ends)
    owners = np.split(nearest.owners[:, :-1], ends)
    return [voted(*ballots, query) for ballots in zip(weighted, owners, batch.own, strict=True)]


def voted(weighted: NDArray[np.float32], owners: NDArray[np.int64], own: int | None, query: Query) -> list[int]:
    """Return the HRs that the features of an LR, (n, NEIGHBOURS), vote for, those with the most votes first."""
    numbers, places = np.unique(owners, return_inverse=True)
    votes = np.asarray(np.bincount(places.ravel(), weighted.ravel(), len(numbers)), np.float64)
    votes[numbers == own] = 0
    found: list[int] = numbers[query.chosen(votes)].tolist()
    return found


def _none_yet(features: NDArray[np.float32], quantizer: Any, query: Query) -> Nearest:
    """Return which lists are searched for n features, (n, 128), of which nothing else is known."""
    shape = len(features), NEIGHBOURS + 1
    _, lists = quantizer.search(features, min(query.probes, quantizer.ntotal))
    return Nearest(lists, np.full(shape, np.inf, np.float32), np.full(shape, -1))


def _nearer(features: NDArray[np.float32], nearest: Nearest, index: Any) -> Nearest:
    """Return the nearest of those that are known and of those in a shard."""
    lists, squares, owners = nearest
    index.nprobe = lists.shape[1]
    # Codes are of features themselves, not of how they differ from their list's centre: its distance does not matter.
    found = index.search_preassigned(features, NEIGHBOURS + 1, lists, np.zeros(lists.shape, np.float32))
    squares, owners = np.hstack([squares, found[0]]), np.hstack([owners, found[1]])
    order = np.argsort(squares, axis=1, kind="stable")[:, : NEIGHBOURS + 1]
    return Nearest(lists, np.take_along_axis(squares, order, 1), np.take_along_axis(owners, order, 1))


def _nearest_before(batch: Batch, group: Group) -> Nearest:
    path = group.shards.folder / f"{group.before}{batch.number}.npz"
    try:
        with np.load(path) as arrays:
            return Nearest(*(arrays[name] for name in Nearest._fields))
    except OSError as error:
        raise TwimagerError(f"cannot read {path}: {error.strerror}") from error


def _write_arrays(nearest: Nearest, file: IO[bytes]) -> None:
    np.savez(file, **nearest._asdict())


def _shard_name(name: str, number: int) -> str:
    return f"{name}-{number}.faiss"


# The shards that this process keeps: those of one group.
_kept: dict[Path, Any] = {}


def _kept_indexes(files: Sequence[Path]) -> Iterator[Any]:
    """Yield the indexes in files, which are kept while no others are read."""
    for other in _kept.keys() - set(files):
        del _kept[other]
    for file in files:
        if file not in _kept:
            _kept[file] = _read_index(file)
        yield _kept[file]


@lru_cache(1)
def _quantizer(file: Path) -> Any:
    return _read_index(file)


def _write_index(index: Any, file: IO[bytes]) -> None:
    FAISS.write_index(index, FAISS.PyCallbackIOWriter(file.write))


def _read_index(file: Path) -> Any:
    try:
        return FAISS.read_index(str(file))
    except RuntimeError as error:
        raise TwimagerError(f"cannot read {file}: it is gone or damaged") from error
