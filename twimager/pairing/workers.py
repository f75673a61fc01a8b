"""Evaluate many LRs at once: by remote workers, in threads or, where it pays, in processes.

Evaluating takes thousands of small steps of Python, for which threads wait for each other: a run over 500 LRs takes
0.92 of the time with two processes, from its start to its end.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import tee
from typing import Any

from twimager.errors import Reason, Rejection
from twimager.fingerprint.working_image import recent
from twimager.pairing.evaluation import Evaluation, from_text, to_text
from twimager.pairs import RejectedPair
from twimager.propose.proposal import Proposal
from twimager.runtime.memory import MEMORY_VARIABLE, PROCESS, budget, total
from twimager.runtime.pool import Threads, Workers
from twimager.runtime.process import Process, ProcessEnded

# Two processes take a fifth of a second to start, and save 2 ms an LR; with 120 LRs threads were 4 % faster, with 250
# none was.
WORTH_PROCESSES = 200
# Of working images, a process needs those of the LR at hand only: the others are kept by its parent.
OWN_BYTES = 16 * 1024 * 1024
# What reading an image takes at most, a pixel: three values of 16 bit, and the gray as float32.
PRECISE_BYTES = 10


# The evaluation of one LR's proposals, as a worker gets it.
Task = Callable[[Sequence[Proposal]], Evaluation]


class Evaluators:
    """Evaluates LRs in workers, until its block ends; processes are started once they are worth it, one a job."""

    def __init__(self, workers: Workers, task: Task) -> None:
        """Do `task`, which can be pickled, in these workers, or in as many processes if they may start any."""
        self._workers, self._task = workers, task
        self._to_text = partial(_as_text, task=task)
        self._threads: ThreadPoolExecutor | None = None
        self._all: list[Process] = []
        self._idle: list[Process] = []
        self._ended = False

    def evaluate(self, cases: Iterable[Sequence[Proposal]], at_most: int) -> Iterator[Evaluation]:
        """Yield the evaluation of every LR's proposals, of so many at most, in order."""
        workers = self._workers
        if workers.are_remote:
            cases, again = tee(cases)
            return map(from_text, workers.map_shards(self._to_text, cases, _not_compared), again)
        worth = at_most >= WORTH_PROCESSES and workers.jobs > 1 and total() >= workers.jobs * PROCESS
        if worth and workers.may_start_processes and not self._all:
            self._start()
        if self._threads is None:
            return workers.map_shards(self._task, cases)
        return Threads(self._threads, workers.jobs).map_shards(self._in_process, cases)

    def _start(self) -> None:
        with suppress(OSError):  # no more processes are to be had; threads will do
            while len(self._all) < self._workers.jobs:
                self._all.append(Process(os.getcwd(), {MEMORY_VARIABLE: str(total())}))
            self._idle = list(self._all)
            self._threads = ThreadPoolExecutor(self._workers.jobs)

    def _in_process(self, proposals: Sequence[Proposal]) -> Evaluation:
        """Evaluate an LR's proposals in a process; here, if that has ended.

        It is sent what it needs of the working images kept here, and returns those it made.
        """
        process = self._idle.pop()
        try:
            with budget.admit(_evaluation_bytes(proposals)):
                copies = recent.these({image.path for proposal in proposals for image in proposal.images})
                text, made = process.call(_evaluate_with, proposals, self._task, copies)
        except ProcessEnded:
            if self._ended:
                raise
            return self._task(proposals)
        finally:
            self._idle.append(process)
        for path, gray in made.items():
            recent.keep(path, gray)
        return from_text(text, proposals)

    def __enter__(self) -> Evaluators:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            process.kill()


def _evaluation_bytes(proposals: Sequence[Proposal]) -> int:
    """Return how many bytes evaluating an LR's proposals takes in another process, where images are read one by one."""
    largest = max(math.prod(image.frame[2:]) for proposal in proposals for image in proposal.images)
    return min(budget.limit, PRECISE_BYTES * largest)


def _evaluate_with(proposals: Sequence[Proposal], task: Task, copies: dict[Any, Any]) -> tuple[str, dict[Any, Any]]:
    """Return the text of an evaluation, and the working images that were made for it beside these copies."""
    recent.limit = OWN_BYTES
    for path, gray in copies.items():
        recent.keep(path, gray)
    text = _as_text(proposals, task)
    # The LR is used no more; its HRs may be for other LRs.
    made = recent.these({proposal.hr.path for proposal in proposals} - copies.keys())
    return text, made


def _as_text(proposals: Sequence[Proposal], task: Task) -> str:
    return to_text(task(proposals), proposals)


def _not_compared(proposals: Sequence[Proposal], why: str) -> str:
    """Return the text of the evaluation of proposals at which workers crash."""
    failed = Rejection(Reason.FAILED, why)
    return to_text(Evaluation([], [], [RejectedPair(proposal, failed) for proposal in proposals]), proposals)
