"""A colour profile of a wide gamut."""

from __future__ import annotations

import struct

# Adobe RGB (1998): its primaries in D50, and a gamma of 563/256.
ADOBE = {
    b"rXYZ": (0.60974, 0.31111, 0.01947), b"gXYZ": (0.20528, 0.62567, 0.06087), b"bXYZ": (0.14919, 0.06322, 0.74457),
}  # fmt: skip


def formula(kind: int, *parameters: float) -> bytes:
    """A tone curve as a formula: ICC.1:2010, 10.15."""
    numbers = (round(value * 65536) for value in parameters)
    return b"para" + bytes(4) + struct.pack(f">HH{len(parameters)}i", kind, 0, *numbers)


CURVES = {
    "gamma": b"curv" + bytes(4) + struct.pack(">IH", 1, 563) + bytes(2),
    "table": b"curv" + bytes(4) + struct.pack(">I256H", 256, *(round(65535 * (i / 255) ** 2.2) for i in range(256))),
    "formula": formula(0, 563 / 256),
    "formula, black below a value": formula(1, 2.4, 1 / 1.055, 0.055 / 1.055),
    "formula, a level below a value": formula(2, 2.4, 1 / 1.055, 0.055 / 1.055, 0.002),
    "formula, straight below a value": formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 0.244, 0.3),
}


def adobe_rgb(curve: str = "gamma") -> bytes:
    """A profile made by hand, so that no copyrighted one is needed."""
    tags = {
        name: b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in xyz)) for name, xyz in ADOBE.items()
    }
    tags[b"wtpt"] = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), CURVES[curve])
    tags[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags[b"cprt"] = b"text" + bytes(4) + b"none\0" + bytes(3)
    table, body = b"", b""
    start = 132 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head = (head + date + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0")
    return head + struct.pack(">I", len(tags)) + table + body
