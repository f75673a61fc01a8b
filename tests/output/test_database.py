"""Databases are what BasicSR's loader reads, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders, contents
from tests.support.report import report_of
from twimager.errors import TwimagerError
from twimager.output import database
from twimager.output.database import map_size, write_database
from twimager.review.review import Review

LMDB = "--lmdb", "--names", "safe"


@pytest.fixture(autouse=True)
def lmdb() -> Any:
    return pytest.importorskip("lmdb")


def read(lmdb: Any, folder: Path) -> dict[str, bytes]:
    """What BasicSR finds in a database, by its keys: utils/file_client.py and data/data_util.py of 8d56e3a."""
    keys = [line.split(".")[0] for line in (folder / "meta_info.txt").read_text().splitlines()]
    with lmdb.open(str(folder), readonly=True, lock=False, readahead=False) as env, env.begin(write=False) as found:
        return {key: bytes(found.get(key.encode("ascii"))) for key in keys}


def test_a_database_holds_the_files_of_its_side(run: Run, folders: Folders, lmdb: Any) -> None:
    assert run(*folders.flags, *LMDB, "--scale", 3).code == 0
    for side in ("LR", "HR"):
        files = {path.stem: path.read_bytes() for path in (folders.dest / side).iterdir()}
        assert read(lmdb, folders.dest / f"{side}.lmdb") == files
        assert {path.name for path in (folders.dest / f"{side}.lmdb").iterdir()} == {"data.mdb", "meta_info.txt"}
        lines = (folders.dest / f"{side}.lmdb/meta_info.txt").read_text().splitlines()
        shapes = {name: cv2.imread(str(folders.dest / side / name)).shape for name in ("h0.png", "h1.png")}
        assert lines == [f"{name} ({h},{w},{c}) 1" for name, (h, w, c) in shapes.items()]


def test_a_database_holds_the_tiles_of_pairs(run: Run, folders: Folders, lmdb: Any) -> None:
    assert run(*folders.flags, *LMDB, "--tile", 100).code == 0
    files = {path.stem: path.read_bytes() for path in (folders.dest / "HR").iterdir()}
    assert len(files) > 6
    assert read(lmdb, folders.dest / "HR.lmdb") == files


def test_names_with_dots_are_refused_as_keys_end_there(run: Run, folders: Folders) -> None:
    refused(run(*folders.flags, "--lmdb"), 2, "--names safe")
    refused(run(*folders.flags, *LMDB, "--filename", "keep"), 2, "--filename keep")
    assert not folders.dest.exists()


def test_without_lmdb_one_line_says_what_to_install(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "find_spec", lambda _: None)
    refused(run(*folders.flags, *LMDB), 2, "pip install lmdb")
    assert not folders.dest.exists()


def test_a_run_that_was_stopped_leaves_nothing_that_looks_whole(
    run: Run, folders: Folders, lmdb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = folders.dest.with_name("whole")
    assert run(*folders.flags[:4], "--dest", whole, *LMDB).code == 0
    run(*folders.flags, *LMDB)
    run(*folders.flags, *LMDB, "--overwrite", "--scale", 3)
    fill = database._fill

    def stopped(made: Path, *how: Any) -> None:
        fill(made, *how)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(database, "_fill", stopped)
    assert run(*folders.flags, *LMDB, "--overwrite").code == 1
    assert not (folders.dest / "LR.lmdb/meta_info.txt").exists()
    assert not list((folders.dest / ".twimager").glob("*.tmp"))
    monkeypatch.undo()
    assert run(*folders.flags, *LMDB, "--resume").code == 0
    assert contents(folders.dest) == contents(whole)


def test_resume_adds_databases_that_are_new_to_the_run(run: Run, folders: Folders, lmdb: Any) -> None:
    run(*folders.flags, "--names", "safe")
    assert run(*folders.flags, *LMDB, "--resume").code == 0
    assert read(lmdb, folders.dest / "HR.lmdb").keys() == {"h0", "h1"}


def test_a_pair_that_a_review_deletes_is_in_the_lists_no_more(run: Run, folders: Folders, lmdb: Any) -> None:
    run(*folders.flags, *LMDB, "--report", "--jobs", 1)
    kept = Path(report_of(folders.dest)["pairs"][0]["hr_output"]).stem
    with Review(folders.dest / "report.json") as review:
        review.delete(review.pairs[1])
    for side in ("LR", "HR"):
        assert read(lmdb, folders.dest / f"{side}.lmdb").keys() == {kept}


def test_links_in_dest_are_not_written_through(run: Run, folders: Folders, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folders.dest.mkdir()
    (folders.dest / "LR.lmdb").symlink_to(elsewhere)
    refused(run(*folders.flags, *LMDB, "--overwrite"), 2, "LR.lmdb is a link")
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("count", [1, 3000])
def test_a_database_is_never_too_small_and_hardly_too_large(tmp_path: Path, count: int) -> None:
    """Values end just before and behind where pages do; a file has its full size from the beginning on Windows."""
    random = np.random.default_rng(0)
    files = []
    for number in range(count):
        size = int(random.choice([1, 2000, 4079, 4080, 4081, 8176, 8177]))
        files.append(tmp_path / f"{number:06}{'x' * int(random.integers(200))}.png")
        files[-1].write_bytes(random.bytes(size))
    write_database(tmp_path / "LR.lmdb", files, "0" * 32, tmp_path, tmp_path)
    used = (tmp_path / "LR.lmdb/data.mdb").stat().st_size
    allowed = map_size([path.stat().st_size for path in files])
    assert used <= allowed < 2 * used + (2 << 20)


def test_a_database_is_written_in_parts(tmp_path: Path, lmdb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions hold their pages in memory; those are a few images at a time."""
    files = [tmp_path / f"{number}.png" for number in range(20)]
    for path in files:
        path.write_bytes(os.urandom(10_000))
    monkeypatch.setattr(database, "BATCH", 30_000)
    assert len(database._batches(files)) == 5
    write_database(tmp_path / "LR.lmdb", files, "0" * 32, tmp_path, tmp_path)
    (tmp_path / "LR.lmdb/meta_info.txt").write_text("".join(f"{path.name} (1,1,3) 1\n" for path in files))
    assert read(lmdb, tmp_path / "LR.lmdb") == {path.stem: path.read_bytes() for path in files}


def test_what_lmdb_can_not_write_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(bytes(5 << 20))
    monkeypatch.setattr(database, "map_size", lambda _: 1 << 20)
    with pytest.raises(TwimagerError, match=r"cannot write .*LR\.lmdb"):
        write_database(tmp_path / "LR.lmdb", [tmp_path / "a.png"], "0" * 32, tmp_path, tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {"a.png", "LR.lmdb"}
