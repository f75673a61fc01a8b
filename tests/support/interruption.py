"""Ctrl-C at a given moment of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from twimager.report.ledger import Ledger


@contextmanager
def interrupted_when_written(count: int = 1) -> Iterator[None]:
    """Have a run be interrupted when so many pairs are written."""
    accept = Ledger.accept

    def accept_and_interrupt(ledger: Ledger, record: Any) -> None:
        accept(ledger, record)
        if len(ledger) == count:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "accept", accept_and_interrupt)
        yield
