"""Measure what misaligned pairs cost: train a small super-resolution network on them, judge it against the truth.

    pip install torch
    python benchmarks/training.py PHOTOS [--seeds N] [--steps N] [--plot FILE]

PHOTOS is a folder of sharp photographs, 50 or more: Urban100 and BSD100, say. LRs of known geometry, a little blurred
and noisy, are made of them, at random scales, positions and rotations. Of four in five the tool writes pairs, the HR
twice the size. A network of 8,500 weights is trained on these LRs and on HRs that differ in their geometry alone: true,
as written by the tool, shifted, or resampled once more. It is judged on the LRs that are left, by their true HRs. A
Markdown table goes to stdout, means over seeds, which draw all but the photographs that are held out:

    PSNR       of the network's output against the true HR, dB, mean over the held-out photographs
    loss       how much less that is than with true geometry; in brackets the least and the most of any seed
    shift      of the output against the true HR, in LR pixels: the length of the mean over the photographs
    sharpness  gradient energy of the output, in percent of the true HR's
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.known_warp import LAUNCHER, Matrix, error, framing, seen_through
from benchmarks.speed import table, text
from twimager.geometry import Rect, scaling, translation
from twimager.image.warp import resample

SCALE = 2
HELD_OUT = 5  # every fifth photograph
WIDTHS = [3, 24, 24, 3 * SCALE**2]  # channels of the network's layers
PATCH, BATCH, STEPS = 32, 8, 2000  # LR pixels a side; patches a step
LEARNING_RATE = 1.5e-3
SHIFTS = 0.1, 0.25, 0.5  # LR pixels
RIM = 8  # HR pixels that are not judged: neither interpolation nor the network knows what is beyond
BAR, LEFT, RIGHT, TOP = 24, 260, 580, 60  # of the plot, in SVG units


class Pair(NamedTuple):
    """An LR, what it was made of, the true matrix from there to it, a direction; the HR as the tool wrote it."""

    lr: Any
    source: Any
    matrix: Matrix
    direction: Any
    written: Any = None


class Score(NamedTuple):
    """PSNR in dB; the output's shift in LR pixels, right and down; its gradient energy as a share of the truth's."""

    psnr: float
    right: float
    down: float
    sharpness: float


def rendered(pair: Pair, right: float = 0.0, down: float = 0.0) -> Any:
    """Return the HR, resampled once from its source, off by so many LR pixels."""
    size = pair.lr.shape[1] * SCALE, pair.lr.shape[0] * SCALE
    return resample(pair.source, scaling(SCALE) @ translation(right, down) @ pair.matrix, size)


def shifted(pair: Pair, by: float) -> Any:
    """Return the HR, off by so many LR pixels in the pair's own direction."""
    return rendered(pair, *(by * pair.direction))


def resampled_twice(pair: Pair, interpolation: int) -> Any:
    """Return the HR in its true place, by way of a grid that is half an HR pixel off."""
    first = rendered(pair, 0.5 / SCALE, 0.5 / SCALE)
    return resample(first, translation(-0.5, -0.5), first.shape[1::-1], interpolation=interpolation)


BICUBIC, TRUE = "no network: bicubic interpolation", "true geometry"
AGAIN = "true geometry, other weights and patches"  # what trainings differ by anyway
KINDS: dict[str, Callable[[Pair], Any]] = {
    TRUE: rendered,
    AGAIN: rendered,
    "as Twimager writes them": lambda pair: pair.written,
    **{f"{by:g} px off, each in a random direction": partial(shifted, by=by) for by in SHIFTS},
    **{f"{by:g} px off, all to the right": partial(rendered, right=by) for by in SHIFTS},
    "resampled twice, bicubic": partial(resampled_twice, interpolation=cv2.INTER_CUBIC),
    "resampled twice, bilinear": partial(resampled_twice, interpolation=cv2.INTER_LINEAR),
}


def photographed(hr: Any, rng: np.random.Generator) -> Pair:
    """Return an HR with an LR that shows most of it, a little blurred and noisy."""
    keep, scale, angle = rng.uniform(0.85, 0.95), rng.uniform(0.35, 0.5), rng.uniform(0, 2 * math.pi)
    room = (1 - keep) / 4 * scale * np.array(hr.shape[1::-1])
    x, y = rng.uniform(-room, room)
    matrix, size = framing(hr.shape[1::-1], keep, scale, degrees=rng.uniform(-0.5, 0.5), offset=(x, y))
    soft = cv2.GaussianBlur(seen_through(matrix, hr, size).astype(np.float32), (0, 0), rng.uniform(0.3, 0.6))
    noisy = np.clip(np.rint(soft + rng.normal(0, rng.uniform(1, 2), soft.shape)), 0, 255)
    return Pair(noisy.astype(np.uint8), hr, matrix, np.array([math.cos(angle), math.sin(angle)]))


def paired(made: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that the tool writes of LRs and HRs, the LR cut as it is there."""
    with tempfile.TemporaryDirectory() as name:
        lrs, hrs, dest = (Path(name) / folder for folder in ("lrs", "hrs", "dest"))
        lrs.mkdir()
        hrs.mkdir()
        for number, pair in enumerate(made):
            cv2.imwrite(str(lrs / f"{number:04d}.png"), pair.lr)
            cv2.imwrite(str(hrs / f"{len(made) - number:04d}.png"), pair.source)
        flags = ["--lr", lrs, "--hr", hrs, "--dest", dest, "--scale", SCALE, "--report", "--quiet"]
        subprocess.run([sys.executable, LAUNCHER, *map(str, flags)], check=True)
        pairs, errors = [], []
        for found in json.loads((dest / "report.json").read_text(encoding="utf-8"))["pairs"]:
            pair, (x, y, *_) = made[int(Path(found["lr"]).stem)], found["window"]
            errors.append(error(np.array(found["matrix"]), pair.matrix, pair.lr.shape[1::-1]))
            lr, hr = (cv2.imread(str(dest / found[key])) for key in ("lr_output", "hr_output"))
            pairs.append(pair._replace(lr=lr, matrix=translation(-x, -y) @ pair.matrix, written=hr))
    sys.stderr.write(f"{len(pairs)} of {len(made)} pairs written, off by {np.median(errors):.4f} LR pixels\n")
    return pairs


def tensor(pictures: Sequence[Any]) -> Any:
    """Return pictures (h, w, 3) of one size as a network takes them: (n, 3, h, w), from 0 to 1."""
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / 255)


def bicubic(lr: Any) -> Any:
    """Return LRs (n, 3, h, w) enlarged by bicubic interpolation."""
    return torch.nn.functional.interpolate(lr, scale_factor=SCALE, mode="bicubic", align_corners=False)


def trained(pairs: Sequence[tuple[Any, Any]], seed: int, steps: int) -> Callable[[Any], Any]:
    """Return what enlarges LRs: a network trained on patches of LRs and HRs, by their mean absolute difference."""
    torch.manual_seed(seed)
    rng, nn = np.random.default_rng(seed), torch.nn
    first, *others = [nn.Conv2d(*widths, 3, padding=1) for widths in pairwise(WIDTHS)]
    network = nn.Sequential(first, *(part for layer in others for part in (nn.ReLU(), layer)))
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def enlarged(lr: Any) -> Any:
        return nn.functional.pixel_shuffle(lr.repeat_interleave(SCALE**2, dim=1) + network(lr), SCALE)

    for _ in range(steps):
        patches = []
        for number in rng.integers(len(pairs), size=BATCH):
            y, x = (int(rng.integers(side - PATCH + 1)) for side in pairs[number][0].shape[:2])
            scaled = [Rect(*(s * value for value in (x, y, PATCH, PATCH))) for s in (1, SCALE)]
            patches.append([rect.cut(picture) for rect, picture in zip(scaled, pairs[number], strict=True)])
        lrs, hrs = map(tensor, zip(*patches, strict=True))
        optimizer.zero_grad()
        (enlarged(lrs) - hrs).abs().mean().backward()
        optimizer.step()
        schedule.step()
    return enlarged


def shift(truth: Any, output: Any) -> tuple[float, float]:
    """Return by how many LR pixels, right and down, an output is off its truth: least squares on smoothed copies."""
    before, after = (cv2.GaussianBlur(gray, (0, 0), SCALE) for gray in (truth, output))
    down, right = (part.ravel() for part in np.gradient((before + after) / 2))
    found = np.linalg.lstsq(np.stack([right, down], axis=1), (before - after).ravel(), rcond=None)[0] / SCALE
    return float(found[0]), float(found[1])


def score(enlarged: Callable[[Any], Any], lr: Any, hr: Any) -> Score:
    """Compare an enlarged LR with its true HR."""
    with torch.no_grad():
        output = 255 * enlarged(tensor([lr])).clamp(0, 1)[0].numpy().transpose(1, 2, 0)
    truth, output = (picture[RIM:-RIM, RIM:-RIM].astype(np.float32) for picture in (hr, output))
    grays = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (truth, output)]
    energies = [sum(float(np.square(part).sum()) for part in np.gradient(gray)) for gray in grays]
    psnr = -10 * math.log10(np.square((output - truth) / 255).mean())
    return Score(psnr, *shift(*grays), energies[1] / energies[0])


def measure(photos: Sequence[Any], seed: int, steps: int) -> dict[str, Score]:
    """Return the mean score of bicubic interpolation, then that of a network a kind."""
    rng = np.random.default_rng(seed)
    made = [photographed(photo, rng) for photo in photos]
    held_out = [(pair.lr, rendered(pair)) for pair in made[::HELD_OUT]]
    pairs = paired([pair for number, pair in enumerate(made) if number % HELD_OUT])
    scores = {}
    for name, hr_of in {BICUBIC: None, **KINDS}.items():
        drawn = 1000 + seed if name == AGAIN else seed
        enlarged = trained([(pair.lr, hr_of(pair)) for pair in pairs], drawn, steps) if hr_of else bicubic
        scores[name] = Score(*np.mean([score(enlarged, *test) for test in held_out], axis=0).tolist())
        sys.stderr.write(f"seed {seed}, {name}: {scores[name]}\n")
    return scores


def loss(runs: Sequence[dict[str, Score]], name: str) -> tuple[float, float, float]:
    """Return by how many dB a kind is worse than true geometry: mean, least and most over the runs."""
    lost = [run[TRUE].psnr - run[name].psnr for run in runs]
    return sum(lost) / len(lost), min(lost), max(lost)


def row(runs: Sequence[dict[str, Score]], name: str) -> list[str]:
    """Return one row of the table."""
    values = [(s.psnr, math.hypot(s.right, s.down), 100 * s.sharpness) for s in (run[name] for run in runs)]
    psnr, off, sharpness = np.mean(values, axis=0)
    lost = "{:.2f} ({:.2f} to {:.2f})".format(*loss(runs, name))
    return [name, f"{psnr:.2f}", lost, f"{off:.2f}", f"{sharpness:.0f}"]


def plot(runs: Sequence[dict[str, Score]]) -> str:
    """Return the SVG: a bar a kind, as long as its loss, and a line from the least to the most of any seed."""
    lost = {name: loss(runs, name) for name in KINDS if name != TRUE}
    unit, height = (RIGHT - LEFT) / max(max(values) for values in lost.values()), BAR * len(lost)
    parts = [text(16, 28, "PSNR lost against training on true geometry, dB", "start", 'font-weight="bold"')]
    for y, (name, values) in zip(range(TOP, TOP + height, BAR), lost.items(), strict=True):
        mean, least, most = (LEFT + unit * max(value, 0) for value in values)
        parts.append(f'<path d="M{LEFT} {y}H{mean:.1f}" stroke="#7ae" stroke-width="16"/>')
        parts.append(f'<path d="M{least:.1f} {y}H{most:.1f}" stroke="#333" stroke-width="2"/>')
        parts += [text(LEFT - 8, y + 4, name, "end"), text(most + 8, y + 4, f"{values[0]:.2f}", "start")]
    size = f'width="{RIGHT + 60}" height="{TOP + height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" fill="#333">'
    axis = f'<path d="M{LEFT} {TOP - 14}v{height + 4}" stroke="#555"/>'
    return "\n".join([head, f'<rect {size} fill="#fff"/>', *parts, axis, "</svg>\n"])  # white, for dark pages


def main() -> None:
    """Measure as the command line says, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of photographs, no side below 200 pixels")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="how often all is drawn anew (default 3)")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"of each training (default {STEPS})")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where to draw the loss, as SVG")
    values = parser.parse_args()
    torch.set_num_threads(1)  # so small a network gains little by more
    read = [cv2.imread(str(path)) for path in sorted(values.photos.iterdir())]
    photos = [photo for photo in read if photo is not None]
    runs = [measure(photos, seed, values.steps) for seed in range(1, values.seeds + 1)]
    head = ["HRs trained on", "PSNR", "loss", "shift", "sharpness"]
    sys.stdout.write(table(head, *(row(runs, name) for name in runs[0])) + "\n")
    if values.plot:
        values.plot.write_text(plot(runs), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
