"""The memory budget of a run: what decoding and rendering take is admitted against it before it is taken."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from twimager.errors import UnreadableImage

# The environment variable that hands the budget, in bytes, to the processes of a run.
MEMORY_VARIABLE = "TWIMAGER_MEMORY"
MB = 1 << 20
UNITS = {"": MB, "K": 1 << 10, "M": MB, "G": 1 << 30, "T": 1 << 40}
# What a run takes beside the images at hand: the libraries, and the working images and fingerprints that it keeps.
RESERVED = 224 * MB
# A process takes some 90 MB before it has decoded anything: none is started of which the budget is not so many times.
PROCESS = 768 * MB
LEAST = 384 * MB
# glibc's names for its settings, the largest block that it lets us keep, how much in all, and in how many places: each
# thread having one of its own, they kept 65 MB more after 500 pairs, and were no faster.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT_BLOCK = 32 * 1024 * 1024
KEPT_MEMORY = 256 * 1024 * 1024
ARENAS = 2
# Where the system does not tell how much memory is free.
USUAL = 4 << 30
# Of files of more bytes one at a time is read before it is known how many pixels it holds.
BIG_FILE = 8 * MB


class OverBudget(UnreadableImage):
    """An image that alone takes more memory than all of them may."""


class Budget:
    """The bytes that the images at hand may take; what does not fit waits, first come, first served."""

    def __init__(self, limit: int | None = None) -> None:
        """Admit `limit` bytes at once; without one, what the run's budget leaves for images."""
        self._limit = limit
        self._used = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()
        self._big_files = threading.Lock()
        self._thread = threading.local()

    @property
    def limit(self) -> int:
        """How many bytes may be admitted at once."""
        return max(total() - RESERVED, RESERVED // 2) if self._limit is None else self._limit

    @contextmanager
    def admit(self, need: int) -> Iterator[None]:
        """Hold `need` bytes while the block lasts; what the block has admitted is part of them."""
        with self._outermost() as held:
            if held is not None:
                self._take(need, held)
            yield

    @contextmanager
    def admit_file(self, path: Path) -> Iterator[Callable[[int], None]]:
        """Hold the bytes of a file while the block lasts; what is yielded is called with those that decoding takes.

        To avoid deadlock no thread waits for bytes while it holds some, but for one with a large file, which is served
        next.
        """
        with self._outermost() as held, ExitStack() as alone:
            if held is None:
                yield lambda _: None
                return
            size = _file_bytes(path)
            is_big = BIG_FILE < size <= self.limit  # of what is larger no more is read than its beginning
            if is_big:
                alone.enter_context(self._big_files)
                self._take(size, held)

            def take_more(need: int) -> None:
                self.require(size + need)
                self._take(need if is_big else size + need, held, is_next=is_big)
                alone.close()

            yield take_more

    @contextmanager
    def _outermost(self) -> Iterator[ExitStack | None]:
        """Yield what gives back all that is taken while the block lasts, None inside another such block."""
        if getattr(self._thread, "holds", False):
            yield None
            return
        self._thread.holds = True
        try:
            with ExitStack() as held:
                yield held
        finally:
            self._thread.holds = False

    def require(self, need: int) -> None:
        """Raise OverBudget if so many bytes would never be admitted."""
        if need > self.limit:
            raise OverBudget(f"takes {need // MB} MB of memory; --memory leaves {self.limit // MB} MB")

    def _take(self, need: int, held: ExitStack, is_next: bool = False) -> None:
        self.require(need)
        turn = object()
        with self._changed:
            (self._queue.appendleft if is_next else self._queue.append)(turn)
            try:
                self._changed.wait_for(lambda: self._queue[0] is turn and self._used + need <= self.limit)
                self._used += need
            finally:
                self._queue.remove(turn)
                self._changed.notify_all()
        held.callback(self._give_back, need)

    def _give_back(self, need: int) -> None:
        with self._changed:
            self._used -= need
            self._changed.notify_all()


budget = Budget()


def total() -> int:
    """Return how many bytes the run may take: by the environment, else half of what was free at first."""
    given = os.environ.get(MEMORY_VARIABLE)
    return int(given) if given else usual()


@cache
def usual() -> int:
    """Return half of what is free, when this is first called."""
    return max(LEAST, free_memory() // 2)


def parse_size(text: str) -> int:
    """Return the bytes that a size stands for: "800M", "2G", "1.5GB", a plain number being megabytes; or ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", text.strip().upper())
    if not found:
        raise ValueError(text)
    return int(float(found[1]) * UNITS[found[2]])


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next image, in this process, from now on.

    It would hand each large block back to the system at once, and getting it anew, page by page, takes 40 % of SIFT's
    time. Other C libraries have no such setting.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK)
        mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY)
        mallopt(M_ARENA_MAX, ARENAS)


def free_memory() -> int:
    """Return how many bytes this process may still take, by what the system tells of memory and of limits."""
    known = [value for value in (system_memory(), *group_memory(), address_space()) if value is not None]
    return max(0, min(known, default=2 * USUAL))


def system_memory() -> int | None:
    """Return the memory that is free, as the system tells; None where it does not."""
    if sys.platform == "win32":
        return _windows_memory()
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    with suppress(OSError, ValueError, AttributeError):  # macOS has the total, not what is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _windows_memory() -> int | None:
    """Return the physical memory that is free: GlobalMemoryStatusEx, whose structure's third field of 8 bytes it is."""
    import ctypes

    status = (ctypes.c_uint64 * 8)(64)
    with suppress(AttributeError, OSError):
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined]
            return int(status[2])
    return None


def group_memory() -> Iterator[int]:
    """Yield what the control group of a container leaves, version 2 or 1."""
    group = Path("/sys/fs/cgroup")
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):
            yield int((group / most).read_text()) - int((group / used).read_text())


def address_space() -> int | None:
    """Return what a limit on this process's addresses (ulimit -v) leaves, None without one."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            return limit - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return None


def _file_bytes(path: Path) -> int:
    """Return the length of a file; 0 where it can't be had, as reading it fails and says why."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
