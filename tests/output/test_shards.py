"""What the workers of a cluster share in DEST."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.support.paths import EXAMPLES
from twimager.errors import TwimagerError
from twimager.fingerprint.features import NO_FEATURES, Features, StoredFeatures
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.output.shards import shared
from twimager.pairing.read import File, read_fingerprint
from twimager.runtime.folders import LinkInDest

PHOTOGRAPH = sorted((EXAMPLES / "HR").iterdir())[0]


def features(count: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    points, radii, angles = rng.random((count, 2), np.float32), rng.random(count, np.float32), rng.random(count)
    return Features(points, radii, angles.astype(np.float32), rng.integers(0, 256, (count, 128), np.uint8))


def assert_equal(one: Features, other: Features) -> None:
    for name in ("points", "radii", "angles", "descriptors"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)


def test_features_come_back_as_they_were_stored(tmp_path: Path) -> None:
    kept = [features(5), NO_FEATURES, features(7, 1)]
    with shared(tmp_path, False) as shards:
        stored = [pickle.loads(pickle.dumps(shards.store(one))) for one in kept]
        for one, where in zip(kept, stored, strict=True):
            assert_equal(one, where.loaded())
            assert (where.count, where.checksum) == (one.count, one.checksum)
        np.testing.assert_array_equal(stored[2].descriptor(3), kept[2].descriptor(3))


def test_a_record_is_as_documented(tmp_path: Path) -> None:
    one = features(2)
    with shared(tmp_path, False) as shards:
        data = shards.store(one).file.read_bytes()
    assert len(data) == 2 * 144
    assert struct.unpack_from("<4f", data, 144) == (*one.points[1], one.radii[1], one.angles[1])
    assert data[160:] == one.descriptors[1].tobytes()


def test_what_a_worker_reads_is_stored_and_little_of_it_is_returned(tmp_path: Path) -> None:
    here = read_fingerprint(File(PHOTOGRAPH), LIGHT_HR)
    with shared(tmp_path, False) as shards:
        there = read_fingerprint(File(PHOTOGRAPH), LIGHT_HR, shards=shards)
        assert isinstance(there.features, StoredFeatures)
        assert there.feature_count == here.feature_count > 0
        assert_equal(there.known_features, here.known_features)
        assert len(pickle.dumps(there)) < 3000 < len(pickle.dumps(here))


def test_what_is_gone_or_cut_or_damaged_ends_the_run(tmp_path: Path) -> None:
    with shared(tmp_path, False) as shards:
        stored = shards.store(features(3))
        data = stored.file.read_bytes()
        stored.file.write_bytes(data[:-1])
        with pytest.raises(TwimagerError, match="is cut short"):
            stored.loaded()
        stored.file.write_bytes(bytes(len(data)))
        with pytest.raises(TwimagerError, match="is damaged"):
            stored.loaded()
    with pytest.raises(TwimagerError, match="cannot read"):
        stored.loaded()
    with pytest.raises(TwimagerError, match="--resume"):
        shards.store(features(1))


def test_a_file_appears_whole_and_replaces_another(tmp_path: Path) -> None:
    def fail(file) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with shared(tmp_path, False) as shards:
        assert shards.write("a", lambda file: file.write(b"one")) == 3
        with pytest.raises(TwimagerError, match="make room"):
            shards.write("a", fail)
        assert (shards.folder / "a").read_bytes() == b"one"
        shards.write("a", lambda file: file.write(b"other"))
        assert (shards.folder / "a").read_bytes() == b"other"
        shards.remove(["a", "never there"])
        assert not (shards.folder / "a").exists()


def test_nothing_is_left_nor_written_through_links(tmp_path: Path) -> None:
    with shared(tmp_path / "dest", False) as shards:
        shards.store(features(1))
    assert list((tmp_path / "dest" / ".twimager").iterdir()) == []
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dest" / ".twimager" / "shards").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LinkInDest), shared(tmp_path / "dest", False):
        pass
    with shared(tmp_path / "dest", True) as followed:
        followed.store(features(1))
        assert len(list((tmp_path / "elsewhere").iterdir())) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_runs_have_names_of_their_own(tmp_path: Path) -> None:
    with shared(tmp_path, False) as first:
        one = first.store(features(1))
    with shared(tmp_path, False) as second:
        assert second.store(features(1)).file != one.file
