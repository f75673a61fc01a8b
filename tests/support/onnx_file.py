"""A tiny ONNX network, its protocol buffer written by hand."""

from __future__ import annotations

import numpy as np


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(_field(1, side) for side in values.shape)
    return dims + _field(2, 1) + _field(8, name) + _field(9, values.astype("<f4").tobytes())


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(1, _field(1, side)) for side in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def _node(kind: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    named = b"".join(_field(1, name) for name in inputs)
    return named + _field(2, output) + _field(3, output) + _field(4, kind) + attributes


def _ints(name: str, values: list[int]) -> bytes:
    return _field(5, _field(1, name) + b"".join(_field(8, value) for value in values) + _field(20, 7))


def tiny_network(weights: np.ndarray, size: tuple[int, int]) -> bytes:
    """A network that mixes the channels of each pixel by `weights` (d, 3), cuts off below 0, and averages over all."""
    kernel = weights[:, :, None, None]
    nodes = (
        _node("Conv", ["picture", "weights"], "mixed", _ints("kernel_shape", [1, 1])),
        _node("Relu", ["mixed"], "cut"),
        _node("GlobalAveragePool", ["cut"], "mean"),
    )
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "tiny")
    graph += _field(5, _tensor("weights", kernel))
    graph += _field(11, _value("picture", (1, 3, size[1], size[0])))
    graph += _field(12, _value("mean", (1, len(weights), 1, 1)))
    return _field(1, 7) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 11))
