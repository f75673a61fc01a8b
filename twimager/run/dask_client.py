"""The workers of a Dask cluster as its client has them: items go out in shards, results come back in order.

Decisions stay here; a worker is sent no more than a task and its items, and returns what can be decided by.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import pickle
import queue
import re
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from itertools import compress
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from twimager.errors import TwimagerError, UsageError, require
from twimager.fingerprint.stamp import Stamp, stamp
from twimager.options import Options
from twimager.run.dask_worker import Call, Setup, UnknownTask, UnlikeWorker, difference, index_share, versions
from twimager.runtime.console import Console, counted
from twimager.runtime.memory import LEAST
from twimager.runtime.pool import Workers, fatal
from twimager.runtime.process import ProcessEnded, ProcessHung

# In place of an address: threads of this process; what Dask's configuration says.
LOCAL, CONFIG = "local", "config"
# Seconds in which a scheduler answers, the results of a shard arrive, and closing the connection ends.
ANSWERS, ARRIVES, CLOSES = 10, 60, 1
# Items of the first shards of a task, and of any at most; and bytes, as the scheduler holds what is in flight.
FIRST, MOST, MOST_BYTES = 4, 256, 4 << 20
# Seconds that a shard is to take: handing it out takes some 10 ms, and the fewer there are the less evenly they end.
# So it is a share of what the task has taken so far, within these.
SHARE, LEAST_SECONDS, MOST_SECONDS = 0.05, 0.5, 5.0
# Shards by which it is told how long an item takes: the first ones of a process take longer, as it imports.
RECENT = 9
# Shards in flight for each thread of the workers: one at work, the others to come.
SHARDS_AHEAD = 3
# Seconds between two looks at how many threads there are, and at whether the scheduler is.
LOOK = 2.0
# A larger task is sent to workers once, not with every shard.
SMALL_TASK = 1 << 16
# An item has crashed its process so many times when it is given up.
CRASHES = 3

T = TypeVar("T")
R = TypeVar("R")


class _Held:
    """A task, what was submitted of it and is not handed out yet, and how long an item takes."""

    def __init__(self, task: Callable[[Any], Any], crashed: Callable[[Any, str], Any]) -> None:
        self.name = getattr(task, "func", task).__name__.strip("_")
        self.pickled, self.crashed = pickle.dumps(task, pickle.HIGHEST_PROTOCOL), crashed
        self.digest = hashlib.sha256(self.pickled).hexdigest()
        self.items: list[Any] = []
        self.futures: list[Future[Any]] = []
        self._began, self._seconds, self._bytes = time.monotonic(), deque[float](maxlen=RECENT), 1.0

    @property
    def size(self) -> int:
        """How many items the next shard is to have."""
        seconds = tuple(self._seconds)
        if not seconds:
            return FIRST
        target = min(max(SHARE * (time.monotonic() - self._began), LEAST_SECONDS), MOST_SECONDS)
        return max(1, min(int(target / median(seconds)), int(MOST_BYTES / self._bytes), MOST))

    def take(self) -> tuple[list[Any], list[Future[Any]]]:
        """Return what is held, but what was cancelled, and hold it no more."""
        left = [future.set_running_or_notify_cancel() for future in self.futures]
        taken = list(compress(self.items, left)), list(compress(self.futures, left))
        self.items, self.futures = [], []
        return taken

    def pickle(self, items: Sequence[Any]) -> bytes:
        """Return items pickled, and note how large they are."""
        pickled = pickle.dumps(items, pickle.HIGHEST_PROTOCOL)
        self._bytes = len(pickled) / len(items)
        return pickled

    def measure(self, seconds: float) -> None:
        """Note how long an item took."""
        self._seconds.append(max(seconds, 1e-6))


class _Shard(NamedTuple):
    """Items that are handed out together, their futures, and how many processes have crashed at them."""

    held: _Held
    items: Sequence[Any]
    futures: Sequence[Future[Any]]
    crashes: int = 0


class _Result(Future[R]):
    """The result of an item, which is handed out, if it is held, when it is waited for."""

    def __init__(self, flush: Callable[[], None], require_connection: Callable[[], None]) -> None:
        super().__init__()
        self._flush, self._require_connection = flush, require_connection

    def result(self, timeout: float | None = None) -> R:
        """Wait for the result, and return it; raises TwimagerError, too, where none can come any more."""
        if not (self.running() or self.done()):
            self._flush()
        while not self.done():
            wait([self], LOOK)
            self._require_connection()
        return super().result(timeout)


class DaskWorkers(Workers):
    """The workers of a Dask cluster; for one thread."""

    are_remote = True

    def __init__(
        self, client: Any, setup: Setup, jobs: int, name: str, *, resumable: bool, index_memory: int | None = None
    ) -> None:
        """Have the scheduler called `name` do tasks, by way of its client; `jobs` threads are for what is done here.

        `index_memory` is as `--index_memory`.
        """
        super().__init__(jobs)
        self._client, self._setup, self._name, self._resumable = client, setup, name, resumable
        self._index_memory = index_memory
        self._held: WeakKeyDictionary[Callable[[Any], Any], _Held] = WeakKeyDictionary()
        self._threads, self._look = 1, 0.0
        self._answers = queue.SimpleQueue[tuple[_Shard, Any] | None]()
        # Not Dask's own thread for that, which the process would wait for at its end.
        Thread(target=self._take_all, name="dask answers", daemon=True).start()

    @property
    def index_memory(self) -> int:
        """What is given, else the share of the worker that can spare least, of those that are there now."""
        # Of one that is gone by then, nothing comes.
        return self._index_memory or min(self._client.run(index_share, on_error="ignore").values(), default=LEAST)

    def close(self) -> None:
        """Take no more answers."""
        self._answers.put(None)

    def expect(self, path: Path) -> None:
        """Have workers refuse what comes from now on unless they see this path, too."""
        self._setup = self._setup._replace(seen=(*self._setup.seen, (path.absolute(), None)))

    def submit(self, task: Callable[[T], R], item: T, crashed: Callable[[T, str], R] = fatal) -> Future[R]:
        """Return the future of task(item), which is handed out with others of the task."""
        held = self._held.get(task)
        if held is None:
            held = self._held[task] = _Held(task, crashed)
        future: _Result[R] = _Result(partial(self._hand_out_held, held), self._require_connection)
        held.items.append(item)
        held.futures.append(future)
        if len(held.items) >= held.size:
            self._hand_out_held(held)
        return future

    def flush(self, task: Callable[[T], R]) -> None:
        """Hand out what is held of a task."""
        if task in self._held:
            self._hand_out_held(self._held[task])

    def ahead(self, task: Callable[[T], R]) -> int:
        """Return how many items are in so many shards for each thread of the workers."""
        if time.monotonic() >= self._look:
            with suppress(Exception):  # that the scheduler does not answer shows in what becomes of the shards
                self._threads = max(1, sum(self._client.nthreads().values()))
            self._look = time.monotonic() + LOOK
        return SHARDS_AHEAD * self._threads * self._held[task].size if task in self._held else 1

    def _hand_out_held(self, held: _Held) -> None:
        items, futures = held.take()
        if items:
            self._hand_out(_Shard(held, items, futures))

    def _hand_out(self, shard: _Shard, with_task: bool = False) -> None:
        held = shard.held
        task = held.pickled if with_task or len(held.pickled) <= SMALL_TASK else None
        call = pickle.dumps(Call(self._setup, held.digest, task, held.pickle(shard.items)), pickle.HIGHEST_PROTOCOL)
        key = f"{held.name}-{uuid.uuid4().hex}"
        try:
            answer = self._client.submit(pickle.loads, call, key=key, pure=False)
            answer.add_done_callback(lambda answer: self._answers.put((shard, answer)))
        except Exception as error:
            self._fail(shard, self._lost(error))

    def _take_all(self) -> None:
        while answered := self._answers.get():
            self._take(*answered)

    def _take(self, shard: _Shard, answer: Any) -> None:
        from distributed import CancelledError, KilledWorker

        try:
            seconds, packed = answer.result(ARRIVES)
            results = pickle.loads(packed)
        except UnknownTask:
            self._hand_out(shard, with_task=True)
        except KilledWorker as error:
            # With it, what other threads of those workers did has ended: of halves, few are that again.
            self._cut(shard, error.allowed_failures + 1, "crashed", size=-(-len(shard.items) // 2))
        except ProcessEnded as error:
            self._cut(shard, shard.crashes + 1, "hung" if isinstance(error, ProcessHung) else "crashed", size=1)
        except (UnlikeWorker, ImportError) as error:
            self._fail(shard, TwimagerError(f"--scheduler: a worker of {self._name} {_in_words(error)}"))
        except (CancelledError, OSError, asyncio.TimeoutError) as error:
            self._fail(shard, error if answer.status == "error" else self._lost(error))
        except BaseException as error:
            self._fail(shard, error)
        else:
            shard.held.measure(seconds / len(shard.items))
            for future, result in zip(shard.futures, results, strict=True):
                future.set_result(result)

    def _cut(self, shard: _Shard, crashes: int, what: str, size: int) -> None:
        """Hand out a shard that has crashed workers, or hung them, in parts of so many items, until one is found."""
        held, items, futures, _ = shard
        if len(items) > 1:
            for start in range(0, len(items), size):
                part = slice(start, start + size)
                self._hand_out(_Shard(held, items[part], futures[part]))
        elif crashes < CRASHES:
            self._hand_out(shard._replace(crashes=crashes))
        else:
            try:
                futures[0].set_result(held.crashed(items[0], f"it {what} {counted(crashes, 'worker')}"))
            except TwimagerError as error:
                futures[0].set_exception(error)

    def _fail(self, shard: _Shard, error: BaseException) -> None:
        for future in shard.futures:
            future.set_exception(error)

    def _require_connection(self) -> None:
        if self._client.status != "running":
            raise self._lost()

    def _lost(self, error: BaseException | None = None) -> TwimagerError:
        goes_on = "; --resume goes on" * self._resumable
        lost = TwimagerError(f"--scheduler: the connection to {self._name} is lost{goes_on}")
        lost.__cause__ = error
        return lost


@contextmanager
def connected(
    named: str, options: Options, lr_paths: Sequence[Path], hr_paths: Sequence[Path], console: Console
) -> Iterator[DaskWorkers]:
    """Yield the workers of the cluster that is named as `--scheduler` does, which are found to be like this process.

    Raises
    ------
    UsageError
        If there is none, or one of its workers has other versions or does not see the same files.
    """
    require(find_spec("distributed"), '--scheduler needs Dask: pip install "twimager[cluster]"')
    _silence()
    with _client(named, options.run.jobs) as client:
        name = client.scheduler.address if named in (LOCAL, CONFIG) else named
        seen = _to_be_seen(options, lr_paths, hr_paths)
        setup = Setup(versions(), seen, os.getcwd(), options.read.max_pixels, options.run.memory)
        found = client.run(difference, setup, on_error="return")
        for address, why in found.items():
            if why and not isinstance(why, OSError):  # that is one that is gone by then
                raise UsageError(f"--scheduler: the worker {address} {_in_words(why)}")
        threads = sum(client.nthreads().values())
        there = f"{counted(len(found), 'worker')}, {counted(threads, 'thread')}"
        console.decision(f"Dask: {there}; dashboard: {client.dashboard_link}")
        if not found:
            console.note(f"--scheduler: waiting for workers of {name}")
        workers = DaskWorkers(
            client,
            setup,
            options.run.jobs,
            name,
            resumable=not options.run.dry,
            index_memory=options.run.index_memory,
        )
        try:
            yield workers
        finally:
            workers.close()


def _in_words(why: str | Exception) -> str:
    """Return in what a worker is unlike its client, by what it answers or raises."""
    text = str(why)
    if missing := re.search(r"No module named '([\w.]+)'", text):
        return f"has no module {missing[1]}"
    return text if isinstance(why, str | UnlikeWorker) else f"fails: {text}"


def _silence() -> None:
    """Have Dask say nothing on stderr: what goes wrong is said by the run."""
    import distributed  # noqa: F401 (sets up its loggers)

    for name in [*logging.root.manager.loggerDict, "asyncio"]:
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for module in ("distributed", "dask"):
        warnings.filterwarnings("ignore", module=module)


@contextmanager
def _client(named: str, jobs: int) -> Iterator[Any]:
    """Yield a client of a scheduler; of one with `jobs` threads in this process, if that is what is named."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.comm.addressing import resolve_address

    with dask.config.set({"distributed.comm.timeouts.connect": f"{ANSWERS}s"}):
        if named == LOCAL:
            address: Any = LocalCluster(
                n_workers=1,
                threads_per_worker=jobs,
                processes=False,
                dashboard_address="127.0.0.1:0",
                silence_logs=False,
            )
        else:
            address = _address(named)
        try:
            if named != LOCAL:
                resolve_address(address)  # of what is no address a client would leave threads behind
            client = Client(address, set_as_default=False, timeout=ANSWERS)
        except (OSError, ValueError) as error:
            raise UsageError(f"--scheduler {named}: no scheduler of Dask answers at {address}") from error
        try:
            yield client
        finally:
            with suppress(Exception):
                client.close(timeout=CLOSES)
            if named == LOCAL:
                address.close(timeout=CLOSES)


def _address(named: str) -> str:
    """Return the address of a scheduler, which may stand in Dask's configuration or in a file; raises UsageError."""
    import dask

    if named == CONFIG:
        found = dask.config.get("scheduler-address", None)
        require(found, f"--scheduler {CONFIG}: Dask's configuration has no scheduler-address (DASK_SCHEDULER_ADDRESS)")
        return str(found)
    if not named.endswith(".json"):
        return named
    try:
        return str(json.loads(Path(named).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"--scheduler: {named} is no file of a scheduler of Dask") from error


def _to_be_seen(
    options: Options, lr_paths: Sequence[Path], hr_paths: Sequence[Path]
) -> tuple[tuple[Path, Stamp | None], ...]:
    """Return what workers have to see: an image of both sides as it is here, and where DEST is, or is to be made."""
    paths = [options.lr, options.hr, *lr_paths[:1], *hr_paths[:1]]
    if options.run.dest:
        dest = options.run.dest.absolute()
        paths.append(next(folder for folder in (dest, *dest.parents) if folder.exists()))
    if not all(path.is_absolute() for path in paths):
        paths.append(Path.cwd())
    return tuple((path.absolute(), stamp(path)) for path in paths)
