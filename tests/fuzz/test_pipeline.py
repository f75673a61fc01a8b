"""The whole pipeline over pairs of odd and damaged images: it ends in time, takes little memory, loses no good pair.

300 pairs of images of which one or both are mutated, as pixels (shape, contrast, depth, channels) or as a file (bytes
turned, cut, doubled), go through reading, matching, refinement, verification and writing.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import MEASURED
from tests.support.folders import Folders, contents, make_folders
from tests.support.paths import EXAMPLES, ROOT

SEEDS, PAIRS = 6, 50
# Seconds for PAIRS pairs: a hundred times what they take, so that only what does not end is late.
PATIENCE = 300
MOST_MB = 600
KINDS = ("png", "jpg", "tiff", "webp", "bmp")

Generator = np.random.Generator
# Others than the good pairs show.
PHOTOS = [
    cv2.imread(str(path)) for path in sorted((EXAMPLES / "HR").iterdir()) if path.stem not in ("P1040518", "P1040102")
]


def crop(rng: Generator) -> Any:
    """A part of an example photograph, 20 to 200 pixels a side."""
    photo = PHOTOS[rng.integers(len(PHOTOS))]
    height, width = (int(side) for side in rng.integers(20, 200, 2))
    y, x = (int(rng.integers(0, room)) for room in np.subtract(photo.shape[:2], (height, width)))
    return photo[y : y + height, x : x + width]


def resized(image: Any, size: tuple[int, int]) -> Any:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


PIXELS: list[Callable[[Any, Generator], Any]] = [
    lambda image, rng: image,
    lambda image, rng: resized(image, (int(rng.integers(1, 4)), int(rng.integers(1, 3000)))),
    lambda image, rng: resized(image, (int(rng.integers(1, 3000)), int(rng.integers(1, 4)))),
    lambda image, rng: resized(image, (1, 1)),
    lambda image, rng: image * 0 + rng.integers(0, 256, 3).astype(np.uint8),
    lambda image, rng: (image // 32 + 100).astype(np.uint8),
    lambda image, rng: (image > 128).astype(np.uint8) * 255,
    lambda image, rng: rng.integers(0, 256, image.shape).astype(np.uint8),
    lambda image, rng: np.tile(image[:8, :8], (12, 15, 1)),
    lambda image, rng: image.astype(np.uint16) * int(rng.integers(1, 258)),
    lambda image, rng: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
    lambda image, rng: np.dstack([image, rng.integers(0, 2, image.shape[:2]).astype(np.uint8) * 255]),
    lambda image, rng: np.ascontiguousarray(np.rot90(image, int(rng.integers(1, 4)))),
    lambda image, rng: np.ascontiguousarray(image[:, ::-1]),
    lambda image, rng: cv2.copyMakeBorder(image, *(int(n) for n in rng.integers(0, 90, 4)), cv2.BORDER_CONSTANT),
]


def turned(data: bytearray, rng: Generator) -> bytearray:
    for offset in rng.integers(0, len(data), int(rng.integers(1, 8))):
        data[offset] ^= 1 << int(rng.integers(8))
    return data


def cut(data: bytearray, rng: Generator) -> bytearray:
    return data[: int(rng.integers(1, len(data) + 1))]


def doubled(data: bytearray, rng: Generator) -> bytearray:
    start, end = sorted(int(offset) for offset in rng.integers(0, len(data), 2))
    return data[:end] + data[start:]


def promising(data: bytearray, rng: Generator) -> bytearray:
    """A PNG whose header claims other sides, its checksum mended; of other kinds, numbers near the beginning change."""
    if not data.startswith(b"\x89PNG"):
        offset = int(rng.integers(0, min(60, len(data))))
        return data[:offset] + bytearray(struct.pack("<H", int(rng.integers(1 << 16)))) + data[offset + 2 :]
    sides = struct.pack(">II", *(int(2 ** rng.uniform(0, 16)) for _ in range(2)))
    head = b"IHDR" + sides + bytes(data[24:29])
    return data[:12] + bytearray(head + struct.pack(">I", zlib.crc32(head))) + data[33:]


FILES: list[Callable[[bytearray, Generator], bytearray]] = [
    *[lambda data, rng: data] * 3, turned, cut, doubled, promising,
]  # fmt: skip


def mutated(image: Any, rng: Generator, path: Path) -> None:
    """Write an image that may be odd as a file that may be damaged."""
    pixels = PIXELS[rng.integers(len(PIXELS))](image, rng)
    kind = KINDS[rng.integers(len(KINDS))]
    if pixels.dtype == np.uint16 and kind not in ("png", "tiff"):
        kind = "png"
    data = bytearray(cv2.imencode(f".{kind}", pixels)[1].tobytes())
    path.with_suffix(f".{kind}").write_bytes(FILES[rng.integers(len(FILES))](data, rng))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folders, dict[str, bytes]]:
    """Two good pairs, and what is written of them."""
    folders = make_folders(tmp_path_factory.mktemp("good"))
    command = [sys.executable, str(ROOT / "twimager.py"), *map(str, folders.flags), "--quiet"]
    subprocess.run(command, check=True, timeout=PATIENCE)
    return folders, contents(folders.dest)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_pair_of_images_ends_a_run_or_harms_another(
    seed: int, good: tuple[Folders, dict[str, bytes]], tmp_path: Path
) -> None:
    rng, sources, written = np.random.default_rng(seed), *good
    lr, hr, dest = (tmp_path / name for name in ("lr", "hr", "out"))
    for folder, source in ((lr, sources.lr), (hr, sources.hr)):
        folder.mkdir()
        for path in source.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    for number in range(PAIRS):
        image = crop(rng)
        height, width = image.shape[:2]
        mutated(image, rng, hr / f"fuzz{number}")
        mutated(resized(image, (max(1, width // 2), max(1, height // 2))), rng, lr / f"fuzz{number}")
    command = [str(ROOT / "twimager.py"), "--lr", lr, "--hr", hr, "--dest", dest, "--report"]
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, command)], capture_output=True, text=True, errors="replace",
        timeout=PATIENCE, check=True,
    )  # fmt: skip
    code, peak = map(int, ended.stdout.splitlines()[-1].split())
    assert code in (0, 3), ended.stderr
    assert "Traceback" not in ended.stderr
    assert "could not be compared" not in ended.stderr
    assert sys.platform != "linux" or peak < MOST_MB
    made = contents(dest)
    for name, data in written.items():  # what else is there decides whether they are found by their frame or features
        pixels = [
            cv2.imdecode(np.frombuffer(bytes_, np.uint8), cv2.IMREAD_COLOR).astype(int) for bytes_ in (made[name], data)
        ]
        assert abs(pixels[0] - pixels[1]).mean() < 0.2
    report = json.loads(made["report.json"])
    used = [pair[side] for pair in report["pairs"] for side in ("lr", "hr")]
    left = [image["path"] for image in report["rejected_images"]]
    assert sorted(used + left) == sorted(str(path) for folder in (lr, hr) for path in folder.iterdir())
    for pair in report["pairs"]:
        x, y = (cv2.imread(pair[key], cv2.IMREAD_UNCHANGED) for key in ("lr_output", "hr_output"))
        assert (y.shape[0], y.shape[1]) == (2 * x.shape[0], 2 * x.shape[1])
