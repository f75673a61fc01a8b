"""A pool of workers; results in the order of the tasks, a bounded number in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

# Tasks handed out ahead, a worker: enough to keep it busy while the main thread decides.
AHEAD = 4


class InlineExecutor(Executor):
    """Runs each task at once, in the thread that submits it."""

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run `function` and return its finished future; what it raises is raised here."""
        future: Future[R] = Future()
        future.set_result(function(*args, **kwargs))
        return future


@contextmanager
def worker_pool(jobs: int, inline: bool = False) -> Iterator[Executor]:
    """Yield an executor of `jobs` threads, or none with `inline`; leaving early drops what has not begun.

    OpenCV is given one thread: its own would only compete with the workers.
    """
    cv2.setNumThreads(1)
    pool: Executor = InlineExecutor() if inline else ThreadPoolExecutor(jobs)
    wait = True
    try:
        yield pool
    except KeyboardInterrupt:  # there is no time for what has begun
        wait = False
        raise
    finally:
        pool.shutdown(wait, cancel_futures=True)


def in_order(pool: Executor, function: Callable[[T], R], tasks: Iterable[T], in_flight: int) -> Iterator[R]:
    """Yield function(task) for every task, in the order of the tasks, at most `in_flight` ahead of the reader."""
    pending: deque[Future[R]] = deque()
    for task in tasks:
        pending.append(pool.submit(function, task))
        if len(pending) >= in_flight:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
