"""Measure `cluster` on photographs of your own: variants of most of them, and some that are alone.

    python benchmarks/near_duplicates.py PHOTOS [--seed N]

PHOTOS is a folder of images. Of three in five of them seven images are made: as it was, half its size, as JPEG of
quality 30, 10 % and 30 % of its width and height cut off, with a colour cast, mirrored; the others are alone. A
Markdown table goes to stdout, one row without --verify and one with it:

    precision    of the couples of images that are put together, how many show the same photograph
    recall       of the couples that show the same photograph, how many are put together
    seconds      the whole command, reading included
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

LAUNCHER = Path(__file__).resolve().parent.parent / "twimager.py"
WITH_VARIANTS = 0.6
# In file names, between the photograph's own and the variant's.
MARK = "__"


def cropped(photo: Any, share: float, rng: np.random.Generator) -> Any:
    """Return a part of so much of the width and height, somewhere."""
    height, width = (round(length * share) for length in photo.shape[:2])
    y, x = rng.integers(photo.shape[0] - height + 1), rng.integers(photo.shape[1] - width + 1)
    return photo[y : y + height, x : x + width]


def variants(photo: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Return the images to be made of one photograph, by the ends of their names."""
    cast = photo.astype(np.float32) * rng.uniform(0.7, 1.25, 3) + rng.uniform(-15, 15, 3)
    return {
        "whole.png": photo,
        "half.png": cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "jpeg.jpg": photo,
        "crop10.png": cropped(photo, 0.9, rng),
        "crop30.png": cropped(photo, 0.7, rng),
        "cast.png": np.clip(cast, 0, 255).astype(np.uint8),
        "mirrored.png": photo[:, ::-1],
    }


def make(photos: Iterable[Path], folder: Path, rng: np.random.Generator) -> None:
    """Write the images."""
    decoded = {path.stem: cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) for path in photos}
    names = sorted(name for name, photo in decoded.items() if photo is not None)
    for place, number in enumerate(rng.permutation(len(names))):
        photo = decoded[names[number]]
        images = variants(photo, rng) if place < WITH_VARIANTS * len(names) else {"alone.png": photo}
        for end, pixels in images.items():
            quality = [cv2.IMWRITE_JPEG_QUALITY, 30] if end.endswith("jpg") else []
            cv2.imwrite(str(folder / f"{names[number]}{MARK}{end}"), pixels, quality)


def couples(counts: Iterable[int]) -> int:
    """Return how many couples there are inside groups of these sizes."""
    return sum(count * (count - 1) // 2 for count in counts)


def measure(folder: Path, *flags: str) -> list[str]:
    """Return one row of the table."""
    started = time.perf_counter()
    command = [sys.executable, str(LAUNCHER), "cluster", str(folder), "--dry", "--json", "--quiet", *flags]
    told = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - started
    groups = [
        Counter(Path(member["path"]).name.split(MARK)[0] for member in cluster["members"])
        for cluster in json.loads(told)["clusters"]
    ]
    right = sum(couples(names.values()) for names in groups)
    together = couples(names.total() for names in groups)
    true = couples(sum(groups, Counter()).values())
    return [
        " ".join(flags) or "hashes alone",
        f"{right / max(together, 1):.3f}",
        f"{right / true:.3f}",
        f"{seconds:.1f}",
    ]


def main() -> None:
    """Measure without and with --verify and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of images")
    parser.add_argument("--seed", type=int, default=1, help="draws other variants (default 1)")
    values = parser.parse_args()
    write = sys.stdout.write
    write("| by | precision | recall | seconds |\n|---|---|---|---|\n")
    with tempfile.TemporaryDirectory() as name:
        photos = sorted(path for path in values.photos.iterdir() if path.is_file())
        make(photos, Path(name), np.random.default_rng(values.seed))
        for flags in ([], ["--hash_size", "16"], ["--verify"]):
            write("| " + " | ".join(measure(Path(name), *flags)) + " |\n")


if __name__ == "__main__":
    main()
