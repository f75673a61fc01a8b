"""Processes that call functions: one that hangs is ended, one that takes its time is not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from twimager.runtime import child
from twimager.runtime.process import Process, ProcessEnded, ProcessHung

PATIENCE = 1.5


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    started = Process(str(tmp_path), {})
    assert started.call(os.getcwd) == str(tmp_path)
    yield started
    started.kill()


def step_by_step(seconds: float) -> int:
    child.BEAT = 0.0
    end, steps = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        time.sleep(0.05)
        child.heartbeat.beat()
        steps += 1
    return steps


def crash() -> None:
    os._exit(1)


def test_what_takes_long_but_goes_on_is_waited_for(process: Process) -> None:
    assert process.call(step_by_step, 2 * PATIENCE, patience=PATIENCE) > 1
    assert process.call(abs, -1) == 1


def test_what_hangs_is_killed(process: Process) -> None:
    with pytest.raises(ProcessHung):
        process.call(time.sleep, 3600, patience=0.3)
    with pytest.raises(ProcessEnded):
        process.call(abs, -1)


def test_what_crashes_does_not_hang(process: Process) -> None:
    with pytest.raises(ProcessEnded) as ended:
        process.call(crash, patience=PATIENCE)
    assert not isinstance(ended.value, ProcessHung)
