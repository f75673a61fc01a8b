"""Measure whole runs of Twimager: seconds, memory, and how both grow with the number of pairs.

    python benchmarks/speed.py [--shared DIR] [--sizes N ...] [--work DIR]

Needs bench/many.py, which makes the sets, and bench/floor.py, which measures the least work that such a set takes, in
the shared folder. Writes README.md and speed.svg beside this file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
LAUNCHER, SHARED = HERE.parent / "twimager.py", HERE.parent.parent / "shared"
RUNS = 3  # the fewest with a median that one disturbed run does not move
USUAL_SIZE = 500  # where options are compared
MEGABYTE = 1024 * 1024
# asked of another process: memory that this one held would count as the tool's, which starts as a copy of it
VERSIONS = (
    "import cv2, faiss, numpy; print(f'OpenCV {cv2.__version__}, numpy {numpy.__version__}, faiss {faiss.__version__}')"
)
WIDTH, HEIGHT = 380, 270  # of a panel of the plot, in SVG units
LEFT, RIGHT, TOP, BOTTOM = 58, 356, 44, 222  # its axes
README = """# Speed and memory

How long a whole run takes and how much memory it needs, by the number of pairs. Each set has as many LRs (256x192) as
HRs (640x480), JPEGs cut out of photographs, every LR with its HR. A run is the command that a user types, from Python's
start to the last file written, with `--report` and all else as it is by default; the median of {runs} runs is given.
Before each run the *floor* is measured: decoding every image, finding features in it, decoding the HRs once more and
encoding the pairs as PNG, in two threads and nothing else. `python benchmarks/speed.py` measures all of this again and
writes this page; it needs the project's shared folder beside the checkout, or `--shared DIR`.

Peak RSS is that of the main process. From 200 LRs on, each of the `--jobs` processes that evaluate takes some 70 MB of
its own beside it. The sets are cut from the same 100 photographs whatever their size, so that an LR has 4 overlapping
rivals to be told apart at 500 pairs, 9 at 1000 and 19 at 2000: what a pair takes grows by that. Cut from 25, 50 and
100 photographs, so that there are 19 whatever the size, 500, 1000 and 2000 pairs took 33, 36 and 34 ms a pair.

`python benchmarks/search.py PHOTOS` measures the search alone among made-up images. Of 100,000 (features mixed from
those of real photographs, so that this is a simulation), with two threads, on the same machine: 6.0 ms an LR, 2.9
GB, the true HR first for 0.999 of 1000 LRs and among the candidates for all of them. A whole run over 18,047 LRs
(200x150) and 20,000 HRs (400x300, cut out of 100 photographs at any angle) took 11 min 38 s, 1.68 GB and 0.12 GB for
each of the two processes.

Measured on {machine}.
Absolute times are of that machine; the ratios are what to look at.

{sizes}

{stages}{growth}At {usual} pairs:

{options}

![seconds and memory against pairs](speed.svg)

How well pairs are found and aligned is measured by another command, on photographs of your own:
`python benchmarks/known_warp.py PHOTOS`.
What pairs that are not aligned cost a network that is trained on them, by one more, which takes `pip install torch`:
`python benchmarks/training.py PHOTOS`. [What misalignment costs](../docs/training.md#what-misalignment-costs) has its
figures.
"""


class Run(NamedTuple):
    """What a run took: seconds, CPU seconds, peak memory in MB; the pairs it wrote; the seconds of its stages."""

    wall: float
    cpu: float | None
    peak: float | None
    written: int
    stages: dict[str, float]


class Size(NamedTuple):
    """A set of `pairs` pairs, the seconds of its floor, and the run on it."""

    pairs: int
    floor: float
    run: Run


def bench(shared: Path, script: str, *arguments: str | Path) -> bytes:
    """Run a script of the shared folder; return what it prints."""
    sys.stderr.write(f"{script} {' '.join(map(str, arguments))}\n")
    return subprocess.check_output([sys.executable, "-B", shared / "bench" / script, *arguments])


def made(shared: Path, work: Path, pairs: int) -> Path:
    """Return the folder of a set, made if it is missing."""
    folder = work / f"pairs{pairs}"
    if not (folder / "truth.json").exists():  # written last
        bench(shared, "many.py", folder, str(pairs))
    return folder


def waited_for(process: subprocess.Popen[bytes]) -> tuple[float | None, float | None]:
    """Wait for a process; return its CPU seconds and its peak memory in MB, unknown on Windows."""
    if sys.platform == "win32":
        process.wait()
        return None, None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (MEGABYTE if sys.platform == "darwin" else 1024)


def run(folder: Path, *options: str) -> Run:
    """Run the tool on a set, into a new folder."""
    dest, log = folder / "out", folder / "log.txt"
    shutil.rmtree(dest, ignore_errors=True)
    folders = [f"--lr={folder / 'LR'}", f"--hr={folder / 'HR'}", f"--dest={dest}"]
    command = [sys.executable, str(LAUNCHER), *folders, "--report", "--overwrite", *options]
    with log.open("wb") as stream:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
        cpu, peak = waited_for(process)
        wall = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{log.read_text(errors='replace')}\nthe run failed with exit code {process.returncode}")
    sys.stderr.write(f"{folder.name} {' '.join(options)}: {wall:.1f} s\n")
    report = json.loads((dest / "report.json").read_text(encoding="utf-8"))
    return Run(wall, cpu, peak, len(report["pairs"]), report.get("seconds", {}))


def middle(runs: Sequence[Run]) -> Run:
    """Return the run of median wall time, so that stages and times agree, with the median of the peaks."""
    peaks = [r.peak for r in runs if r.peak is not None]
    return sorted(runs, key=lambda r: r.wall)[len(runs) // 2]._replace(peak=statistics.median(peaks) if peaks else None)


def measured(shared: Path, work: Path, pairs: int) -> Size:
    """Measure one size, each run just after a floor, so that what slows the machine slows both."""
    folder = made(shared, work, pairs)
    floors, runs = [], []
    for _ in range(RUNS):
        floors.append(json.loads(bench(shared, "floor.py", folder))["floor_s"])
        runs.append(run(folder))
    return Size(pairs, statistics.median(floors), middle(runs))


def compared(folder: Path) -> str:
    """Return the lines on one worker against two, and on a first run against a second; runs alternate."""
    runs = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            save = ("--save", str(Path(empty) / "saved"))
            runs.append([run(folder, *options).wall for options in [("--jobs", "1"), ("--jobs", "2"), save, save]])
    one, two, first, again = map(statistics.median, zip(*runs, strict=True))
    return (
        f"- `--jobs 1` takes {one:.1f} s, `--jobs 2` {two:.1f} s: {one / two:.2f} times as fast\n"
        f"- `--save FILE` takes {first:.1f} s at first, {again:.1f} s when run again: {first / again:.2f} times as fast"
    )


def table(*rows: Sequence[str]) -> str:
    """Return a Markdown table, figures to the right; the first row is its head."""
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|" + "---:|" * len(rows[0]), *body])


def figure(value: float | None, digits: int = 0) -> str:
    """Return a number as a table shows it."""
    return "?" if value is None else f"{value:.{digits}f}"


def sizes_table(sizes: Sequence[Size]) -> str:
    """Return a row a size."""
    rows = [["pairs", "wall s", "CPU s", "floor s", "wall / floor", "ms per pair", "peak RSS MB", "pairs written"]]
    for pairs, floor, (wall, cpu, peak, written, _) in sizes:
        times = [figure(wall, 1), figure(cpu, 1), figure(floor, 1), figure(wall / floor, 2)]
        rows.append([str(pairs), *times, figure(1000 * wall / pairs, 1), figure(peak), str(written)])
    return table(*rows)


def stages_table(sizes: Sequence[Size]) -> str:
    """Return a row a stage, a column a size; nothing if reports have no times."""
    stages = dict.fromkeys(stage for s in sizes for stage in s.run.stages)
    if not stages:
        return ""
    rows = [[stage, *(figure(s.run.stages.get(stage), 2) for s in sizes)] for stage in stages]
    head = ["seconds at", *(f"{s.pairs} pairs" for s in sizes)]
    return f"The stages of the run, timed by the tool itself:\n\n{table(head, *rows)}\n\n"


def growth(sizes: Sequence[Size]) -> str:
    """Return a sentence on the memory that another image takes; nothing if that is not known."""
    few, many = sizes[0], sizes[-1]
    if few is many or few.run.peak is None or many.run.peak is None:
        return ""
    kilobytes = (many.run.peak - few.run.peak) * 1024 / (2 * (many.pairs - few.pairs))
    span = f"from {few.pairs} to {many.pairs} pairs, two images a pair"
    return f"Peak RSS grows by {kilobytes:.1f} KB per image ({span}).\n\n"


def machine() -> str:
    """Return the processor, the memory, the system and the versions of libraries."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    parts = [model[1] if model else platform.processor(), f"{os.cpu_count()} cores"]
    if sys.platform != "win32":
        parts.append(f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / MEGABYTE / 1024:.0f} GB of memory")
    versions = subprocess.check_output([sys.executable, "-c", VERSIONS], text=True).strip()
    return ", ".join([*parts, platform.system(), f"Python {platform.python_version()}", versions])


def ticks(top: float) -> list[float]:
    """Return round numbers from 0 to the first that is not below `top`, six at most."""
    power = 10 ** math.floor(math.log10(top / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * 5 >= top)
    return [step * i for i in range(math.ceil(top / step) + 1)]


def text(x: float, y: float, words: str, anchor: str = "middle", style: str = "") -> str:
    """Return a line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{words}</text>'


def panel(title: str, points: Sequence[tuple[float, float]], digits: int) -> str:
    """Return one plot with axes from zero, so that what does not grow looks flat; points carry their values."""
    across, up = ticks(max(x for x, _ in points)), ticks(1.15 * max(y for _, y in points))  # room for the values
    xs = {x: LEFT + (RIGHT - LEFT) * x / across[-1] for x in [*across, *(x for x, _ in points)]}
    ys = {y: BOTTOM - (BOTTOM - TOP) * y / up[-1] for y in [*up, *(y for _, y in points)]}
    parts = [text(LEFT, 24, title, "start", 'font-weight="bold"'), text((LEFT + RIGHT) / 2, BOTTOM + 38, "pairs")]
    for y in up:
        rule = f'<path d="M{LEFT} {ys[y]:.1f}H{RIGHT}" stroke="{"#ddd" if y else "#555"}"/>'
        parts += [rule, text(LEFT - 8, ys[y] + 4, f"{y:g}", "end")]
    for x in across:
        parts += [f'<path d="M{xs[x]:.1f} {BOTTOM}v5" stroke="#555"/>', text(xs[x], BOTTOM + 19, f"{x:g}")]
    line = "L".join(f"{xs[x]:.1f} {ys[y]:.1f}" for x, y in points)
    parts.append(f'<path d="M{line}" fill="none" stroke="#06c" stroke-width="2" stroke-linejoin="round"/>')
    for x, y in points:
        dot = f'<circle cx="{xs[x]:.1f}" cy="{ys[y]:.1f}" r="3.5" fill="#06c"/>'
        parts += [dot, text(xs[x], ys[y] - 9, f"{y:.{digits}f}", style='font-size="11"')]
    return "\n".join(parts)


def plot(sizes: Sequence[Size]) -> str:
    """Return the SVG: milliseconds a pair and, where known, memory against pairs."""
    panels = [panel("ms per pair", [(s.pairs, 1000 * s.run.wall / s.pairs) for s in sizes], 1)]
    peaks = [(s.pairs, s.run.peak) for s in sizes if s.run.peak is not None]
    if peaks:
        panels.append(panel("peak RSS, MB", peaks, 0))
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    body = "\n".join(f'<g transform="translate({WIDTH * i} 0)">\n{p}\n</g>' for i, p in enumerate(panels))
    style = 'font-family="sans-serif" font-size="12" fill="#333" stroke="none"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
    return f'{head}\n<rect {size} fill="#fff"/>\n{body}\n</svg>\n'  # white, or dark pages would swallow the labels


def write(shared: Path, work: Path, numbers: Sequence[int]) -> None:
    """Measure everything, then write the page and its plot."""
    usual = USUAL_SIZE if USUAL_SIZE in numbers else numbers[0]
    sizes = [measured(shared, work, pairs) for pairs in numbers]
    page = README.format(
        runs=RUNS, machine=machine(), sizes=sizes_table(sizes), stages=stages_table(sizes), growth=growth(sizes),
        usual=usual, options=compared(made(shared, work, usual)),
    )  # fmt: skip
    (HERE / "README.md").write_text(page, encoding="utf-8", newline="\n")
    (HERE / "speed.svg").write_text(plot(sizes), encoding="utf-8", newline="\n")


def main() -> int:
    """Measure as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, metavar="DIR", help="default: beside the checkout")
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 500, 1000, 2000], metavar="N", help="pairs a set")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keeps the sets for another time")
    values = parser.parse_args()
    if not (values.shared / "bench" / "many.py").is_file():
        sys.stderr.write(f"{values.shared} has no bench/many.py: name the shared folder with --shared DIR\n")
        return 2
    with nullcontext(values.work) if values.work else tempfile.TemporaryDirectory() as work:
        write(values.shared, Path(work), sorted(set(values.sizes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
