"""Measure the index of features that a cluster's workers make and search in shards: recall, time, memory.

    python benchmarks/index_shards.py PHOTOS [--images N] [--shards N] [--in_a_list N] [--lrs N] [--exact N]

The features are made up as by `search.py`, shard by shard. Of an index that would take too long, the first shards are
made alone, which hold the true HRs of all LRs: time for the others is added, and the recall is an upper bound, as HRs
in the others might be proposed in place of the true one. For some of the LRs every feature of these shards is compared,
as well: what an exact index proposes. A quarter of the LRs have half of their HR's features, others a tenth, a
twentieth, a fiftieth, with noise of their own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from search import Images, megabytes  # type: ignore[import-not-found]

from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.features import Features
from twimager.fingerprint.fingerprint import LIGHT_HR, NO_THUMBNAIL, RICH, Fingerprint
from twimager.output.shards import shared
from twimager.pairing import index_shards
from twimager.pairing.index_shards import IndexShards, Part
from twimager.propose.by_features import NEIGHBOURS, Query, batches, weights
from twimager.runtime.pool import InlineExecutor, Threads

KEPT = 0.5, 0.1, 0.05, 0.02
# HRs whose features are compared at a time.
AT_ONCE = 500


@dataclass(frozen=True)
class Made:
    """The features of an HR, which are made whenever they are needed."""

    images: Images
    number: int
    count = LIGHT_HR.features

    def loaded(self) -> Features:
        """Return them."""
        features: Features = self.images[self.number].known_features
        return features

    def descriptor(self, number: int) -> NDArray[np.uint8]:
        """Return one descriptor, (128,)."""
        return self.loaded().descriptor(number)


class HRs(Sequence[Fingerprint]):
    """Made-up HRs, which take no memory."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, wanted: int | slice) -> Any:
        """Return an HR, or a list of them."""
        if isinstance(wanted, slice):
            return [self[number] for number in range(*wanted.indices(len(self)))]
        if wanted >= len(self):
            raise IndexError(wanted)
        features: Any = Made(self._images, wanted)
        return Fingerprint(Path(str(wanted)), (640, 480), (), features, thumbnail=NO_THUMBNAIL)


class OneThread(Threads):
    """One thread, which may take any memory, so that there is one pass."""

    index_memory = 1 << 50


class FirstShards(IndexShards):
    """An index of which some shards alone are made."""

    most: int | None = None
    parts: Sequence[Part] = ()

    def _made(self, make: Callable[[Part], int], parts: Iterable[Part]) -> list[int]:
        self.parts = list(parts)
        return super()._made(make, self.parts[: self.most])


def exactly(images: Images, hrs: int, lrs: Sequence[Fingerprint]) -> list[list[int]]:
    """Return the numbers of the HRs, of the first so many, that an index would propose that compares every feature."""
    queries = np.concatenate([lr.known_features.descriptors for lr in lrs]).astype(np.float32)
    squares, owners = (np.full((len(queries), NEIGHBOURS + 1), value) for value in (np.float32(np.inf), -1))
    for start in range(0, hrs, AT_ONCE):
        batch = [image.known_features.descriptors for image in images[start : min(start + AT_ONCE, hrs)]]
        found = faiss.knn(queries, np.concatenate(batch).astype(np.float32), NEIGHBOURS + 1)
        numbers = start + np.repeat(np.arange(len(batch)), list(map(len, batch)))[found[1]]
        both, whose = np.hstack([squares, found[0]]), np.hstack([owners, numbers])
        order = np.argsort(both, axis=1, kind="stable")[:, : NEIGHBOURS + 1]
        squares, owners = np.take_along_axis(both, order, 1), np.take_along_axis(whose, order, 1)
    ends = np.cumsum([lr.feature_count for lr in lrs])[:-1]
    split = zip(np.split(weights(squares, owners), ends), np.split(owners[:, :-1], ends), strict=True)
    return [index_shards.voted(*ballots, None, Query()) for ballots in split]


def recall(numbers: Sequence[int], found: Sequence[Sequence[int]]) -> str:
    """Return for which shares of LRs the true HR is proposed, by how many of its features they have."""
    hits = [number in proposed for number, proposed in zip(numbers, found, strict=True)]
    return ", ".join(f"{np.mean(hits[place :: len(KEPT)]):.3f}" for place in range(len(KEPT)))


def main() -> None:
    """Make the shards, search them, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--shards", type=int, help="make so many (default: all)")
    parser.add_argument("--lrs", type=int, default=300)
    parser.add_argument("--exact", type=int, default=0, help="compare all features for so many of the LRs")
    parser.add_argument("--in_a_list", type=int, default=index_shards.IN_A_LIST, help="features a list")
    values = parser.parse_args()
    index_shards.IN_A_LIST = values.in_a_list
    paths = sorted(path for path in values.photos.rglob("*") if path.suffix in (".jpg", ".png"))
    real = [fingerprint(path, RICH).known_features.descriptors for path in paths]
    images = Images(np.concatenate(real).astype(np.float32), values.images)
    FirstShards.most = values.shards
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, shared(Path(folder), False) as shards:
        started = time.process_time()
        index = FirstShards(HRs(images), OneThread(InlineExecutor(), 1), shards)
        making = time.process_time() - started
        files = [path.stat().st_size for path in shards.folder.iterdir() if path.stem[-1].isdigit()]
        hrs = sum(len(part.hrs) for part in index.parts[: values.shards])
        numbers = np.linspace(0, hrs - 1, values.lrs).astype(int).tolist()
        lrs = [images.lr(number, KEPT[place % len(KEPT)]) for place, number in enumerate(numbers)]
        next(index.propose(lrs[:1]))  # loads the shards
        started = time.process_time()
        found = [[int(proposal.hr.path.name) for proposal in proposals] for proposals in index.propose(lrs)]
        searching = (time.process_time() - started) / len(lrs)
        started = time.process_time()
        (quantizer,) = (path for path in shards.folder.iterdir() if "quantizer" in path.name)
        coarse: Any = faiss.read_index(str(quantizer))
        for batch in batches(lrs):
            features = np.concatenate([lr.known_features.descriptors for lr in batch])
            coarse.search(features.astype(np.float32), Query().probes)
        assigning = (time.process_time() - started) / len(lrs)
    in_all = assigning + (searching - assigning) * len(index.parts) / len(files)
    few = list(islice(zip(numbers, lrs, found, strict=True), values.exact))
    exact = exactly(images, hrs, [lr for _, lr, _ in few]) if few else []
    of_few = recall([number for number, *_ in few], [proposed for *_, proposed in few]) if few else ""
    taken = making / hrs, searching, in_all, assigning
    made, each, all_shards, lists = (f"{1000 * seconds:.1f} ms" for seconds in taken)
    sys.stdout.write(
        f"{values.images} HRs, {coarse.ntotal} lists, {len(files)} of {len(index.parts)} shards, of {hrs} HRs; "
        f"one thread takes {made} an HR to make its features and index them, {each} an LR to search these shards, "
        f"{all_shards} for all ({lists} to find the lists)\n"
        f"{sum(files) / hrs / LIGHT_HR.features:.1f} bytes a feature, "
        f"{len(index.parts) / len(files) * sum(files) / 1e9:.2f} GB in all; peak memory {megabytes():.0f} MB\n"
        f"the true HR is proposed for {recall(numbers, found)} of the LRs that have {KEPT} of its features\n"
    )
    if few:
        sys.stdout.write(
            f"of {len(few)} LRs: {of_few}; by an exact index {recall([number for number, *_ in few], exact)}\n"
        )


if __name__ == "__main__":
    main()
