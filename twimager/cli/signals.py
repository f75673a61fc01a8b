"""Ctrl-C and its like: the first interrupts the run, the second, or a run that does not end, ends the process."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

from twimager.errors import ExitCode, Interrupted, TwimagerError

# Ctrl-C, the system that shuts down, a terminal that was closed, Ctrl-Break on Windows.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
# Seconds that a run has for its cleanup; users wait for three.
GRACE = 2.5
# Seconds to wait at the very end for two files that are given their names, and for what ends the process already.
PLACING = 0.3


class Interruption:
    """Handles signals while its block lasts and, once one has come, until the process ends.

    KeyboardInterrupt is raised in the main thread, once. That may be deep in a library then, and workers in theirs:
    another thread, which is woken by signals too, ends the process in time.
    """

    def __init__(self, last: bool) -> None:
        """With `last`, the process has nothing to do after the block: it is not disturbed in ending, or ends there."""
        self._last = last
        self._message = str(Interrupted())
        self._begun = False
        self._came = False
        self._ending = threading.Lock()
        self._before: dict[int, Any] = {}

    def begin(self, message: Interrupted | None = None) -> None:
        """From now on an interrupt waits for the rename lock and calls cleanup; all is imported.

        `message` is printed where the process is ended at once.
        """
        from twimager.output import atomic  # noqa: F401
        from twimager.runtime import child, cleanup  # noqa: F401

        self._message = str(message or Interrupted())
        self._begun = True

    def leave(self, code: ExitCode) -> None:
        """End the process at once with `code`, if a signal has come; what workers still do is not used."""
        if self._came and self._last:
            self._end("", code)

    def __enter__(self) -> Interruption:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._stderr = os.dup(2)
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._woken = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._handle)
        threading.Thread(target=self._watch, name="interruption", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Let the process go on, or end it without waiting for workers where the block was interrupted."""
        if self._came and self._last and isinstance(error, TwimagerError):
            self._end(str(error), error.exit_code)
        if self._came and self._last and error:  # KeyboardInterrupt, or what a library has made of it
            self._end(self._message, ExitCode.INTERRUPTED)
        if not hasattr(self, "_sender"):  # another thread than the main one
            return
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._last else handler)
        signal.set_wakeup_fd(self._woken)
        self._sender.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt at the first signal; what is done because of it is not interrupted again."""
        if not self._came:
            self._came = True
            if self._last and not self._begun:  # interrupted imports raise other errors
                self._end(self._message, ExitCode.INTERRUPTED)
            raise KeyboardInterrupt

    def _watch(self) -> None:
        received, seconds = 0, None
        while received < 2:
            ready, _, _ = select.select([self._receiver], [], [], seconds)
            numbers = self._receiver.recv(1) if ready else b""
            if ready and not numbers:  # the sender was closed
                self._receiver.close()
                os.close(self._stderr)
                return
            if not ready:
                break
            if numbers and numbers[0] in self._before:
                received, seconds = received + 1, GRACE
        self._end(self._message, ExitCode.INTERRUPTED)

    def _end(self, message: str, code: ExitCode) -> None:
        """End the process, and wait for no thread."""
        if self._ending.acquire(timeout=PLACING):  # else the first caller waits for a terminal that takes no more
            if self._begun:
                _clean_up()
            if message:
                with suppress(OSError):
                    os.write(self._stderr, f"twimager: {message}\n".encode(sys.stderr.encoding or "utf-8", "replace"))
        os._exit(code)


def _clean_up() -> None:
    """Leave no half of a pair, no child process and no temporary file behind."""
    from twimager.output import atomic
    from twimager.runtime import child, cleanup

    atomic.placing.acquire(timeout=PLACING)
    child.kill_all()
    cleanup.remove_all()
