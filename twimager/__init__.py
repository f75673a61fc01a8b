"""Find, align, verify and write pairs of LR and HR images.

What `__all__` names is for Python programs, and stays; docs/api.md shows how it is used. All else is private.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from twimager.errors import (
    AlignmentError,
    NotRegularFile,
    Reason,
    Rejection,
    TwimagerError,
    UnreadableImage,
    UnsupportedFormat,
    UsageError,
)
from twimager.version import __version__ as __version__

if TYPE_CHECKING:
    from twimager.api import Alignment, Pair, Scores, SearchResult, align, find_pairs, search

__all__ = [
    "Alignment",
    "AlignmentError",
    "NotRegularFile",
    "Pair",
    "Reason",
    "Rejection",
    "Scores",
    "SearchResult",
    "TwimagerError",
    "UnreadableImage",
    "UnsupportedFormat",
    "UsageError",
    "align",
    "find_pairs",
    "search",
]


class _Package(ModuleType):
    """Keeps the functions `align` and `search`: importing the subpackages of these names would put those there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in __all__ or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

if not TYPE_CHECKING:  # else no misspelt name would be found

    def __getattr__(name: str) -> Any:
        """Import what is used first when it is: OpenCV, NumPy and SciPy take their time."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("twimager.api"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
