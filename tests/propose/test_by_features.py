"""Votes of features, exact and approximate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twimager.fingerprint.features import NO_FEATURES
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.rootsift import MIRRORED_BINS
from twimager.propose import by_features
from twimager.propose.by_features import EXACT_UP_TO, MIN_SHARE, NEIGHBOURS, WIDE_CANDIDATES, FeatureIndex
from twimager.propose.proposal import CANDIDATES


def image(number: int, descriptors: np.ndarray) -> Fingerprint:
    unit = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)
    made = np.clip(np.rint(512 * unit), 0, 255).astype(np.uint8)
    return Fingerprint(Path(str(number)), (640, 480), (), replace(NO_FEATURES, descriptors=made))


def collection(count: int, features: int) -> tuple[list[Fingerprint], list[Fingerprint]]:
    """HRs of random features and, of each, an LR that has half of them, a little changed, and others."""
    rng = np.random.default_rng(0)
    hrs = rng.gamma(0.5, size=(count, features, 128))
    noisy = hrs * rng.uniform(0.8, 1.2, hrs.shape)
    lrs = np.where(np.arange(features)[:, None] % 2, noisy, rng.gamma(0.5, size=hrs.shape))
    return [image(n, hr) for n, hr in enumerate(hrs)], [image(n, lr) for n, lr in enumerate(lrs)]


def by_hand(lr: Fingerprint, hrs: list[Fingerprint]) -> list[str]:
    """The HRs with the most votes, by comparing every feature with every other."""
    theirs = np.concatenate([hr.features.descriptors for hr in hrs]).astype(float)
    owners = np.repeat(np.arange(len(hrs)), [len(hr.features.descriptors) for hr in hrs])
    votes = np.zeros(len(hrs))
    for feature in lr.features.descriptors.astype(float):
        distances = np.linalg.norm(theirs - feature, axis=1)
        nearest = np.argsort(distances)[: NEIGHBOURS + 1]
        np.add.at(votes, owners[nearest[:-1]], distances[nearest[-1]] - distances[nearest[:-1]])
    order = np.argsort(-votes, kind="stable")[:CANDIDATES]
    return [str(number) for number in order if votes[number] > MIN_SHARE * votes[order[0]]]


def test_an_exact_index_counts_votes_as_one_would_by_hand() -> None:
    hrs, lrs = collection(count=20, features=40)
    assert EXACT_UP_TO >= 20 * 40
    for lr, proposals in zip(lrs, FeatureIndex(hrs, threads=1).propose(lrs), strict=True):
        assert [proposal.hr.path.name for proposal in proposals] == by_hand(lr, hrs)


def test_for_a_few_lrs_every_feature_is_compared_however_many_there_are() -> None:
    hrs, lrs = collection(count=110, features=40)
    assert EXACT_UP_TO < 110 * 40
    for lr, proposals in zip(lrs[:3], FeatureIndex(hrs, threads=1, queries=3).propose(lrs[:3]), strict=True):
        assert [proposal.hr.path.name for proposal in proposals] == by_hand(lr, hrs)
    (most,) = FeatureIndex(hrs, threads=1, queries=1).propose(lrs[:1], limit=50)
    assert len(most) == 50


@pytest.mark.parametrize("mirror", [pytest.param(False, marks=pytest.mark.slow), True])
def test_an_approximate_index_names_the_true_hr_first(mirror: bool) -> None:
    hrs, lrs = collection(count=100, features=80)
    assert EXACT_UP_TO < 100 * 80
    if mirror:
        lrs = [image(n, lr.features.descriptors[:, MIRRORED_BINS].astype(float)) for n, lr in enumerate(lrs)]
    found = FeatureIndex(hrs, threads=2).propose(lrs, mirror=mirror)
    assert [proposals[0].hr.path for proposals in found] == [hr.path for hr in hrs]


def test_a_wide_search_names_more() -> None:
    hrs, lrs = collection(count=100, features=80)
    index = FeatureIndex(hrs, threads=1)
    for narrow, wide in zip(index.propose(lrs[:5]), index.propose(lrs[:5], wide=True), strict=True):
        assert len(narrow) <= CANDIDATES < len(wide) <= WIDE_CANDIDATES
        assert narrow[0].hr is wide[0].hr


@pytest.mark.parametrize("count", [3, 60])
def test_how_many_are_looked_up_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    hrs, lrs = collection(count, 100)
    index = FeatureIndex(hrs, threads=1)
    found = []
    for at_once in (1, 250, 1_000_000):
        monkeypatch.setattr(by_features, "QUERIES_AT_ONCE", at_once)
        found.append([[proposal.hr.path for proposal in of_one_lr] for of_one_lr in index.propose(lrs)])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == count
