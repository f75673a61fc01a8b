"""Workers that do tasks; results in the order of the tasks, a bounded number in flight.

All that reads, evaluates, renders and writes goes through `Workers`: threads of this process, or what `run.dask_client`
has of a Dask cluster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NoReturn, ParamSpec, TypeVar

import cv2

from twimager.errors import TwimagerError

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

# Tasks handed out ahead, a worker: enough to keep it busy while the main thread decides.
AHEAD = 4


def fatal(item: object, why: str) -> NoReturn:
    """Raise TwimagerError for an item that can't be done."""
    raise TwimagerError(f"{item}: {why}")


class Workers(ABC):
    """Workers that do tasks, which are plain functions of one item.

    A task for remote workers, its items and its results can be pickled, and doing it twice does no harm.

    Attributes
    ----------
    jobs : how many threads of this process there may be
    are_remote : whether tasks are done in other processes, maybe on other machines
    may_start_processes : whether tasks may be done in child processes in place of these workers
    """

    are_remote = False
    may_start_processes = False

    @property
    def index_memory(self) -> int:
        """The bytes that the index of features may take in each process of remote workers."""
        return 0

    def __init__(self, jobs: int) -> None:
        """Have OpenCV use one thread here: its own would only compete with the workers."""
        cv2.setNumThreads(1)
        self.jobs = jobs

    @abstractmethod
    def submit(self, task: Callable[[T], R], item: T, crashed: Callable[[T, str], R] = fatal) -> Future[R]:
        """Return the future of task(item); of an item at which remote workers crash it is crashed(item, why)."""

    @abstractmethod
    def flush(self, task: Callable[[T], R]) -> None:
        """Hand out what was submitted of a task and is held back."""

    @abstractmethod
    def ahead(self, task: Callable[[T], R]) -> int:
        """Return how many items of a task keep the workers busy."""

    def map_shards(
        self, task: Callable[[T], R], items: Iterable[T], crashed: Callable[[T, str], R] = fatal, ahead: int = 0
    ) -> Iterator[R]:
        """Yield task(item) for every item, in their order; at most `ahead`, or what keeps workers busy, are in flight.

        Parameters are those of `submit`.
        """
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(self.submit(task, item, crashed))
            while len(pending) >= (ahead or self.ahead(task)):
                yield pending.popleft().result()
        self.flush(task)
        while pending:
            yield pending.popleft().result()


class Threads(Workers):
    """The threads of an executor."""

    def __init__(self, executor: Executor, jobs: int) -> None:
        super().__init__(jobs)
        self._executor = executor
        self.may_start_processes = not isinstance(executor, InlineExecutor)

    def submit(self, task: Callable[[T], R], item: T, crashed: Callable[[T, str], R] = fatal) -> Future[R]:
        """Return the future of task(item)."""
        return self._executor.submit(task, item)

    def flush(self, task: Callable[[T], R]) -> None:
        """Do nothing: nothing is held back."""

    def ahead(self, task: Callable[[T], R]) -> int:
        """Return so many items for each thread."""
        return AHEAD * self.jobs


class InlineExecutor(Executor):
    """Runs each task at once, in the thread that submits it."""

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run `function` and return its finished future; what it raises is raised here."""
        future: Future[R] = Future()
        future.set_result(function(*args, **kwargs))
        return future


@contextmanager
def worker_pool(jobs: int, inline: bool = False) -> Iterator[Workers]:
    """Yield `jobs` threads, or with `inline` none; leaving early drops what has not begun."""
    pool: Executor = InlineExecutor() if inline else ThreadPoolExecutor(jobs)
    wait = True
    try:
        yield Threads(pool, jobs)
    except KeyboardInterrupt:  # there is no time for what has begun
        wait = False
        raise
    finally:
        pool.shutdown(wait, cancel_futures=True)
