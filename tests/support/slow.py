"""Values with which a promise is repeated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def thorough(values: Iterable[Any], quick: int = 1) -> list[Any]:
    """Return parameters of which all but the first, or as many as `quick`, are marked as slow."""
    return [
        value
        if number < quick
        else pytest.param(*(value if isinstance(value, tuple) else [value]), marks=pytest.mark.slow)
        for number, value in enumerate(values)
    ]
