"""Propose pairs by their features: those of an LR vote for the HRs that hold their nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.features import Features
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.rootsift import MIRRORED_BINS, NEGATIVE_BINS
from twimager.propose.proposal import CANDIDATES, Proposal, Source

# The strongest features of an HR that are indexed, where it has more, having been read again for them: as good as 1500,
# at a fifth of the time. All of an LR's vote: of 200, only 0.06 of the votes for the first HR were for the true one,
# among pictures of one facade. The index takes 32 + 8 bytes a feature.
INDEXED = 300
# A feature votes for the owners of its ten nearest, with the weight by which each is nearer than the eleventh: where
# eleven HRs hold the same, all weights are zero. With five, the HRs of 65 of 2,000 crops of 100 photographs were not
# proposed, now 22.
NEIGHBOURS = 10
# True HRs had at least 0.23 of the first one's votes, in a set of 500 overlapping crops of 100 photographs.
MIN_SHARE = 0.2
# So many HRs are proposed, to be read again, for an LR that is in no pair after the first round.
WIDE_CANDIDATES = 32
# Up to so many features every one is compared; beyond, those of the nearest lists (of the square root of their number),
# each feature stored in 64 x 4 bits (product quantization): as many HRs are found, in half the time.
EXACT_UP_TO = 4000
CODES = 64
CODE_BITS = 4
# Training and filling those takes as long as comparing the features of so many LRs with every one.
FEW_LRS = 4
# The codes are trained on so many features, in so many rounds of k-means; more of either finds no more.
TRAINING_FEATURES = 8192
KMEANS_ROUNDS = 6
LISTS_PROBED = 4
LISTS_PROBED_WIDELY = 32
# RootSIFT descriptors lie on a sphere; none are farther apart, squared.
MAX_SQUARED_DISTANCE = 2 * 512.0**2
# Images that are added in one go, and features that are searched: FAISS takes 5 KB for each of those.
BATCH = 32
QUERIES_AT_ONCE = 6000


class Query(NamedTuple):
    """How LRs are searched for; attributes are parameters of `FeatureIndex.propose`."""

    mirror: bool = False
    invert: bool = False
    wide: bool = False
    limit: int | None = None

    @property
    def probes(self) -> int:
        """How many lists are searched."""
        return LISTS_PROBED_WIDELY if self.wide else LISTS_PROBED

    def descriptors(self, features: Features) -> NDArray[np.uint8]:
        """Return what is searched for, (n, 128), of an LR: that is mirrored, or inverted, in place of all HRs."""
        found = features.descriptors
        found = found[:, NEGATIVE_BINS] if self.invert else found
        return found[:, MIRRORED_BINS] if self.mirror else found

    def chosen(self, votes: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return which of n HRs, by their votes, (n,), are proposed, those with the most first."""
        share = 0.0 if self.wide or self.limit else MIN_SHARE
        order = np.argsort(-votes, kind="stable")[: self.limit or (WIDE_CANDIDATES if self.wide else CANDIDATES)]
        return order[votes[order] > share * votes[order[:1]]]


class FeatureIndex:
    """A nearest-neighbour index of the HRs' features."""

    def __init__(self, hrs: Sequence[Fingerprint], threads: int, queries: int | None = None) -> None:
        """Index the strongest features of `hrs`; search with so many threads.

        `queries` is the number of LRs to come, where that is known: for a few, every feature is compared.
        """
        faiss.omp_set_num_threads(threads)
        self._hrs = hrs
        counts = list(map(indexed, hrs))
        self._owners = np.repeat(np.arange(len(hrs)), counts)
        if queries is not None and queries <= FEW_LRS:
            self._index = _exact_index([hr.known_features.descriptors[:INDEXED] for hr in hrs])
            return
        self._index = empty_index(hrs, sum(counts))
        for start in range(0, len(hrs), BATCH):
            batch = [hr.known_features.descriptors[:INDEXED] for hr in hrs[start : start + BATCH]]
            self._index.add(np.concatenate(batch).astype(np.float32))

    def propose(
        self,
        lrs: Sequence[Fingerprint],
        *,
        mirror: bool = False,
        invert: bool = False,
        stretch: float = 1.0,
        wide: bool = False,
        limit: int | None = None,
        exclude_self: bool = False,
    ) -> Iterator[list[Proposal]]:
        """Yield, for every LR, the HRs with the most votes, those first.

        Parameters
        ----------
        lrs : the queries
        mirror : search for the HRs' mirror images
        invert : search for their negatives
        stretch : the copies in which the LRs' features were found are so many times as wide by their height
        wide : search more of the lists, and propose more HRs, however few votes they have
        limit : propose so many HRs instead, however few votes they have
        exclude_self : give an LR that is among the HRs no votes for itself
        """
        numbers = {hr.path: number for number, hr in enumerate(self._hrs)} if exclude_self else {}
        query = Query(mirror, invert, wide, limit)
        found = self._found(batches(lrs), query, [numbers.get(lr.path) for lr in lrs])
        for lr, chosen in zip(lrs, found, strict=True):
            yield [Proposal(lr, self._hrs[number], Source.FEATURES, mirror, invert, stretch) for number in chosen]

    def _found(
        self, batched: Iterable[Sequence[Fingerprint]], query: Query, without: Sequence[int | None]
    ) -> Iterator[Sequence[int]]:
        """Yield the numbers of the HRs that are proposed for every LR, but for that of one `without` which it is."""
        if isinstance(self._index, faiss.IndexIVF):
            self._index.nprobe = query.probes
        number = count()
        for batch in batched:
            for votes in self._votes([query.descriptors(lr.known_features) for lr in batch]):
                own = without[next(number)]
                if own is not None:
                    votes[own] = 0
                yield query.chosen(votes).tolist()

    def _votes(self, queries: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return the votes, (n, HRs), of n LRs' descriptors, (m, 128) each."""
        voters = np.repeat(np.arange(len(queries)), [len(descriptors) for descriptors in queries])
        shape = len(queries), len(self._hrs)
        if not len(voters) or not len(self._owners):
            return np.zeros(shape)
        squares, nearest = self._index.search(np.concatenate(queries).astype(np.float32), NEIGHBOURS + 1)
        ballots = voters[:, None] * len(self._hrs) + self._owners[nearest[:, :-1]]
        counted = np.bincount(ballots.ravel(), weights(squares, nearest).ravel(), shape[0] * shape[1])
        return np.asarray(counted.reshape(shape), np.float64)


def batches(lrs: Sequence[Fingerprint]) -> Iterator[Sequence[Fingerprint]]:
    """Yield LRs in batches that are searched for in one go."""
    step = max(1, QUERIES_AT_ONCE // max([1, *(lr.feature_count for lr in lrs)]))
    return (lrs[start : start + step] for start in range(0, len(lrs), step))


def weights(squares: NDArray[np.float32], nearest: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the weights, (n, NEIGHBOURS), with which features vote.

    Parameters
    ----------
    squares, nearest : (n, NEIGHBOURS + 1), squared distances of the nearest, those first, and their numbers (-1: none)
    """
    distances = np.sqrt(np.clip(squares, 0, MAX_SQUARED_DISTANCE))
    return np.where(nearest[:, :-1] >= 0, distances[:, -1:] - distances[:, :-1], 0)


def indexed(hr: Fingerprint) -> int:
    """Return how many features of an HR are indexed."""
    return min(hr.feature_count, INDEXED)


def _exact_index(descriptors: Sequence[NDArray[np.uint8]]) -> faiss.Index:
    """Return an index that compares every feature, each stored as it is."""
    index = faiss.IndexScalarQuantizer(128, faiss.ScalarQuantizer.QT_8bit_direct)
    index.add_sa_codes(np.concatenate([*descriptors, np.empty((0, 128), np.uint8)]))
    return index


def empty_index(hrs: Sequence[Fingerprint], total: int) -> faiss.Index:
    """Return an exact index for few features; for many one of inverted lists of product-quantized features."""
    if total <= EXACT_UP_TO:
        return faiss.IndexFlatL2(128)
    lists = int(np.sqrt(total))
    # Random features will do as centres of the lists: training them by k-means took seconds and found nothing more.
    drawn = _drawn(hrs, lists + TRAINING_FEATURES)
    quantizer = faiss.IndexFlatL2(128)
    quantizer.add(drawn[:lists])
    index = faiss.IndexIVFPQFastScan(quantizer, 128, lists, CODES, CODE_BITS)
    index.by_residual = False
    index.pq.cp.niter = KMEANS_ROUNDS
    index.pq.train(drawn[lists:])
    index.is_trained = True
    return index


def _drawn(hrs: Sequence[Fingerprint], number: int) -> NDArray[np.float32]:
    """Return so many of the features to be indexed, drawn at random but always the same."""
    rng = np.random.default_rng(0)
    owners = [hr for hr in hrs if hr.features and hr.features.count]
    drawn = [owners[place] for place in rng.integers(len(owners), size=number)]
    features = [hr.features.descriptor(int(rng.integers(indexed(hr)))) for hr in drawn if hr.features]
    return np.stack(features).astype(np.float32)
