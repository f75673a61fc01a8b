"""Whether JSON is what it should be: as much of JSON Schema as `report.schema.json` uses.

Stricter than that in two points: numbers are finite, and an integer is written without a point.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

Schema = Mapping[str, Any]
Definitions = Mapping[str, Schema]
Check = Callable[[Any], bool]

# No path is longer on any system.
MAX_TEXT = 32_767
TYPES: Mapping[str, Check] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str) and len(value) <= MAX_TEXT,
    "integer": lambda value: type(value) is int and abs(value) <= sys.maxsize,
    "number": lambda value: type(value) in (int, float) and abs(value) <= sys.float_info.max,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
# What a keyword says of a value of one type; it says nothing of values of other types.
KEYWORDS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("number", lambda value, least: value >= least),
    "maximum": ("number", lambda value, most: value <= most),
    "exclusiveMinimum": ("number", lambda value, below: value > below),
    "minItems": ("array", lambda value, least: len(value) >= least),
    "maxItems": ("array", lambda value, most: len(value) <= most),
    "required": ("object", lambda value, keys: all(key in value for key in keys)),
}
# Keywords that say nothing of a value by themselves.
SILENT = {"$schema", "$defs", "title", "description"}


def compiled(schema: Schema, definitions: Mapping[str, Schema] | None = None) -> Check:
    """Return a function that tells whether a value keeps to a schema; `definitions` are the `$defs` it refers to."""
    known = definitions or {}
    checks = []
    for name, told in schema.items():
        if name == "additionalProperties":
            checks.append(_others(told, schema.get("properties", {}), known))
        elif name in MAKERS:
            checks.append(MAKERS[name](told, known))
        elif name not in SILENT:
            checks.append(_keyword(name, told))
    return reduce(_both, checks) if checks else lambda _: True


def _both(first: Check, second: Check) -> Check:
    return lambda value: first(value) and second(value)


def _keyword(name: str, told: Any) -> Check:
    kind, check = KEYWORDS[name]
    return lambda value: not TYPES[kind](value) or check(value, told)


def _types(names: str | list[str], _: Definitions) -> Check:
    checks = [TYPES[name] for name in ([names] if isinstance(names, str) else names)]
    return checks[0] if len(checks) == 1 else lambda value: any(check(value) for check in checks)


def _one_of(values: list[Any], _: Definitions) -> Check:
    """Return a check for one of some values; of type too, as 1 is not true."""
    return lambda value: any(type(value) is type(one) and value == one for one in values)


def _items(schema: Schema, definitions: Definitions) -> Check:
    check = compiled(schema, definitions)
    return lambda value: not isinstance(value, list) or all(map(check, value))


def _properties(schemas: Mapping[str, Schema], definitions: Definitions) -> Check:
    checks = {key: compiled(schema, definitions) for key, schema in schemas.items()}
    return lambda value: (
        not isinstance(value, dict) or all(check(value[key]) for key, check in checks.items() if key in value)
    )


def _others(schema: Schema | bool, known: Mapping[str, Schema], definitions: Definitions) -> Check:
    """Return a check of the properties that are not known."""
    check = compiled(schema, definitions) if isinstance(schema, Mapping) else lambda _: schema
    return lambda value: not isinstance(value, dict) or all(check(value[key]) for key in value if key not in known)


MAKERS: Mapping[str, Callable[[Any, Definitions], Check]] = {
    "$ref": lambda path, definitions: compiled(definitions[path.rpartition("/")[2]], definitions),
    "const": lambda value, definitions: _one_of([value], definitions),
    "enum": _one_of,
    "type": _types,
    "items": _items,
    "properties": _properties,
}
