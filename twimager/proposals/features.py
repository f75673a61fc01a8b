"""Propose pairs by their features: those of an LR look up their nearest among all HRs' and vote for the owners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from twimager.fingerprints import Fingerprint, mirrored
from twimager.proposals import CANDIDATES, Proposal, Source

# The strongest features of an HR that are indexed, of an LR that ask: as good as 1500 and 500, at a fifth of the time.
# The index takes 300 x (128 + 8) bytes an HR, 41 KB.
INDEXED = 300
ASKING = 200
# A feature votes for the owners of its five nearest, each by how much nearer it is than the sixth: where six HRs hold
# the same, it has nothing to say.
NEIGHBOURS = 5
# True HRs had at least 0.26 of the first one's votes, in ten sets, if they were among the first eight.
MIN_SHARE = 0.25
# Up to so many features every one is compared; beyond, those of the nearest lists (of 2 x the square root of their
# number): for 22,000 features an LR then takes 1 ms instead of 15, for 140,000 it takes 3 instead of 160.
EXACT_UP_TO = 4000
LISTS_PROBED = 4
LISTS_PROBED_THOROUGHLY = 32
# RootSIFT descriptors lie on a sphere; none are farther apart, squared.
FARTHEST = 2 * 512.0**2
# LRs that are looked up in one go.
BATCH = 32


class FeatureIndex:
    """The HRs' features, each one's nearest to be found quickly."""

    def __init__(self, hrs: Sequence[Fingerprint], threads: int) -> None:
        """Index the strongest features of `hrs`; look them up with so many threads."""
        faiss.omp_set_num_threads(threads)
        self._hrs = hrs
        counts = [min(INDEXED, len(hr.descriptors)) for hr in hrs]
        self._owners = np.repeat(np.arange(len(hrs)), counts)
        self._index = _empty_index(hrs, sum(counts))
        for descriptors in _batches([hr.descriptors[:INDEXED] for hr in hrs]):
            self._index.add(descriptors)

    def propose(
        self, lrs: Sequence[Fingerprint], *, mirror: bool = False, thorough: bool = False
    ) -> Iterator[list[Proposal]]:
        """Yield, for every LR, the HRs with the most votes, those first.

        Parameters
        ----------
        lrs : the LRs that ask
        mirror : look for the HRs' mirror images
        thorough : take longer: all features ask, in more of the lists
        """
        if isinstance(self._index, faiss.IndexIVF):
            self._index.nprobe = LISTS_PROBED_THOROUGHLY if thorough else LISTS_PROBED
        asking = None if thorough else ASKING
        for start in range(0, len(lrs), BATCH):
            batch = lrs[start : start + BATCH]
            # Mirroring the LR is as good as mirroring all HRs.
            descriptors = [(mirrored(lr) if mirror else lr).descriptors[:asking] for lr in batch]
            for lr, votes in zip(batch, self._votes(descriptors), strict=True):
                order = np.argsort(-votes, kind="stable")[:CANDIDATES]
                wanted = [number for number in order if votes[number] > MIN_SHARE * votes[order[0]]]
                yield [Proposal(lr, self._hrs[number], Source.FEATURES, mirror) for number in wanted]

    def _votes(self, asking: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return the votes (n, HRs) of n LRs' descriptors, (m, 128) each."""
        askers = np.repeat(np.arange(len(asking)), [len(descriptors) for descriptors in asking])
        shape = len(asking), len(self._hrs)
        if not len(askers) or not len(self._owners):
            return np.zeros(shape)
        squares, nearest = self._index.search(np.concatenate(asking).astype(np.float32), NEIGHBOURS + 1)
        distances = np.sqrt(np.clip(squares, 0, FARTHEST))
        weights = np.where(nearest[:, :-1] >= 0, distances[:, -1:] - distances[:, :-1], 0)
        ballots = askers[:, None] * len(self._hrs) + self._owners[nearest[:, :-1]]
        counted = np.bincount(ballots.ravel(), weights.ravel(), shape[0] * shape[1])
        return np.asarray(counted.reshape(shape), np.float64)


def _empty_index(hrs: Sequence[Fingerprint], total: int) -> faiss.Index:
    """Return an exact index for few features; for many one of inverted lists, a byte a dimension."""
    if total <= EXACT_UP_TO:
        return faiss.IndexFlatL2(128)
    lists = int(2 * np.sqrt(total))
    # Any features will do as centres of the lists: training them by k-means took seconds and found nothing more.
    rng = np.random.default_rng(0)
    owners = [hr for hr in hrs if len(hr.descriptors)]
    chosen = [owners[number] for number in rng.integers(len(owners), size=lists)]
    centres = np.stack([hr.descriptors[rng.integers(min(INDEXED, len(hr.descriptors)))] for hr in chosen])
    quantizer = faiss.IndexFlatL2(128)
    quantizer.add(centres.astype(np.float32))
    byte = faiss.ScalarQuantizer.QT_8bit_direct
    index = faiss.IndexIVFScalarQuantizer(quantizer, 128, lists, byte, faiss.METRIC_L2, False)
    index.is_trained = True
    return index


def _batches(descriptors: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
    """Yield descriptors as FAISS wants them, so many at a time that the floats stay few."""
    for start in range(0, len(descriptors), BATCH):
        yield np.concatenate(descriptors[start : start + BATCH]).astype(np.float32)
