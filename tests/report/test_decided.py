"""What is decided is in a file: as in memory, whatever the order, and for next to no memory."""

import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from twimager.align.matching import CERTAIN_INLIERS, Match
from twimager.errors import Reason, Rejection, TwimagerError
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import Rect
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal, Source
from twimager.report.decided import DecidedPairs
from twimager.report.records import Record, how_far
from twimager.runtime.mapped import MappedRows, mapped
from twimager.verify.scores import Scores

REASONS = Reason.FEW_MATCHES, Reason.RESIDUAL, Reason.FAILED


def image(name: str) -> Fingerprint:
    return Fingerprint(Path(name), (4, 3), (7,))


def rejections(number: int) -> Iterator[RejectedPair]:
    """Rejected pairs of ten LRs and HRs, with and without matches and scores, some of them several times."""
    rng = np.random.default_rng(0)
    lrs, hrs = ([image(f"{side}{place}") for place in range(10)] for side in "lh")
    for _ in range(number):
        lr, hr, reason, inliers = map(int, rng.integers([10, 10, 3, 2 * CERTAIN_INLIERS]))
        match = Match(np.eye(3), inliers) if rng.random() < 0.8 else None
        scores = Scores(round(float(rng.random()), 1), 1.0) if match and rng.random() < 0.5 else None
        proposal = Proposal(lrs[lr], hrs[hr], Source.FEATURES, mirrored=rng.random() < 0.3)
        yield RejectedPair(proposal, Rejection(REASONS[reason]), match, scores)


def told(pair: RejectedPair) -> tuple[object, ...]:
    return *pair.proposal.key, pair.rejection, how_far(pair)


def test_of_what_was_rejected_several_times_the_closest_is_told_as_by_a_loop_over_all() -> None:
    decided, expected, reopened = DecidedPairs(), list[RejectedPair](), dict[object, RejectedPair]()
    for number, pair in enumerate(rejections(500), start=1):
        key = pair.proposal.key
        closer = max(pair, reopened.pop(key, pair), key=how_far)
        expected.append(closer)
        decided.reject(pair)
        if number % 7 == 0:
            reopened = {one.proposal.key: one for one in expected if one.proposal.key == key}
            expected = [one for one in expected if one.proposal.key != key]
            decided.forget_reopened()
            decided.reopen(pair.proposal)
        certain = {one.proposal.key for one in expected if one.match and one.match.is_certain}
        assert decided.is_certainly_rejected(pair.proposal) == (key in certain)
    closest: dict[object, RejectedPair] = {}
    of_lrs: dict[Path, RejectedPair] = {}
    for one in expected:
        lr, hr = (image.path for image in one.proposal.images)
        key = lr, hr, one.rejection.reason is Reason.FAILED
        closest[key] = max(closest.get(key, one), one, key=how_far)
        of_lrs[lr] = max(of_lrs.get(lr, one), one, key=how_far)
    assert list(map(told, decided.rejected)) == list(map(told, closest.values()))
    assert [told(one) for one in map(decided.closest, of_lrs) if one] == list(map(told, of_lrs.values()))
    assert decided.closest(Path("other")) is None


def test_an_image_is_rejected_in_a_pair_that_matches_or_in_any() -> None:
    decided = DecidedPairs()
    decided.reject(RejectedPair(Proposal(image("l"), image("h"), Source.HASH), Rejection(Reason.FEW_MATCHES)))
    assert [decided.is_rejected(Path(name)) for name in ("l", "h", "m")] == [True, True, False]
    assert not any(decided.is_rejected(Path(name), similar=True) for name in ("l", "h", "m"))
    decided.reject(RejectedPair(Proposal(image("l"), image("m"), Source.HASH), Rejection(Reason.RESIDUAL)))
    assert [decided.is_rejected(Path(name), similar=True) for name in ("l", "h", "m")] == [True, False, True]


def test_decisions_take_no_memory_of_their_own() -> None:
    decided = DecidedPairs()
    whole = Rect(0, 0, 4, 3)
    accepted = VerifiedPair(next(rejections(1)).proposal, Match(np.eye(3), 9), Scores(0.9, 1.0), whole, whole)
    tracemalloc.start()
    try:
        for number, pair in enumerate(rejections(2000)):
            if number == 1000:
                before, _ = tracemalloc.get_traced_memory()
            decided.reject(pair)
            decided.accept(Record(accepted))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10 * 1000
    assert (len(decided.accepted), decided.accepted[-1].pair.scores) == (2000, accepted.scores)
    assert [record.pair.window for record in decided.accepted[1998:]] == [whole] * 2


def test_rows_in_a_file_are_those_that_were_added() -> None:
    rows, rng = MappedRows(16), np.random.default_rng(0)
    added = rng.integers(0, 256, (5000, 16), np.uint8)
    kept = [rows.add(row) for row in added]
    assert (np.array(kept) == added).all()
    assert not kept[0].flags.writeable
    whole = mapped((part for part in np.split(added, 10)), np.empty((0, 16), np.uint8))
    assert (whole == added).all()
    assert mapped([], np.empty((0, 16), np.uint8)).shape == (0, 16)


def test_a_temporary_folder_that_fails_ends_the_run_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = DecidedPairs()
    with closing(decided._database):
        pass
    pair = next(rejections(1))
    with pytest.raises(TwimagerError, match="cannot keep what is decided in the system's temporary folder: "):
        decided.reject(pair)

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(TwimagerError, match=r"cannot write to the temporary folder .*: No space left on device"):
        MappedRows(16)


def test_a_row_of_which_a_full_disk_takes_a_part_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = MappedRows(16)
    rows.add(np.zeros(16, np.uint8))
    monkeypatch.setattr(rows, "_file", SimpleNamespace(write=lambda data: len(data) - 1))
    with pytest.raises(TwimagerError, match="No space left on device"):
        rows.add(np.zeros(16, np.uint8))
