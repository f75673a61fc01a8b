"""A scheduler and two workers of Dask: the same bytes and the same report as on one machine, come what may."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import launched
from tests.support.dask_cluster import DaskCluster
from tests.support.folders import contents
from tests.support.paths import EXAMPLES, ROOT
from tests.support.pictures import CAST, picture

pytestmark = pytest.mark.slow

PAIRS = 60
# What differs from run to run.
OF_THE_RUN = ("dest", "index_memory", "jobs", "resume", "scheduler")
# Imported by the processes of a worker, of which one file is the end.
POISON = """
import sys
if "twimager.runtime.process" in sys.orig_argv:
    import os
    from twimager.pairing import read
    decode = read.decode_image
    read.decode_image = lambda path, recipe: {} if path.name == "bad.png" else decode(path, recipe)
from twimager.run import dask_worker
dask_worker.PATIENCE = 3
"""
ENDS = {"crashed": "os._exit(1)", "hung": "__import__('time').sleep(3600)"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of many pairs, and what a run on this machine makes of them."""
    place = tmp_path_factory.mktemp("many")
    for side in ("LR", "HR"):
        (place / side).mkdir()
    rng = np.random.default_rng(1)
    pictures = [picture(name) for name in CAST.values()]
    for number in range(PAIRS):
        whole = pictures[number % len(pictures)]
        y, x = (int(rng.integers(0, length - least)) for length, least in zip(whole.shape, (240, 330), strict=False))
        hr = whole[y : y + 240, x : x + 330]
        lr = cv2.resize(hr, (110, 80), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(place / "HR" / f"h{number:02}.png"), hr)
        cv2.imwrite(str(place / "LR" / f"l{number:02}.png"), lr)
    assert launched(*flags(place, "local")).returncode == 0
    return place


@pytest.fixture(scope="module")
def poisoned(folder: Path) -> Path:
    """A part of the folder and what a run on this machine makes of it, and an LR, in the first shard, that is bad."""
    place = folder / "poisoned"
    for side in ("LR", "HR"):
        (place / side).mkdir(parents=True)
        for path in sorted((folder / side).iterdir())[:12]:
            shutil.copy(path, place / side)
    assert launched(*flags(place, "local"), "--all_matches").returncode == 0
    shutil.copy(place / "LR" / "l07.png", place / "LR" / "bad.png")
    return place


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path / "dask") as started:
        yield started


def flags(folder: Path, dest: str) -> tuple[object, ...]:
    return "--lr", folder / "LR", "--hr", folder / "HR", "--dest", folder / dest, "--report", "--quiet"


def decided(dest: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the files that a run wrote, and its report, without what differs from run to run."""
    written = {name: data for name, data in contents(dest).items() if not name.startswith((".twimager", "report"))}
    report = json.loads((dest / "report.json").read_text(encoding="utf-8").replace(str(dest), "DEST"))
    del report["seconds"]
    for name in OF_THE_RUN:
        del report["settings"][name]
    return written, report


def begun(folder: Path, dest: str, *more: object) -> subprocess.Popen[str]:
    """Begin a run, and wait until it has written something."""
    command = [sys.executable, ROOT / "twimager.py", *flags(folder, dest), *more]
    run = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while run.poll() is None and not any((folder / dest / "LR").glob("*")):
        time.sleep(0.02)
    return run


def test_examples_are_paired_as_on_one_machine(cluster: DaskCluster, tmp_path: Path) -> None:
    for side in ("LR", "HR"):
        shutil.copytree(EXAMPLES / side, tmp_path / side)
    for _ in range(2):
        cluster.add_worker()
    assert launched(*flags(tmp_path, "local")).returncode == 0
    done = launched(*flags(tmp_path, "there"), "--scheduler", cluster.file)
    assert (done.returncode, done.stderr) == (0, "")
    assert decided(tmp_path / "there") == decided(tmp_path / "local")


def test_an_index_in_several_shards_and_passes_gives_the_same(cluster: DaskCluster, folder: Path) -> None:
    for _ in range(2):
        cluster.add_worker()
    here, there, more = "here-by-features", "there-by-features", ("--search", "features")
    assert launched(*flags(folder, here), *more).returncode == 0
    done = launched(*flags(folder, there), *more, "-v", "--scheduler", cluster.file, "--index_memory", "100K")
    assert done.returncode == 0
    assert re.search(r"^index of features: \d+ shards, \d+ passes$", done.stderr, re.MULTILINE)
    assert decided(folder / there) == decided(folder / here)


def test_a_worker_that_is_killed_costs_nothing(cluster: DaskCluster, folder: Path) -> None:
    first, _ = cluster.add_worker(), cluster.add_worker()
    with begun(folder, "killed", "--scheduler", cluster.file) as run:
        first.kill()
        _, err = run.communicate()
    assert (run.returncode, err) == (0, "")
    assert decided(folder / "killed") == decided(folder / "local")
    assert sorted(path.name for path in (folder / "killed" / ".twimager").iterdir()) == ["journal.jsonl", "lock"]


@pytest.mark.parametrize("how", ENDS)
def test_a_file_that_ends_workers_is_unreadable(cluster: DaskCluster, poisoned: Path, tmp_path: Path, how: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(POISON.format(ENDS[how]), encoding="utf-8")
    cluster.add_worker(os.pathsep.join((str(tmp_path), str(ROOT))))
    done = launched(*flags(poisoned, how), "--all_matches", "--scheduler", cluster.file)
    assert done.returncode == 3
    assert done.stderr == f"{poisoned / 'LR' / 'bad.png'}: unreadable: it {how} 3 workers\n"
    assert decided(poisoned / how)[0] == decided(poisoned / "local")[0]


def test_an_interrupted_run_goes_on(cluster: DaskCluster, folder: Path) -> None:
    cluster.add_worker()
    with begun(folder, "interrupted", "--scheduler", cluster.file) as run:
        run.send_signal(signal.SIGINT)
        _, err = run.communicate()
    assert (run.returncode, err) == (130, "twimager: interrupted; the same command with --resume goes on\n")
    assert launched(*flags(folder, "interrupted"), "--resume", "--scheduler", cluster.file).returncode == 0
    assert decided(folder / "interrupted") == decided(folder / "local")


def test_without_its_scheduler_a_run_ends_and_goes_on(cluster: DaskCluster, folder: Path) -> None:
    cluster.add_worker()
    with begun(folder, "lost", "--scheduler", cluster.file) as run:
        cluster.scheduler.kill()
        _, err = run.communicate()
    lost = f"twimager: --scheduler: the connection to {cluster.file} is lost; --resume goes on\n"
    assert (run.returncode, err) == (1, lost)
    assert launched(*flags(folder, "lost"), "--resume").returncode == 0
    assert decided(folder / "lost") == decided(folder / "local")


def test_workers_of_another_version_are_refused(cluster: DaskCluster, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "twimager", tmp_path / "old" / "twimager", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "old" / "twimager" / "version.py").open("a", encoding="utf-8") as file:
        file.write("# another one\n")
    cluster.add_worker(str(tmp_path / "old"))
    done = launched(*flags(folder, "refused"), "--scheduler", cluster.file)
    assert done.returncode == 2
    assert done.stderr.startswith("twimager: --scheduler: the worker tcp://127.0.0.1:")
    assert " has twimager " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "refused").exists()


def test_a_worker_of_another_version_that_joins_later_ends_the_run(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "twimager").mkdir(parents=True)
    (other / "twimager/__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'twimager'\")\n")
    with DaskCluster(tmp_path / "dask") as cluster:
        command = [sys.executable, ROOT / "twimager.py", *flags(folder, "late"), "--scheduler", cluster.file]
        with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as run:
            while not (folder / "late").exists():
                time.sleep(0.02)
            cluster.add_worker(str(other))
            _, err = run.communicate()
    assert run.returncode == 1
    assert f"twimager: --scheduler: a worker of {cluster.file} has no module twimager\n" in err
    assert launched(*flags(folder, "late"), "--resume").returncode == 0
    assert decided(folder / "late") == decided(folder / "local")
