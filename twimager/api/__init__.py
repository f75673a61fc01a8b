"""What Python programs call; the package `twimager` exports it lazily, docs/api.md shows how it is used."""

from twimager.api.calls import align, find_pairs, search
from twimager.api.results import Alignment, Pair, Scores, SearchResult

__all__ = ["Alignment", "Pair", "Scores", "SearchResult", "align", "find_pairs", "search"]
