"""Child processes that answer requests through pipes, and end when their parent does."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from twimager.runtime.decoder_warnings import new_file

# Matrix products are small and the workers many: the maths library's own threads would only get in their way.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# A group of its own (a session, where there are such): an interrupt from the keyboard goes to the parent only.
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
# Seconds between two beats.
BEAT = 1.0
# Where children start, which is where they search for modules first: never the user's folder.
HOME = Path(__file__).resolve().parent.parent.parent


def module(name: str) -> tuple[str, ...]:
    """Return the command that runs a module of this package."""
    return sys.executable, "-m", name


_started: set[subprocess.Popen[bytes]] = set()


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a child, its stdin and stdout piped; it is to end when its stdin does, so that none outlives its parent.

    Its stderr is a file of its own, in which its decoders' warnings are recorded.
    """
    with new_file() as warnings:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=warnings, cwd=HOME,
            env={**ONE_THREAD, **os.environ, **(environment or {})}, start_new_session=True, creationflags=NEW_GROUP,
        )  # fmt: skip
    _started.difference_update([one for one in tuple(_started) if one.returncode is not None])
    _started.add(child)
    return child


def kill_all() -> None:
    """End all children at once."""
    for child in tuple(_started):
        with suppress(OSError):
            child.kill()


def answers() -> BinaryIO:
    """Return, in a child, where its answers go: what libraries print to stdout does not."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream


class Heartbeat:
    """Tells the parent of this process, where that wants to know, that it goes on: once a second at most."""

    def __init__(self) -> None:
        self._stream: BinaryIO | None = None
        self._next = 0.0

    def goes_to(self, stream: BinaryIO) -> None:
        """Send None, pickled, there from now on."""
        self._stream = stream

    def beat(self) -> None:
        """Tell it now."""
        if self._stream and time.monotonic() >= self._next:
            pickle.dump(None, self._stream)
            self._stream.flush()
            self._next = time.monotonic() + BEAT


heartbeat = Heartbeat()


def limit_memory(allowance: int) -> None:
    """Limit this process to so many bytes more than it takes now, where the system has such limits."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as sizes:
            taken = int(sizes.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + allowance, resource.getrlimit(resource.RLIMIT_AS)[1]))
