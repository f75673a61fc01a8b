"""Typed records as JSON.

`msgspec` checks what is read against the types of a record: its keys, and the limits below. The text itself is read and
written by the standard library, as names of files that are not UTF-8 hold lone surrogates, which are no JSON for
`msgspec`. `msgspec.convert(json.loads(text), Kind)` raises ValueError for text that is no such record.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import msgspec
from msgspec import Meta

# No path is longer on any system.
MAX_TEXT = 32_767
MAX_FLOAT = sys.float_info.max

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Integer = Annotated[int, Meta(ge=-sys.maxsize, le=sys.maxsize)]
Count = Annotated[int, Meta(ge=0, le=sys.maxsize)]
# A finite number.
Number = Annotated[float, Meta(ge=-MAX_FLOAT, le=MAX_FLOAT)]
Plain = None | bool | Integer | Number | Text
# A setting of the command line, of this version or another one.
Setting = Plain | list[Plain]


def dumps(record: Any, indent: int | None = None) -> str:
    """Return a record as JSON, on one line unless it is indented; arrays and numbers of NumPy may be in it."""
    return json.dumps(msgspec.to_builtins(record, enc_hook=_builtin), indent=indent)


def _builtin(value: Any) -> Any:
    """Return an array of NumPy as lists, a number as Python's."""
    return value.tolist()
