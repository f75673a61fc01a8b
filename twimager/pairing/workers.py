"""Evaluate many LRs at once: in threads or, where it pays, in processes; run as a module, one of those processes.

Evaluating takes thousands of small steps of Python, for which threads wait for each other: a run over 500 LRs takes
0.92 of the time with two processes, from its start to its end.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import cv2

from twimager.fingerprint.working_image import recent
from twimager.pairing.evaluation import Evaluation, from_text, to_text
from twimager.propose.proposal import Proposal
from twimager.runtime import child, decoder_warnings
from twimager.runtime.memory import MEMORY_VARIABLE, PROCESS, budget, keep_freed_memory, total
from twimager.runtime.pool import AHEAD, in_order

COMMAND = child.module("twimager.pairing.workers")
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

    def __init__(self, pool: Executor, jobs: int, task: Task, processes: bool = True) -> None:
        """Do `task`, which can be pickled, in the `jobs` threads of `pool`, or in as many processes if those may be."""
        self._pool, self._jobs, self._task, self._processes = pool, jobs, task, processes
        self._threads: Executor | None = None
        self._all: list[_Process] = []
        self._idle: list[_Process] = []
        self._ended = False

    def evaluate(self, cases: Sequence[Sequence[Proposal]]) -> Iterator[Evaluation]:
        """Yield the evaluation of every LR's proposals, in order."""
        worth = len(cases) >= WORTH_PROCESSES and self._jobs > 1 and total() >= self._jobs * PROCESS
        if worth and self._processes and not self._all:
            self._start()
        ahead = AHEAD * self._jobs
        if self._threads is None:
            return in_order(self._pool, self._task, cases, ahead)
        return in_order(self._threads, self._in_process, cases, ahead)

    def _start(self) -> None:
        with suppress(OSError):  # no more processes are to be had; threads will do
            while len(self._all) < self._jobs:
                self._all.append(_Process())
            self._idle = list(self._all)
            self._threads = ThreadPoolExecutor(self._jobs)

    def _in_process(self, proposals: Sequence[Proposal]) -> Evaluation:
        """Evaluate an LR's proposals in a process; here, if that has ended."""
        process = self._idle.pop()
        try:
            with budget.admit(_evaluation_bytes(proposals)):
                return process.evaluate(proposals, self._task)
        except (OSError, EOFError, pickle.UnpicklingError):
            if self._ended:
                raise
            return self._task(proposals)
        finally:
            self._idle.append(process)

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


class _Process:
    """A process that evaluates; it is sent what it needs of the working images kept here, and returns those it made."""

    def __init__(self) -> None:
        self._child = child.start((*COMMAND, os.getcwd()), {MEMORY_VARIABLE: str(total())})

    def evaluate(self, proposals: Sequence[Proposal], task: Task) -> Evaluation:
        """Return the evaluation of one LR's proposals; raises EOFError and others if the process has ended."""
        assert self._child.stdin
        assert self._child.stdout
        copies = recent.these({image.path for proposal in proposals for image in proposal.images})
        pickle.dump((proposals, task, copies), self._child.stdin, pickle.HIGHEST_PROTOCOL)
        self._child.stdin.flush()
        text, made = pickle.load(self._child.stdout)
        for path, gray in made.items():
            recent.keep(path, gray)
        return from_text(text, proposals)

    def kill(self) -> None:
        """End the process."""
        self._child.kill()
        with suppress(OSError, ValueError):
            self._child.communicate()


def _serve(folder: str) -> None:
    """Evaluate what comes in on stdin until it ends; paths are as seen from `folder`."""
    cv2.setNumThreads(1)
    keep_freed_memory()
    decoder_warnings.recorded_by_parent()
    os.chdir(folder)
    recent.limit = OWN_BYTES
    answers = child.answers()
    with suppress(EOFError):
        while True:
            pickle.dump(_evaluate_task(*pickle.load(sys.stdin.buffer)), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def _evaluate_task(proposals: Sequence[Proposal], task: Task, copies: dict[Any, Any]) -> tuple[str, dict[Any, Any]]:
    for path, gray in copies.items():
        recent.keep(path, gray)
    text = to_text(task(proposals), proposals)
    # The LR is used no more; its HRs may be for other LRs.
    made = recent.these({proposal.hr.path for proposal in proposals} - copies.keys())
    return text, made


if __name__ == "__main__":
    _serve(sys.argv[1])
