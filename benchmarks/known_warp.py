"""Measure Twimager on photographs of your own: warp them by known matrices, let it find and align the pairs.

    python benchmarks/known_warp.py PHOTOS [--seed N]

PHOTOS is a folder of images (20 or more make the figures steady). For each kind of warp, LR copies are made of all
photographs under names that say nothing; one in ten photographs is missing on either side. A Markdown table goes to
stdout:

    recall    pairs found of those that exist
    wrong     pairs written that are none
    error     how far the matrix in the report puts HR pixels from their true place, in LR pixels: over a grid on the
              LR the median, then the median and the 90th percentile over pairs
    seconds   the whole command, reading and writing included; peak memory of its process
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

LAUNCHER = Path(__file__).resolve().parent.parent / "twimager.py"
Matrix = NDArray[np.float64]
SUPERSAMPLING = 4
STRANGERS = 10


class Kind(NamedTuple):
    """One kind of warp: how to draw it, and the tool's method for it."""

    name: str
    method: str
    reframed: bool
    tilt: float = 0.0


KINDS = [
    Kind("exact shrink, 4x", "transform", reframed=False),
    Kind("reframed, degraded", "transform", reframed=True),
    Kind("in perspective, degraded", "warp", reframed=True, tilt=0.06),
]


def shrink(ratio: float) -> Matrix:
    """Return the HR -> LR matrix of an exact shrink, pixel centres at whole positions."""
    shift = (1 / ratio - 1) / 2
    return np.array([[1 / ratio, 0, shift], [0, 1 / ratio, shift], [0, 0, 1]])


def framing(
    hr_size: tuple[int, int],
    keep: float,
    scale: float,
    *,
    degrees: float = 0.0,
    stretch: float = 1.0,
    tilt: float = 0.0,
    offset: tuple[float, float] = (0.0, 0.0),
) -> tuple[Matrix, tuple[int, int]]:
    """Return an HR -> LR matrix that shows the middle `keep` of the frame, and the LR's size.

    `stretch` is that of the height, `tilt` how much nearer the right and bottom edges are than the middle, `offset`
    moves the picture by LR pixels.
    """
    size = int(hr_size[0] * keep * scale), int(hr_size[1] * keep * scale * stretch)
    c, s = math.cos(math.radians(degrees)) * scale, math.sin(math.radians(degrees)) * scale
    matrix = np.array([[c, -s, 0], [s * stretch, c * stretch, 0], [0, 0, 1]])
    middle = np.array([[1, 0, size[0] / 2 - 0.5], [0, 1, size[1] / 2 - 0.5], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, 1, 0], [tilt / size[0], -tilt / size[1], 1]])
    centre = matrix @ [hr_size[0] / 2 - 0.5, hr_size[1] / 2 - 0.5, 1]
    matrix[:2, 2] = np.array(offset) - centre[:2]
    return middle @ lean @ matrix, size


def seen_through(matrix: Matrix, hr: Any, size: tuple[int, int]) -> Any:
    """Return the LR that an ideal camera takes of an HR: each pixel the mean over its area."""
    fine = shrink(1 / SUPERSAMPLING) @ matrix
    fine_size = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    sampled = cv2.warpPerspective(hr, fine, fine_size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return cv2.resize(sampled, size, interpolation=cv2.INTER_AREA)


def degraded(lr: Any, rng: np.random.Generator) -> Any:
    """Return the LR blurred, with a colour cast, another gamma, noise and JPEG artefacts."""
    soft = cv2.GaussianBlur(lr.astype(np.float32), (0, 0), rng.uniform(0.4, 0.9))
    toned = 255 * np.clip(soft / 255 * rng.uniform(0.85, 1.1, 3), 0, 1) ** rng.uniform(0.85, 1.2)
    noisy = np.clip(np.rint(toned + rng.normal(0, rng.uniform(1, 4), toned.shape)), 0, 255).astype(np.uint8)
    packed = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 92))])[1]
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)


def error(found: Matrix, truth: Matrix, lr_size: tuple[int, int]) -> float:
    """Return the median displacement between two matrices over a grid on the LR, in LR pixels."""
    x, y = np.meshgrid(np.linspace(0, lr_size[0] - 1, 9), np.linspace(0, lr_size[1] - 1, 9))
    source = np.linalg.inv(truth) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    mapped = found @ source
    return float(np.median(np.hypot(mapped[0] / mapped[2] - x.ravel(), mapped[1] / mapped[2] - y.ravel())))


def make(kind: Kind, photos: list[Path], folder: Path, rng: np.random.Generator) -> dict[str, tuple[str, Matrix]]:
    """Write LR and HR folders; return the HR and the matrix of every LR that has a partner."""
    truth = {}
    for side in ("LR", "HR"):
        (folder / side).mkdir()
    hr_names, lr_names = (rng.permutation(len(photos)) for _ in range(2))
    for number, photo in enumerate(photos):
        hr = cv2.imdecode(np.frombuffer(photo.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if hr is None:
            continue
        matrix, size = drawn(kind, hr, rng)
        lr = seen_through(matrix, hr, size)
        hr_name, lr_name = f"h{hr_names[number]:05d}.png", f"l{lr_names[number]:05d}.png"
        if number % STRANGERS != 0 or len(photos) < STRANGERS:
            cv2.imwrite(str(folder / "HR" / hr_name), hr)
        if number % STRANGERS != 1 or len(photos) < STRANGERS:
            cv2.imwrite(str(folder / "LR" / lr_name), degraded(lr, rng) if kind.reframed else lr)
        if (folder / "HR" / hr_name).exists() and (folder / "LR" / lr_name).exists():
            truth[lr_name] = (hr_name, matrix)
    return truth


def drawn(kind: Kind, hr: Any, rng: np.random.Generator) -> tuple[Matrix, tuple[int, int]]:
    """Draw a warp of a kind for one photograph."""
    size = (hr.shape[1], hr.shape[0])
    if not kind.reframed:
        return shrink(4), (size[0] // 4, size[1] // 4)
    keep, scale = rng.uniform(0.94, 0.99), rng.uniform(0.3, 0.6)
    room = (1 - keep) / 2 * scale * np.array(size) * 0.8
    x, y = rng.uniform(-room, room)
    return framing(
        size,
        keep,
        scale,
        degrees=rng.uniform(-0.5, 0.5),
        stretch=rng.uniform(0.97, 1.03),
        tilt=kind.tilt * rng.uniform(-1, 1),
        offset=(x, y),
    )


def peak_megabytes() -> str:
    """Return the largest memory of any command so far; unknown on Windows."""
    try:
        import resource
    except ImportError:
        return "?"
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return f"{kilobytes / (1024 * 1024 if sys.platform == 'darwin' else 1024):.0f}"


def measure(kind: Kind, photos: list[Path], rng: np.random.Generator) -> list[str]:
    """Return one row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = make(kind, photos, folder, rng)
        flags = ["--lr", folder / "LR", "--hr", folder / "HR", "--dest", folder / "out", "--method", kind.method]
        started = time.perf_counter()
        command = [sys.executable, str(LAUNCHER), *map(str, flags), "--report", "--quiet"]
        code = subprocess.run(command, check=False).returncode
        seconds = time.perf_counter() - started
        report = folder / "out" / "report.json"
        if not report.exists():
            raise SystemExit(f"the run failed with exit code {code}")
        errors, wrong = [], 0
        for pair in json.loads(report.read_text(encoding="utf-8"))["pairs"]:
            hr_name, matrix = truth.get(Path(pair["lr"]).name, ("", np.eye(3)))
            if hr_name == Path(pair["hr"]).name:
                lr = cv2.imread(pair["lr"])
                errors.append(error(np.array(pair["matrix"]), matrix, (lr.shape[1], lr.shape[0])))
            else:
                wrong += 1
    middle, ninth = np.percentile(errors, [50, 90]) if errors else (math.nan, math.nan)
    return [
        kind.name, f"{len(errors)} / {len(truth)}", str(wrong), f"{middle:.3f}", f"{ninth:.3f}",
        f"{seconds:.1f}", peak_megabytes(),
    ]  # fmt: skip


def main() -> None:
    """Measure every kind of warp and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of images")
    parser.add_argument("--seed", type=int, default=1, help="draws other warps (default 1)")
    values = parser.parse_args()
    photos = sorted(p for p in values.photos.iterdir() if p.is_file())
    write = sys.stdout.write
    write("| warp | recall | wrong | error median | error 90 % | seconds | peak MB |\n|---|---|---|---|---|---|---|\n")
    for kind in KINDS:
        write("| " + " | ".join(measure(kind, photos, np.random.default_rng(values.seed))) + " |\n")


if __name__ == "__main__":
    main()
