"""The workers of a Dask cluster: what a run does with them, and what becomes of it without one."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import KilledWorker

from tests.support.command import Run, launched, refused
from tests.support.folders import Folders, contents
from tests.support.paths import ROOT
from tests.support.report import report_of
from twimager.cli.pair import parse, to_options
from twimager.errors import TwimagerError
from twimager.fingerprint.stamp import stamp
from twimager.run import dask_client, dask_worker
from twimager.run.dask_client import CRASHES, MOST, DaskWorkers
from twimager.run.dask_worker import Setup, UnknownTask, UnlikeWorker, difference, versions
from twimager.runtime.console import Console
from twimager.runtime.process import ProcessEnded, ProcessHung

SETUP = Setup(versions(), (), ".", 1, None)
POISON = 13


class Answer(Future[Any]):
    """Dask's future of a shard."""

    @property
    def status(self) -> str:
        return "cancelled" if isinstance(self.exception(), CancelledError) else "error"

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        fn(self)


class Client:
    """A client whose workers do at once what they are sent, or fail as `fail` says by the items of a shard."""

    def __init__(self, fail: Callable[[list[int]], BaseException | None] = lambda _: None) -> None:
        self._fail, self.shards = fail, list[list[int]]()
        self.known, self.status = dict[str, bytes](), "running"

    def nthreads(self) -> dict[str, int]:
        return {"a": 1, "b": 2}

    def submit(self, _: object, call: bytes, **__: object) -> Answer:
        answer = Answer()
        try:
            answer.set_result(pickle.loads(call))
        except Exception as error:
            answer.set_exception(error)
        return answer

    def run_shard(self, _: Setup, digest: str, task: bytes | None, items: bytes) -> tuple[float, bytes]:
        shard = pickle.loads(items)
        self.shards.append(shard)
        if error := self._fail(shard):
            raise error
        if task:
            self.known[digest] = task
        if digest not in self.known:
            raise UnknownTask
        return 0.01 * len(shard), pickle.dumps(list(map(pickle.loads(self.known[digest]), shard)))


@pytest.fixture
def workers_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Client], DaskWorkers]:
    """Have workers that do what a client says."""

    def make(client: Client) -> DaskWorkers:
        monkeypatch.setattr(dask_worker, "run_shard", RUN_SHARD)
        monkeypatch.setattr(sys.modules[__name__], "CLIENT", client)
        return DaskWorkers(client, SETUP, 1, "tcp://there", resumable=True)

    return make


CLIENT = Client()


def RUN_SHARD(*arguments: Any) -> tuple[float, bytes]:  # noqa: N802 (stands for the worker's)
    return CLIENT.run_shard(*arguments)


def square(number: int) -> int:
    return number**2


def lost(number: int, why: str) -> int:
    assert why == f"it crashed {CRASHES} workers"
    return -number


def test_results_come_in_order_and_shards_grow(workers_of: Callable[[Client], DaskWorkers]) -> None:
    client = Client()
    assert list(workers_of(client).map_shards(square, range(1000))) == [number**2 for number in range(1000)]
    assert [number for shard in client.shards for number in shard] == list(range(1000))
    assert len(client.shards[0]) < max(map(len, client.shards)) <= MOST


def test_shards_of_large_items_are_small(workers_of: Callable[[Client], DaskWorkers]) -> None:
    client = Client()
    items = [bytes([number]) * (dask_client.MOST_BYTES // 10) for number in range(50)]
    assert list(workers_of(client).map_shards(len, items)) == list(map(len, items))
    assert max(map(len, client.shards)) <= 10


def test_a_bounded_number_is_in_flight(workers_of: Callable[[Client], DaskWorkers]) -> None:
    taken = list[int]()

    def items():
        for number in range(100_000):
            taken.append(number)
            yield number

    assert next(workers_of(Client()).map_shards(square, items())) == 0
    assert len(taken) <= 3 * dask_client.SHARDS_AHEAD * MOST


@pytest.mark.parametrize("error", [ProcessEnded(), KilledWorker("key", None, CRASHES - 1)])
def test_a_shard_at_which_workers_crash_is_cut_until_the_item_is_found(
    workers_of: Callable[[Client], DaskWorkers], error: Exception
) -> None:
    workers = workers_of(Client(lambda shard: error if POISON in shard else None))
    expected = [-number if number == POISON else number**2 for number in range(100)]
    assert list(workers.map_shards(square, range(100), lost)) == expected


def test_an_item_that_hangs_workers_is_found_and_named(workers_of: Callable[[Client], DaskWorkers]) -> None:
    workers = workers_of(Client(lambda shard: ProcessHung() if POISON in shard else None))
    said = list[str]()
    list(workers.map_shards(square, range(100), lambda number, why: said.append(f"{number}: {why}") or 0))
    assert said == [f"{POISON}: it hung {CRASHES} workers"]


def test_an_item_at_which_workers_crash_ends_the_run_where_nothing_else_is_said(
    workers_of: Callable[[Client], DaskWorkers],
) -> None:
    workers = workers_of(Client(lambda shard: ProcessEnded() if POISON in shard else None))
    with pytest.raises(TwimagerError, match=f"^{POISON}: it crashed {CRASHES} workers$"):
        list(workers.map_shards(square, range(100)))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CancelledError(), "the connection to tcp://there is lost; --resume goes on"),
        (UnlikeWorker("has NumPy 1, not 2"), "a worker of tcp://there has NumPy 1, not 2"),
        (ImportError("No module named 'twimager'"), "a worker of tcp://there has no module twimager"),
        (TwimagerError("cannot write"), "cannot write"),
        (OSError("no more processes"), "no more processes"),
    ],
)
def test_what_concerns_all_ends_the_run(
    workers_of: Callable[[Client], DaskWorkers], error: Exception, words: str
) -> None:
    with pytest.raises((TwimagerError, OSError), match=words):
        list(workers_of(Client(lambda _: error)).map_shards(square, range(100), lost))


def test_a_connection_that_is_lost_without_a_word_ends_the_run(
    workers_of: Callable[[Client], DaskWorkers], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    monkeypatch.setattr(client, "submit", lambda *_, **__: Future())
    monkeypatch.setattr(dask_client, "LOOK", 0.1)
    workers = workers_of(client)
    future = workers.submit(square, 2)
    client.status = "closed"
    with pytest.raises(TwimagerError, match="the connection to tcp://there is lost"):
        future.result()


def test_a_large_task_is_sent_to_a_worker_once(
    workers_of: Callable[[Client], DaskWorkers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "SMALL_TASK", 0)
    client = Client()
    assert list(workers_of(client).map_shards(square, range(100))) == [number**2 for number in range(100)]
    assert client.shards.count(client.shards[0]) == 2
    assert client.shards.count(client.shards[-1]) == 1


def test_a_result_that_is_held_back_is_handed_out_when_it_is_waited_for(
    workers_of: Callable[[Client], DaskWorkers],
) -> None:
    client = Client()
    first, second = (workers_of(client).submit(square, number) for number in (2, 3))
    assert not client.shards
    assert second.cancel()
    assert first.result() == 4


def test_workers_are_compared_with_their_client(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"1")
    setup = SETUP._replace(seen=((tmp_path, None), (file, stamp(file))))
    assert difference(setup) == ""
    file.write_bytes(b"12")
    assert difference(setup) == f"sees another file at {file}"
    file.unlink()
    assert difference(setup) == f"does not see {file}"
    for number, (name, version) in enumerate(SETUP.versions):
        other = (*SETUP.versions[:number], (name, "0"), *SETUP.versions[number + 1 :])
        assert difference(SETUP._replace(versions=other)) == f"has {name} {version}, not 0"


ADDRESSES = {
    "there": "no scheduler of Dask answers at there",
    "http://127.0.0.1:1": "no scheduler of Dask answers at http://127.0.0.1:1",
    "tcp://127.0.0.1:1": "no scheduler of Dask answers at tcp://127.0.0.1:1",
    "config": "DASK_SCHEDULER_ADDRESS",
    "there.json": "there.json is no file of a scheduler of Dask",
}


class Answers(Client):
    """A client of two workers, of which one is gone before it answers."""

    scheduler, dashboard_link = SimpleNamespace(address="tcp://there"), ""

    def run(self, task: Callable[..., Any], *_: object, on_error: str = "raise") -> dict[str, Any]:
        gone = OSError("Stream is closed")
        if on_error == "raise":
            raise gone
        answer = "" if task is difference else 7
        return {"a": answer} | ({"b": gone} if on_error == "return" else {})


def test_a_worker_that_is_gone_before_it_answers_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_client, "_client", lambda *_: nullcontext(Answers()))
    options = to_options(parse(["--lr", "examples/LR", "--hr", "examples/HR", "--dest", "pairs"]))
    with dask_client.connected("tcp://there", options, [], [], Console(quiet=True)) as workers:
        assert workers.index_memory == 7


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_a_scheduler_nothing_is_done(
    run: Run, folders: Folders, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "ANSWERS", 1)
    refused(run(*folders.flags, "--scheduler", address), 2, "--scheduler", ADDRESSES[address])
    assert not folders.dest.exists()


def test_a_package_that_is_missing_is_named(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_client, "find_spec", lambda _: None)
    refused(run(*folders.flags, "--scheduler", "local"), 2, 'pip install "twimager[cluster]"')


def test_windows_are_of_this_machine(run: Run, folders: Folders) -> None:
    refused(run(*folders.flags, "--scheduler", "local", "--debug"), 2, "--debug", "not with --scheduler")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--index_memory", "1G"), "add --scheduler"),
        (("--index_memory", "0", "--scheduler", "local"), "must be above 0"),
        (("--index_memory", "much", "--scheduler", "local"), "'much' is no size"),
    ],
)
def test_the_memory_of_the_index_is_a_size_and_of_a_cluster(
    run: Run, folders: Folders, more: tuple[str, ...], words: str
) -> None:
    refused(run(*folders.flags, *more), 2, "--index_memory", words)


def test_videos_are_paired_on_one_machine(run: Run, folders: Folders) -> None:
    lr, hr = folders.lr / "a.mp4", folders.hr / "a.mp4"
    for video in (lr, hr):
        video.write_bytes(b"")
    refused(run("--lr", lr, "--hr", hr, "--dest", folders.dest, "--scheduler", "local"), 2, "videos", "one machine")


def test_a_run_without_a_scheduler_imports_no_dask(folders: Folders) -> None:
    program = (
        "import sys; from twimager.cli.main import main; code = main(); "
        "sys.exit(code or bool({'dask', 'distributed'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program, *map(str, folders.flags), "--quiet"], cwd=ROOT, check=True)


def test_a_cluster_on_this_machine_does_as_its_threads_do(run: Run, folders: Folders, tmp_path: Path) -> None:
    assert run(*folders.flags, "--quiet").code == 0
    lr, hr = folders.flags[:2], folders.flags[2:4]
    done = launched(*lr, *hr, "--dest", tmp_path / "dask", "--report", "--quiet", "-v", "--scheduler", "local")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("Dask: 1 worker, ")
    assert "; dashboard: http" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    made = {name: data for name, data in contents(tmp_path / "dask").items() if name.startswith(("LR", "HR"))}
    assert made == contents(folders.dest)
    assert report_of(tmp_path / "dask")["settings"]["scheduler"] == "local"
