"""Child processes that answer what they are asked through pipes, and end when we do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from twimager.runtime.decoder_warnings import new_file

# Matrix products are small and the workers many: the maths library's own threads would only get in their way.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# A group of its own (a session, where there are such): an interrupt from the keyboard is for us to hear.
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
# Also what the child has for its first place to look for modules: never the user's folder.
HOME = Path(__file__).resolve().parent.parent.parent


def module(name: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours."""
    return sys.executable, "-m", name


_started: set[subprocess.Popen[bytes]] = set()


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a child, its stdin and stdout open to us; it is to end when its stdin does, so that none outlives us.

    Its stderr is a file of its own, in which it may look for its decoders' warnings.
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
