"""Decode in child processes what may crash or hang a decoder: then it costs that one file, not the run."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from twimager.errors import UnreadableImage
from twimager.image.decoder_process import ANSWER, COMPLETE_ROWS, DEPTHS, READ_FLAGS, REQUEST
from twimager.image.headers import LIMIT_VARIABLE, max_pixels
from twimager.image.pixels import Pixels
from twimager.runtime import child

# Seconds for one file. The largest pictures allowed take some five, a camera raw of 45 megapixels eight; of these the
# largest files get more time.
TIMEOUT = 20.0
BYTES_PER_SECOND = 8 << 20
# A pixel has up to four values of 16 bit, a message some hundred characters: what is longer is no answer.
PIXEL_BYTES, MESSAGE_BYTES = 8, 10_000
# How much OpenCV prints of what goes wrong.
LOG_VARIABLE = "OPENCV_LOG_LEVEL"
COMMAND = child.module("twimager.image.decoder_process")


class _Decoder:
    """A child process that decodes; it ends when its stdin does, so that none outlives its parent."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._process = child.start(command, {LIMIT_VARIABLE: str(max_pixels()), LOG_VARIABLE: "WARNING"})
        self.limit = max_pixels()

    def decode(self, data: bytes, flags: int) -> tuple[Pixels, int]:
        """Return an image's pixels, (h, w) or (h, w, 3 or 4), and how many rows are missing.

        Raises UnreadableImage, and EOFError if the child has ended.
        """
        assert self._process.stdin
        try:
            self._process.stdin.write(REQUEST.pack(len(data), flags))
            self._process.stdin.write(data)
            self._process.stdin.flush()
            item, height, width, missing, size = ANSWER.unpack(self._read(ANSWER.size))
            if item > len(DEPTHS) or size > PIXEL_BYTES * self.limit + MESSAGE_BYTES:
                raise EOFError
            answer = self._read(size)
        except OSError as error:
            raise EOFError from error
        if not item:
            raise UnreadableImage(answer.decode("utf-8", "replace"))
        values = np.frombuffer(answer, DEPTHS[item - 1])
        shape = (height, width) if values.size == height * width else (height, width, -1)
        return values.reshape(shape), missing

    def _read(self, size: int) -> bytearray:
        assert self._process.stdout
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            more = self._process.stdout.readinto(view[got:])  # type: ignore[attr-defined]
            if not more:
                raise EOFError
            got += more
        return data

    def kill(self) -> None:
        """End the process; who waits for it gets EOFError."""
        with suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """End the process and what is held for it."""
        self.kill()
        with suppress(OSError, ValueError):
            self._process.communicate()


class Decoders:
    """A pool of children that decode, one for each thread that decodes at the time; `timeout` is in seconds a file."""

    def __init__(self, command: tuple[str, ...] = COMMAND, timeout: float = TIMEOUT) -> None:
        self._command, self._timeout = command, timeout
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []
        self._all: set[_Decoder] = set()

    def decode(self, data: bytes, flags: int = READ_FLAGS) -> Pixels:
        """Return an image's pixels, (h, w) or (h, w, 3 or 4), as `decode_in_full` does.

        After a crash a new child tries again: it may have been due to an image before.

        Raises
        ------
        UnreadableImage
            Also if the decoder crashes or takes too long.
        """
        return self._decode(data, flags)[0]

    def complete_rows(self, data: bytes) -> tuple[Pixels, int]:
        """Return the complete rows of an image that is cut short, (h, w, 3), and how many are missing.

        Raises UnreadableImage as `decode` does, and if there are none.
        """
        return self._decode(data, COMPLETE_ROWS)

    def _decode(self, data: bytes, flags: int) -> tuple[Pixels, int]:
        for fresh in (False, True):
            with self._one(fresh) as decoder, suppress(EOFError), self._deadline(decoder, len(data)):
                return decoder.decode(data, flags)
            self._drop(decoder)
        raise UnreadableImage("its decoder crashed")

    @contextmanager
    def _deadline(self, decoder: _Decoder, size: int) -> Iterator[None]:
        late, seconds = threading.Event(), self._timeout + size // BYTES_PER_SECOND
        timer = threading.Timer(seconds, _give_up, (decoder, late))
        timer.daemon = True
        timer.start()
        try:
            yield
        except EOFError:
            if not late.is_set():
                raise
            self._drop(decoder)
            raise UnreadableImage(f"decoding takes longer than {seconds:g} s") from None
        finally:
            timer.cancel()

    @contextmanager
    def _one(self, fresh: bool) -> Iterator[_Decoder]:
        """Yield a decoder, an idle one or a new one."""
        decoder = None if fresh else self._taken()
        if decoder is None:
            try:
                decoder = _Decoder(self._command)
            except OSError as error:
                raise UnreadableImage(f"an unusual file, and no process to decode it: {error.strerror}") from error
            with self._lock:
                self._all.add(decoder)
        try:
            yield decoder
        finally:
            with self._lock:
                if decoder in self._all:
                    self._idle.append(decoder)

    def _taken(self) -> _Decoder | None:
        with self._lock:
            for decoder in self._idle:
                if decoder.limit == max_pixels():
                    self._idle.remove(decoder)
                    return decoder
        return None

    def _drop(self, decoder: _Decoder) -> None:
        with self._lock:
            self._all.discard(decoder)
            if decoder in self._idle:
                self._idle.remove(decoder)
        decoder.close()

    def kill(self) -> None:
        """End them all at once."""
        for decoder in list(self._all):
            decoder.kill()

    def close(self) -> None:
        """End those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._all.difference_update(idle)
        for decoder in idle:
            decoder.close()


def _give_up(decoder: _Decoder, late: threading.Event) -> None:
    late.set()
    decoder.kill()


decoders = Decoders()
atexit.register(decoders.close)
