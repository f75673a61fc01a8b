"""What is done in a Dask worker: a shard, in a child process, where the worker is like its client.

Each thread of the worker has a process for its shards: OpenCV's settings, the folder and the limits are those of the
run alone, and a crash costs a shard, not the worker.
"""

from __future__ import annotations

import pickle
import platform
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from twimager.errors import TwimagerError
from twimager.fingerprint.stamp import Stamp, stamp, this_source
from twimager.image.headers import LIMIT_VARIABLE
from twimager.runtime.child import heartbeat
from twimager.runtime.memory import LEAST, MEMORY_VARIABLE, usual
from twimager.runtime.process import Process, ProcessEnded

# Seconds after which a process that has nothing to do is ended: its client has gone, or decides for long.
IDLE = 60.0
# Seconds that an item takes at most; of what takes longer, each part. Storage may be away for a minute or two.
PATIENCE = 300.0
# Tasks of other shards that a worker keeps, which take some MB each where there are many images.
KEPT_TASKS = 4

Versions = tuple[tuple[str, str], ...]


class UnlikeWorker(TwimagerError):
    """A worker whose results would differ from those of its client, or that does not see the same files."""


class UnknownTask(Exception):
    """The task of a shard that came without it is not known to this worker."""


class Setup(NamedTuple):
    """What a worker has to have in common with its client, and what it needs to know.

    Attributes
    ----------
    versions : what results depend on, by name
    seen : absolute paths that are there; those of files with their stamps
    folder : where the run began
    max_pixels : as `--max_pixels`
    memory : bytes that a process may take; None for its share of half of the worker's
    """

    versions: Versions
    seen: tuple[tuple[Path, Stamp | None], ...]
    folder: str
    max_pixels: int
    memory: int | None


class _State:
    """What the threads of this worker share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.alike: set[Setup] = set()
        self.idle: defaultdict[Setup, list[tuple[Process, threading.Timer]]] = defaultdict(list)
        self.tasks: OrderedDict[str, bytes] = OrderedDict()


_state = _State()


def versions() -> Versions:
    """Return what results depend on."""
    import faiss

    return (
        ("twimager", this_source()),
        ("Python", ".".join(platform.python_version_tuple()[:2])),
        ("OpenCV", cv2.__version__),
        ("NumPy", np.__version__),
        ("FAISS", faiss.__version__),
    )


def difference(setup: Setup) -> str:
    """Return in what this worker is unlike its client, empty if in nothing."""
    for (name, here), (_, there) in zip(versions(), setup.versions, strict=True):
        if here != there:
            return f"has {name} {here}, not {there}"
    for path, known in setup.seen:
        if not path.exists():
            return f"does not see {path}"
        if known and stamp(path) != known:
            return f"sees another file at {path}"
    return ""


class Call:
    """A call of `run_shard`: unpickling it makes the call, so that the scheduler, which only passes it on, need not."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return run_shard, self._arguments


def run_shard(setup: Setup, digest: str, task: bytes | None, items: bytes) -> tuple[float, bytes]:
    """Dask task: do a task for every item of a shard; return the seconds that took, and the results, pickled.

    Parameters
    ----------
    digest : of the pickled task
    task : None where this worker may know it

    Raises
    ------
    UnlikeWorker
        If this is none for this client.
    UnknownTask
        If the task is not known.
    ProcessEnded
        If the process crashes, or hangs.
    """
    _require_alike(setup)
    whole = _known(digest, task)
    process = _taken(setup)
    try:
        answer = process.call(_do, whole, items, patience=PATIENCE)
    except ProcessEnded:
        process.kill()
        raise
    except BaseException:
        _give_back(setup, process)
        raise
    _give_back(setup, process)
    return answer


def _require_alike(setup: Setup) -> None:
    if setup in _state.alike:
        return
    if why := difference(setup):
        raise UnlikeWorker(why)
    _state.alike.add(setup)


def _known(digest: str, task: bytes | None) -> bytes:
    """Return a task, which is kept for shards that come without it."""
    with _state.lock:
        found = task or _state.tasks.get(digest)
        if found is None:
            raise UnknownTask
        _state.tasks[digest] = found
        _state.tasks.move_to_end(digest)
        while len(_state.tasks) > KEPT_TASKS:
            _state.tasks.popitem(last=False)
    return found


def _taken(setup: Setup) -> Process:
    """Return a process for a run, an idle one or a new one."""
    with _state.lock:
        if _state.idle[setup]:
            process, timer = _state.idle[setup].pop()
            timer.cancel()
            return process
    memory = setup.memory or _share()
    return Process(setup.folder, {LIMIT_VARIABLE: str(setup.max_pixels), MEMORY_VARIABLE: str(memory)})


def _give_back(setup: Setup, process: Process) -> None:
    timer = threading.Timer(IDLE, _end, (setup, process))
    timer.daemon = True
    with _state.lock:
        _state.idle[setup].append((process, timer))
        timer.start()


def _end(setup: Setup, process: Process) -> None:
    """End a process, unless it is at work again."""
    with _state.lock:
        is_idle = any(one is process for one, _ in _state.idle[setup])
        _state.idle[setup] = [kept for kept in _state.idle[setup] if kept[0] is not process]
    if is_idle:
        process.kill()


def _share() -> int:
    """Return how many bytes the process of each thread may take: half of the worker's together."""
    from distributed import get_worker

    worker = get_worker()
    limit = worker.memory_manager.memory_limit
    return int(max(LEAST, (limit // 2 if limit else usual()) // worker.state.nthreads))


def index_share(dask_worker: Any) -> int:
    """Return how many bytes the index may take in the process of each thread: a quarter of the worker's together."""
    return int((dask_worker.memory_manager.memory_limit or usual()) // 4 // dask_worker.state.nthreads)


def _do(task: bytes, items: bytes) -> tuple[float, bytes]:
    """Do a task for every item, in the process."""
    function, every = _loaded(task), pickle.loads(items)
    started = time.perf_counter()
    results = []
    for item in every:
        results.append(function(item))
        heartbeat.beat()
    return time.perf_counter() - started, pickle.dumps(results, pickle.HIGHEST_PROTOCOL)


@lru_cache(KEPT_TASKS)
def _loaded(task: bytes) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = pickle.loads(task)
    return function
