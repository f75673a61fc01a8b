"""A pool of workers; results in the order of the tasks, a bounded number in flight."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import ParamSpec, TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

# glibc's numbers of its settings, the largest freed block that it may keep, how much in all, and in how many arenas:
# with one a thread, 65 MB more were kept after 500 pairs, and it was no faster.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT_BLOCK = 32 * 1024 * 1024
KEPT_MEMORY = 256 * 1024 * 1024
ARENAS = 2

# Tasks handed out ahead, a worker: enough to keep it busy while the main thread decides.
AHEAD = 4


class InlineExecutor(Executor):
    """Runs each task at once, in the thread that submits it."""

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run `function` and return its finished future; what it raises is raised here."""
        future: Future[R] = Future()
        future.set_result(function(*args, **kwargs))
        return future


def prepare_process() -> None:
    """Set what holds for the whole process: OpenCV's own threads would only compete with the workers.

    And glibc is to keep freed memory for the next image. It would hand each large block back to the system at once, and
    getting it anew, page by page, takes 40 % of SIFT's time. Other C libraries have no such setting.
    """
    cv2.setNumThreads(1)
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK)
        mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY)
        mallopt(M_ARENA_MAX, ARENAS)


@contextmanager
def worker_pool(jobs: int, inline: bool = False) -> Iterator[Executor]:
    """Yield an executor of `jobs` threads, or none with `inline`; leaving early drops what has not begun."""
    prepare_process()
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
