"""Make pairs of films with a known truth, and score how Twimager maps their times, and aligns pairs of their frames.

    python benchmarks/films.py make FILMS [CLIP...]     # of clips, or else of the examples' photographs
    python benchmarks/films.py score FILMS

A film is joined from scenes: parts of the clips, or pans and zooms over the photographs. Of every kind there are
FILMS/KIND/lr.*, hr.* and truth.csv, which has, for every LR frame, the number of the HR frame that shows the same, of
another one where it shows two, whether motion tells that frame from its neighbours, and the scene.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from twimager.geometry import resize_matrix, transform_points, translation  # noqa: E402

Pixels = NDArray[np.uint8]
PHOTOS = ROOT / "examples" / "HR"
FILM, NTSC, PAL = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25)
# Frames of a scene of a photograph; clips are cut into as many.
LENGTHS = (30, 80)
# Neighbours that differ by so many levels, in the mean at THUMB, are told apart by motion.
MOVING, THUMB = 0.5, (96, 54)
# Below this share of its brightness a frame of a fade is not counted.
SEEN = 0.25
# Alignment is measured at points so many LR pixels apart.
TILE = 32
CRF = {"libx264": ("crf", "18"), "libx265": ("crf", "18")}


class Scene(NamedTuple):
    """A scene of a film: how long it is, and how each of its frames is drawn."""

    name: str
    length: int
    draw: Callable[[int], Pixels]


class Shown(NamedTuple):
    """What one frame of a film shows: a frame of a scene, faded to so much of its brightness."""

    scene: Scene
    number: int
    fade: float = 1.0

    def pixels(self) -> Pixels:
        """Return the frame, (h, w, 3) BGR."""
        drawn = self.scene.draw(self.number)
        return drawn if self.fade == 1 else cv2.convertScaleAbs(drawn, alpha=self.fade)


Cut = list[Shown]
# x, y, width and height
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Kind:
    """How the LR film differs from the HR one.

    Attributes
    ----------
    edit : makes the LR's cut of the scenes; the HR's is `hr_edit`'s
    look : changes a frame before it is shrunk
    frame : returns the part of an HR frame, by its size, that the LR's frame shows: x, y, width and height
    weave : makes frames of fields, each given as the numbers of the frames that its top and bottom lines show
    """

    name: str
    size: tuple[int, int] = (720, 576)
    rate: Fraction = FILM
    codec: str = "mpeg2video"
    suffix: str = ".mkv"
    hr_codec: str = "libx264"
    hr_rate: Fraction = FILM
    edit: Callable[[list[Scene], np.random.Generator], Cut] = lambda scenes, _: joined(scenes)
    hr_edit: Callable[[list[Scene], np.random.Generator], Cut] = lambda scenes, _: joined(scenes)
    look: Callable[[Pixels, int], Pixels] = lambda pixels, _: pixels
    frame: Callable[[tuple[int, int]], Box] = lambda size: (0, 0, *size)
    weave: Callable[[int], list[tuple[int, int]]] = lambda n: [(k, k) for k in range(n)]
    interlaced: bool = False
    steady: bool = True


# Cuts.


def joined(scenes: Iterable[Scene]) -> Cut:
    """Return all frames of scenes, one scene after the other."""
    return [Shown(scene, index) for scene in scenes for index in range(scene.length)]


def black(length: int, size: tuple[int, int], name: str) -> Cut:
    """Return black frames."""
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    return joined([Scene(name, length, lambda _: frame)])


def faded(cut: Cut, length: int = 12) -> Cut:
    """Return a cut that comes from black and goes to it."""
    last = len(cut) - 1
    return [shown._replace(fade=min(1.0, (min(k, last - k) + 1) / length)) for k, shown in enumerate(cut)]


def late(scenes: list[Scene], _: np.random.Generator) -> Cut:
    """Return a film that begins with 17 black frames."""
    return black(17, _size(scenes), "lead-in") + joined(scenes)


def recut(scenes: list[Scene], _: np.random.Generator) -> Cut:
    """Return another cut: two scenes are missing, two others swapped, one is shorter, and one comes from black."""
    order = [k for k in range(len(scenes)) if k % 7 != 3]
    order[3], order[4] = order[4], order[3]
    parts = [joined([scenes[k]]) for k in order]
    parts[-1] = parts[-1][len(parts[-1]) // 3 :]
    parts[0] = faded(parts[0])
    return [shown for part in parts for shown in part]


def with_others(scenes: list[Scene], rng: np.random.Generator) -> Cut:
    """Return the HR's cut where the LR lacks and adds scenes: every fifth scene is only the LR's."""
    del rng
    return joined(scene for k, scene in enumerate(scenes) if k % 5 != 2)


def with_breaks(scenes: list[Scene], _: np.random.Generator) -> Cut:
    """Return a film with two breaks, each of black and what no other film has."""
    cut: Cut = []
    for k, scene in enumerate(scenes):
        if k in (len(scenes) // 3, 2 * len(scenes) // 3):
            other = Scene(f"break {k}", 60, partial(_drifting, _texture(_size(scenes), k)))
            cut += black(8, _size(scenes), f"black {k}") + joined([other])
        cut += joined([scene])
    return cut


def stuttering(scenes: list[Scene], rng: np.random.Generator) -> Cut:
    """Return a film of which one frame in 40 is missing and one in 40 is shown twice."""
    cut: Cut = []
    for shown, drawn in zip(joined(scenes), rng.random(sum(scene.length for scene in scenes)), strict=True):
        cut += [shown] * (0 if drawn < 1 / 40 else 2 if drawn > 39 / 40 else 1)
    return cut


def _size(scenes: list[Scene]) -> tuple[int, int]:
    height, width = scenes[0].draw(0).shape[:2]
    return width, height


def _texture(size: tuple[int, int], seed: int) -> Pixels:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 8, size[0] // 4, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (2 * size[0], size[1]), interpolation=cv2.INTER_CUBIC), np.uint8)


def _drifting(texture: Pixels, index: int) -> Pixels:
    return np.ascontiguousarray(texture[:, 2 * index : 2 * index + texture.shape[1] // 2])


# Looks.


def logo(pixels: Pixels, _: int) -> Pixels:
    """Return a frame with a channel's logo."""
    marked = pixels.copy()
    height, width = pixels.shape[:2]
    cv2.circle(marked, (width * 9 // 10, height // 8), height // 16, (230, 230, 230), -1)
    return marked


def broadcast(pixels: Pixels, number: int) -> Pixels:
    """Return a frame as a broadcast shows it: cropped, in other colours, with a logo and burnt-in subtitles."""
    height = pixels.shape[0]
    x, y, shown, rows = cropped(pixels.shape[1::-1])
    curve = np.clip(255 * (np.arange(256) / 255) ** 1.25 * 0.85 + 18, 0, 255).astype(np.uint8)
    toned = cv2.LUT(pixels[y : y + rows, x : x + shown], curve)
    toned[..., 0] = cv2.convertScaleAbs(toned[..., 0], alpha=0.9)
    marked = logo(np.asarray(toned, np.uint8), number)
    if number // 40 % 3:
        place = (pixels.shape[1] // 8, int(toned.shape[0] * 0.92))
        cv2.putText(marked, f"Subtitle {number // 40}", place, cv2.FONT_HERSHEY_SIMPLEX, height / 300, (255,) * 3, 2)
    return marked


def cropped(size: tuple[int, int]) -> Box:
    """Return the part of a frame that a broadcast shows."""
    width, height = size
    x, y = width // 16, height // 24
    return x, y, width + -width // 14 - x, height + -height // 20 - y


def letterboxed(pixels: Pixels, _: int) -> Pixels:
    """Return a frame with black bars at its top and bottom."""
    height = -padded(pixels.shape[1::-1])[1]
    return np.asarray(cv2.copyMakeBorder(pixels, height, height, 0, 0, cv2.BORDER_CONSTANT), np.uint8)


def padded(size: tuple[int, int]) -> Box:
    """Return a frame with its black bars, as seen from the frame."""
    return 0, -(size[1] // 6), size[0], size[1] + 2 * (size[1] // 6)


# Fields.


def telecined(count: int) -> list[tuple[int, int]]:
    """Return which frames the fields of a telecine (2:3 pull-down) show: of every four it makes five."""
    pattern = ((0, 0), (1, 1), (1, 2), (2, 3), (3, 3))
    return [(first + top, first + bottom) for first in range(0, count - 3, 4) for top, bottom in pattern]


def fields(count: int) -> list[tuple[int, int]]:
    """Return the fields of true interlacing: of twice the frame rate."""
    return [(k, k + 1) for k in range(0, count - 1, 2)]


KINDS = (
    Kind("plain", codec="libx264"),
    Kind("late", edit=late, look=logo),
    Kind("pal", rate=PAL, interlaced=True),
    Kind("ntsc", (720, 480), NTSC, look=letterboxed, frame=padded, weave=telecined, interlaced=True),
    Kind("fields", rate=PAL, hr_rate=2 * PAL, weave=fields, interlaced=True),
    Kind("recut", rate=PAL, edit=recut, hr_edit=with_others, suffix=".mpg"),
    Kind("broadcast", edit=with_breaks, look=broadcast, frame=cropped),
    Kind("stutter", codec="libx264", edit=stuttering),
    Kind("variable", codec="libx264", edit=stuttering, look=logo, steady=False),
    Kind("hdr", hr_codec="libx265", look=broadcast, frame=cropped, edit=late),
)


# Scenes.


class Pan(NamedTuple):
    """A pan and zoom over a photograph, from one view (x, y and width) to another; a picture may move over it."""

    photo: Any
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    length: int
    size: tuple[int, int]
    moving: Any = None

    def draw(self, index: int) -> Pixels:
        """Return a frame of it."""
        share = index / max(1, self.length - 1)
        x, y, width = self.first + (self.last - self.first) * share
        scale = width / self.size[0]
        matrix = np.array([[scale, 0, x], [0, scale, y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        drawn = cv2.warpAffine(self.photo, matrix, self.size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        if self.moving is not None:
            side = self.size[1] // 3
            left, top = int((self.size[0] - side) * share), self.size[1] // 2
            drawn[top : top + side, left : left + side] = cv2.resize(self.moving, (side, side))
        return np.asarray(drawn, np.uint8)


def photo_scenes(folder: Path, count: int, size: tuple[int, int], rng: np.random.Generator) -> list[Scene]:
    """Return pans and zooms over photographs; every sixth scene stands still but for something that moves over it."""
    photos = [cv2.imread(str(path)) for path in sorted(folder.iterdir())]
    scenes = []
    for number in range(count):
        photo, still = photos[number % len(photos)], number % 6 == 5
        first, last = (_view(photo.shape[1::-1], size, rng) for _ in range(2))
        length = int(rng.integers(*LENGTHS))
        moving = photos[(number + 4) % len(photos)] if still else None
        pan = Pan(photo, first, first if still else last, length, size, moving)
        scenes.append(Scene(f"photo {number}", length, pan.draw))
    return scenes


def _view(photo: tuple[int, int], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a part of a photograph of the size's aspect: x, y and width."""
    widest = min(photo[0], photo[1] * size[0] / size[1])
    width = widest * rng.uniform(0.6, 0.95)
    height = width * size[1] / size[0]
    return np.array([rng.uniform(0, photo[0] - width), rng.uniform(0, photo[1] - height), width])


def clip_scenes(clips: Sequence[Path], count: int, size: tuple[int, int], rng: np.random.Generator) -> list[Scene]:
    """Return parts of clips."""
    scenes: list[Scene] = []
    for clip in clips:
        with av.open(str(clip)) as container:
            drawn = [np.asarray(cv2.resize(one.to_ndarray(format="bgr24"), size), np.uint8)
                     for one in container.decode(video=0)]  # fmt: skip
        start = 0
        while start + LENGTHS[0] <= len(drawn):
            part = drawn[start : start + int(rng.integers(*LENGTHS))]
            scenes.append(Scene(f"{clip.stem} {start}", len(part), part.__getitem__))
            start += len(part)
    return [scenes[k] for k in rng.permutation(len(scenes))][:count]


# Files.


def write(
    path: Path, pictures: Iterable[Pixels], codec: str, size: tuple[int, int], rate: Fraction, **more: Any
) -> None:
    """Encode a film.

    Parameters
    ----------
    pictures : (h, w, 3) BGR, resized to `size`
    more : `interlaced`, and `ticks` between frames, of 1/1000 s, where the frame rate varies
    """
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "x265-params": "log-level=none"} | dict([CRF[codec]] if codec in CRF else [])
        stream = container.add_stream(codec, rate, options=options)
        stream.width, stream.height = size
        hdr = codec == "libx265"
        stream.pix_fmt = "yuv420p10le" if hdr else "yuv420p"
        context = stream.codec_context
        if hdr:
            context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        if codec == "mpeg2video":
            context.bit_rate, context.gop_size, context.max_b_frames = size[0] * size[1] * 12, 12, 2
        if more.get("interlaced"):
            context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        moments = more.get("moments")
        if moments is not None:
            context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(pictures):
            frame = _encodable(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), hdr)
            frame.pts = number if moments is None else moments[number]
            frame.time_base = 1 / rate if moments is None else Fraction(1, 1000)
            if more.get("interlaced"):
                frame = _top_field_first(frame)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _top_field_first(frame: Any) -> Any:
    """Return a frame that is flagged as what it is."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
    )
    graph.link_nodes(source, graph.add("setfield", "mode=tff"), graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.pull()


def _encodable(pixels: Any, hdr: bool) -> Any:
    if not hdr:
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "bgr24").reformat(format="yuv420p")
    # SMPTE ST 2084 (PQ), white at 203 nits.
    light = (np.arange(256) / 255) ** 2.4 * 203 / 10000
    power = light**0.1593017578125
    curve = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    frame = av.VideoFrame.from_ndarray((65535 * curve).astype(np.uint16)[pixels[..., ::-1]], "rgb48le")
    return frame.reformat(format="yuv420p10le", dst_colorspace="bt2020")


def make(kind: Kind, scenes: list[Scene], folder: Path, shrink: int, rng: np.random.Generator) -> None:
    """Write the films of a kind, and their truth."""
    folder.mkdir(parents=True, exist_ok=True)
    hr, lr = kind.hr_edit(scenes, rng), kind.edit(scenes, rng)
    numbers = {(shown.scene.name, shown.number): number for number, shown in enumerate(hr)}
    woven = kind.weave(len(lr))
    truths = [[numbers.get((lr[k].scene.name, lr[k].number), -1) for k in pair] for pair in woven]
    moving = _moving(hr)
    with (folder / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["lr_frame", "hr_frame", "hr_other", "moving", "counted", "scene"])
        for number, ((top, _), (first, second)) in enumerate(zip(woven, truths, strict=True)):
            moves = int(first >= 0 and moving[first])
            counted = int(lr[top].fade >= SEEN and not lr[top].scene.name.startswith("black"))
            rows.writerow([number, first, second, moves, counted, lr[top].scene.name])
    hr_size, lr_size = _size(scenes), tuple(side // shrink // 2 * 2 for side in kind.size)
    write(folder / "hr.mkv", (shown.pixels() for shown in hr), kind.hr_codec, hr_size, kind.hr_rate)
    moments = None if kind.steady else _moments(lr, kind.rate)
    write(
        folder / f"lr{kind.suffix}", _woven(lr, woven, kind.look, (lr_size[0], lr_size[1])), kind.codec,
        (lr_size[0], lr_size[1]), kind.rate, interlaced=kind.interlaced, moments=moments,
    )  # fmt: skip


def _woven(
    cut: Cut, pairs: list[tuple[int, int]], look: Callable[[Pixels, int], Pixels], size: tuple[int, int]
) -> Iterator[Pixels]:
    """Yield the frames of an LR film, shrunk, whose top and bottom lines may be of two."""
    for top, bottom in pairs:
        first, second = (
            cv2.resize(look(cut[k].pixels(), k), size, interpolation=cv2.INTER_AREA) for k in (top, bottom)
        )
        woven = first.copy()
        woven[1::2] = second[1::2]
        yield np.asarray(woven, np.uint8)


def _moments(cut: Cut, rate: Fraction) -> list[int]:
    """Return when frames are shown, in 1/1000 s, if those that are missing leave a gap and none is shown twice."""
    moments, now = [], 0.0
    for number, shown in enumerate(cut):
        before = cut[number - 1] if number else shown
        missing = shown.scene is before.scene and shown.number - before.number == 2
        now += (2 if missing else 1) / float(rate) if number else 0
        moments.append(round(1000 * now))
    return moments


def _moving(cut: Cut) -> list[bool]:
    """Tell which frames differ from both their neighbours of the same scene."""
    small = [cv2.resize(cv2.cvtColor(shown.pixels(), cv2.COLOR_BGR2GRAY), THUMB, interpolation=cv2.INTER_AREA)
             for shown in cut]  # fmt: skip
    differs = [True, *(cv2.absdiff(a, b).mean() > MOVING for a, b in pairwise(small)), True]
    return [before and after for before, after in pairwise(differs)]


class Score(NamedTuple):
    """How a time map compares with the truth.

    Attributes
    ----------
    exact : share of the mapped frames that both have which are right: to the frame where motion tells, else by one
    wrong : mapped frames that are off by more
    lacking : mapped frames of scenes that the HR lacks
    mapped : share of the frames that both have which are mapped
    shots : share of the scenes that both have of which at least half is mapped right
    """

    exact: float
    wrong: int
    lacking: int
    mapped: float
    shots: float


def score(mapped: NDArray[np.int64], truth: Path) -> Score:
    """Score a map from LR frames to HR frames, -1 for none."""
    with truth.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["counted"] == "1"]
    both = [row for row in rows if int(row["hr_frame"]) >= 0 or int(row["hr_other"]) >= 0]
    found = [row for row in both if mapped[int(row["lr_frame"])] >= 0]
    right = [row for row in found if _is_right(row, int(mapped[int(row["lr_frame"])]))]
    lacking = sum(bool(mapped[int(row["lr_frame"])] >= 0) for row in rows if row not in both)
    scenes = {row["scene"] for row in both}
    whole = sum(2 * sum(r["scene"] == s for r in right) >= sum(r["scene"] == s for r in both) for s in scenes)
    return Score(
        len(right) / max(1, len(found)), len(found) - len(right), lacking, len(found) / max(1, len(both)),
        whole / max(1, len(scenes)),
    )  # fmt: skip


def _is_right(row: dict[str, str], number: int) -> bool:
    tolerance = 0 if row["moving"] == "1" else 1
    return any(int(row[key]) >= 0 and abs(int(row[key]) - number) <= tolerance for key in ("hr_frame", "hr_other"))


class Alignment(NamedTuple):
    """How pairs of frames compare with the truth.

    Attributes
    ----------
    wrong : pairs of frames that are not of the same moment
    errors : of each other pair how far, in LR pixels, its HR lies from where it belongs, the median over its points
    """

    wrong: int
    errors: list[float]


def aligned(kind: Kind, folder: Path, *flags: str) -> Alignment:
    """Return how the pairs that Twimager makes of a film are aligned; `flags` are more of its options."""
    with TemporaryDirectory() as dest, (folder / "truth.csv").open(encoding="utf-8") as file:
        sides = "--lr", str(next(folder.glob("lr.*"))), "--hr", str(folder / "hr.mkv"), "--dest", dest
        command = [sys.executable, str(ROOT / "twimager.py"), *sides, "--dry", "--report", "--quiet", *flags]
        subprocess.run(command, check=False)
        pairs = json.loads((Path(dest) / "report.json").read_text(encoding="utf-8"))["pairs"]
        rows = list(csv.DictReader(file))
    right = [one for one in pairs if _is_right(rows[one["lr_frame"]["number"]], one["hr_frame"]["number"])]
    sizes = [_frame_size(folder / name) for name in (Path(sides[1]).name, "hr.mkv")]
    true = true_matrix(kind, *sizes)
    return Alignment(
        len(pairs) - len(right), [misalignment(np.array(one["matrix"]), true, one["window"]) for one in right]
    )


def true_matrix(kind: Kind, lr: tuple[int, int], hr: tuple[int, int]) -> NDArray[np.float64]:
    """Return the matrix, (3, 3), from HR pixels to LR pixels in frames of these sizes."""
    x, y, width, height = kind.frame(hr)
    return resize_matrix((width, height), lr) @ translation(-x, -y)


def misalignment(found: NDArray[np.float64], true: NDArray[np.float64], window: Box) -> float:
    """Return how far points of a window of the LR are apart, by two matrices, (3, 3), from the HR: LR pixels."""
    x, y, width, height = window
    grid = np.meshgrid(np.arange(x + TILE // 2, x + width, TILE), np.arange(y + TILE // 2, y + height, TILE))
    points = np.stack(grid, axis=-1).reshape(-1, 2).astype(np.float64)
    moved = transform_points(found @ np.linalg.inv(true), points)
    return float(np.median(np.linalg.norm(moved - points, axis=1)))


def _frame_size(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def main() -> None:
    """Make or score films."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "score"))
    parser.add_argument("films", type=Path, metavar="FILMS", help="the folder of the films")
    parser.add_argument("clips", type=Path, nargs="*", metavar="CLIP", help="what they are made of")
    parser.add_argument("--kinds", nargs="*", default=[kind.name for kind in KINDS], help="which kinds (default all)")
    parser.add_argument("--scenes", type=int, default=14, help="how many scenes a film has (default 14)")
    parser.add_argument("--height", type=int, default=540, help="of the HR, in pixels (default 540)")
    parser.add_argument("--shrink", type=int, default=2, help="divides the sides of the LR (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="draws other films (default 1)")
    values = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.name in values.kinds]
    if values.what == "make":
        for kind in kinds:
            rng = np.random.default_rng(values.seed)
            size = (values.height * 16 // 9 // 2 * 2, values.height)
            source = partial(clip_scenes, values.clips) if values.clips else partial(photo_scenes, PHOTOS)
            make(kind, source(values.scenes, size, rng), values.films / kind.name, values.shrink, rng)
        return
    names = (
        "film",
        "exact",
        "wrong",
        "of scenes HR lacks",
        "mapped",
        "shots",
        "pairs",
        "wrong",
        "err median",
        "err 90 %",
    )
    sys.stdout.write(f"| {' | '.join(names)} |\n{'|---' * len(names)}|\n")
    for kind in kinds:
        folder = values.films / kind.name
        result = score(mapped_frames(next(folder.glob("lr.*")), folder / "hr.mkv"), folder / "truth.csv")
        numbers = f"{result.exact:.4f} | {result.wrong} | {result.lacking} | {result.mapped:.3f} | {result.shots:.3f}"
        found = aligned(kind, folder)
        errors = " | ".join(f"{value:.4f}" for value in np.percentile(found.errors or [np.nan], (50, 90)))
        pairs = len(found.errors) + found.wrong
        sys.stdout.write(f"| {kind.name} | {numbers} | {pairs} | {found.wrong} | {errors} |\n")
        sys.stdout.flush()


def mapped_frames(lr: Path, hr: Path) -> NDArray[np.int64]:
    """Return the HR frame of each LR frame as Twimager finds it, -1 for none."""
    from twimager.video.signatures import make_signatures
    from twimager.video.timeline import find_timeline

    with TemporaryDirectory() as folder:
        signed = (make_signatures(path, Path(folder) / f"{path.stem}.npz", _warn, lambda _: None) for path in (lr, hr))
        return find_timeline(*signed).hr_frames


def _warn(message: str) -> None:
    sys.stderr.write(f"{message}\n")


if __name__ == "__main__":
    main()
