"""Measure the search among many images: seconds, memory, and how often the true HR is a candidate.

    python benchmarks/search.py PHOTOS [--images N] [--lrs N]

Nobody has 100,000 photographs at hand, so the features are made of those of the photographs in PHOTOS: each image
mixes the features of two of them at random and adds noise, which makes features that are as unevenly spread as real
ones, and many look-alikes. An LR has half of its HR's features, with noise of its own, and others for the rest.
The index and the votes are the tool's own; only the features of HRs are made when they are asked for.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.features import NO_FEATURES
from twimager.fingerprint.fingerprint import LIGHT_HR, Fingerprint
from twimager.fingerprint.rootsift import DESCRIPTOR_SCALE
from twimager.propose.by_features import FeatureIndex

NOISE = 20.0  # deviation, in the units of a byte: between features of an LR and its HR that match, it is 15 to 25
KEPT = 0.5  # share of an HR's features that its LR has too


class Images(Sequence[Fingerprint]):
    """Made-up images: only their descriptors mean anything."""

    def __init__(self, real: NDArray[np.float32], count: int) -> None:
        self._real, self._count = real, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, wanted: int | slice) -> Any:
        """Return an image, always the same of the same number, or a list of them."""
        if isinstance(wanted, slice):
            return [self[number] for number in range(*wanted.indices(self._count))]
        if wanted >= self._count:
            raise IndexError(wanted)
        return self._image(wanted, self._features(np.random.default_rng(wanted)))

    def lr(self, number: int, share: float = KEPT) -> Fingerprint:
        """Return the LR of an HR, which has such a share of its features."""
        own, rng = self._features(np.random.default_rng(number)), np.random.default_rng((1, number))
        other = self._features(rng)
        kept = rng.random(len(own)) < share
        seen = np.where(kept[:, None], own + rng.normal(0, NOISE, own.shape), other)
        return self._image(number, seen)

    def _features(self, rng: np.random.Generator) -> NDArray[np.float32]:
        first, second = self._real[rng.integers(len(self._real), size=(2, LIGHT_HR.features))]
        share = rng.random((len(first), 1))
        return np.asarray(share * first + (1 - share) * second + rng.normal(0, NOISE, first.shape), np.float32)

    def _image(self, number: int, features: NDArray[np.float32]) -> Fingerprint:
        positive = np.clip(features, 0, None)
        unit = positive / np.linalg.norm(positive, axis=1, keepdims=True)
        descriptors = np.clip(np.rint(unit * DESCRIPTOR_SCALE), 0, 255).astype(np.uint8)
        return Fingerprint(Path(str(number)), (640, 480), (), replace(NO_FEATURES, descriptors=descriptors))


def megabytes() -> float:
    """Return the peak memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Build an index of N images, ask it, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--lrs", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    values = parser.parse_args()
    real = [fingerprint(path, LIGHT_HR).known_features.descriptors for path in sorted(values.photos.iterdir())]
    images, before = Images(np.concatenate(real).astype(np.float32), values.images), megabytes()
    started = time.perf_counter()
    index = FeatureIndex(images, values.jobs)
    built = time.perf_counter()
    numbers = np.linspace(0, values.images - 1, values.lrs).astype(int).tolist()
    lrs = [images.lr(number) for number in numbers]
    asked = time.perf_counter()
    found = [[int(proposal.hr.path.name) for proposal in proposals] for proposals in index.propose(lrs)]
    seconds = time.perf_counter() - asked
    first = sum(names[:1] == [number] for number, names in zip(numbers, found, strict=True)) / len(lrs)
    among = sum(number in names for number, names in zip(numbers, found, strict=True)) / len(lrs)
    sys.stdout.write(
        f"{values.images} images, {values.jobs} threads: index built in {built - started:.0f} s, "
        f"{1000 * seconds / len(lrs):.1f} ms an LR, {megabytes() - before:.0f} MB on top of {before:.0f}; "
        f"the true HR comes first for {first:.3f}, is a candidate for {among:.3f} of {len(lrs)} LRs\n"
    )


if __name__ == "__main__":
    main()
