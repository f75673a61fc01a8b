"""The settings of a run, validated once and never changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

from twimager.errors import UsageError, require

# Of images that are not turned down, where nothing else is said.
MAX_PIXELS = 200_000_000
# A scale is a ratio of whole pixels; finer ones than thousandths only restate a rounded decimal (1.3333 is 4/3).
SCALE_DENOMINATOR = 1000
MAX_SCALE = 32
# Not allowed in file names on Windows; the slashes nowhere.
FORBIDDEN = set('<>:"/\\|?*')


class Output(str, Enum):
    """Which side is written."""

    LR = "lr"
    HR = "hr"
    ALL = "all"


class Method(str, Enum):
    """How an HR is brought onto its LR: affine, perspective, that and a smooth flow, or the simplest that will do.

    No pair is given a perspective or a flow that it does not certainly need, so that the last two are the same.
    """

    TRANSFORM = "transform"
    WARP = "warp"
    FLOW = "flow"
    AUTO = "auto"

    @property
    def bends(self) -> bool:
        """Whether a flow may be added."""
        return self in (Method.FLOW, Method.AUTO)


class Search(str, Enum):
    """Who proposes pairs: the features, and hashes where those bring nothing; hashes alone; features alone."""

    AUTO = "auto"
    HASH = "hash"
    FEATURES = "features"


class Naming(str, Enum):
    """After which source the files of a pair are named."""

    HR = "hr"
    LR = "lr"
    KEEP = "keep"


class Border(str, Enum):
    """What becomes of LR pixels that the HR does not cover."""

    CROP = "crop"
    KEEP = "keep"


class ColorTransfer(str, Enum):
    """How the LR's colours are carried over: by mean and deviation, by those in CIELAB, by histogram."""

    PLAIN = "plain"
    LAB = "lab"
    HISTOGRAM = "histogram"


class Truncated(str, Enum):
    """What becomes of images that are cut short: they are unreadable, or their complete rows are used."""

    REFUSE = "refuse"
    KEEP = "keep"


class Format(str, Enum):
    """What kind of files are written; the value is their extension."""

    PNG = "png"
    WEBP = "webp"
    TIFF = "tiff"
    JPG = "jpg"


@dataclass(frozen=True)
class Crop:
    """What `--crop` asks for, in LR pixels: `margin` off every side, or a window of `width` x `height`.

    A window without a position is centred.
    """

    margin: int = 0
    width: int = 0
    height: int = 0
    x: int | None = None
    y: int | None = None

    @classmethod
    def from_numbers(cls, numbers: list[int]) -> Crop:
        """Read 1, 2 or 4 numbers as `--crop N`, `W H` or `X Y W H`; UsageError if they make no crop."""
        match numbers:
            case [margin] if margin > 0:
                return cls(margin=margin)
            case [width, height] if min(width, height) > 0:
                return cls(width=width, height=height)
            case [x, y, width, height] if min(width, height) > 0 and min(x, y) >= 0:
                return cls(width=width, height=height, x=x, y=y)
        if len(numbers) not in (1, 2, 4):
            raise UsageError("--crop takes 1, 2 or 4 numbers: N, W H or X Y W H")
        raise UsageError("--crop takes sizes above 0 and positions from 0 on")

    @property
    def numbers(self) -> list[int]:
        """What `from_numbers` was given."""
        if self.margin:
            return [self.margin]
        position = [] if self.x is None or self.y is None else [self.x, self.y]
        return [*position, self.width, self.height]


@dataclass(frozen=True)
class Options:
    """What the user asked for; the README's option table says what each means."""

    lr: Path
    hr: Path
    dest: Path | None = None
    output: Output = Output.ALL
    scale: Fraction = Fraction(2)
    crop: Crop | None = None
    method: Method = Method.TRANSFORM
    color_transfer: ColorTransfer | None = None
    filename: Naming = Naming.HR
    format: Format = Format.PNG
    quality: int = 95
    prefix: str = ""
    suffix: str = ""
    threshold: float = 90.0
    limit: int | None = None
    debug: bool = False
    dry: bool = False
    report: bool = False
    meta_info: bool = False
    search: Search = Search.AUTO
    distance: int = 12
    mirror: bool = True
    all_matches: bool = False
    border: Border = Border.CROP
    keep_icc: bool = False
    min_overlap: float = 0.3
    max_error: float | None = None
    min_native_scale: float | None = None
    max_color_distance: float | None = None
    max_pixels: int = MAX_PIXELS
    memory: int | None = None
    truncated: Truncated = Truncated.REFUSE
    jobs: int = 1
    recursive: bool = False
    overwrite: bool = False
    resume: bool = False
    follow_dest_links: bool = False
    save: Path | None = None

    @property
    def unlinked_dest(self) -> Path | None:
        """DEST, if no link below it is to be followed, else None."""
        return None if self.follow_dest_links else self.dest

    def __post_init__(self) -> None:
        require(self.dest is not None or self.dry, "--dest is missing: where to write (or --dry to write nothing)")
        require(self.dest is not None or not self.report, "--report is kept in DEST: add --dest")
        require(not self.meta_info or not self.dry, "--meta_info lists the HRs that were written: not with --dry")
        require(not self.meta_info or self.output is not Output.LR, "--meta_info lists HRs: not with --output lr")
        require(not (self.resume and self.dry), "--resume goes on with what was written: not with --dry")
        require(0 < self.scale <= MAX_SCALE, f"--scale must be above 0 and at most {MAX_SCALE}")
        require(25 <= self.threshold <= 100, "--threshold must be 25 to 100 (percent of equal bits)")
        require(0 <= self.distance <= 64, "--distance must be 0 to 64 (bits)")
        require(0 <= self.min_overlap <= 1, "--min_overlap must be 0 to 1 (share of the LR frame)")
        require(1 <= self.quality <= 100, "--quality must be 1 to 100")
        require(self.max_error is None or self.max_error > 0, "--max_error must be above 0 (LR pixels)")
        require(
            self.min_native_scale is None or self.min_native_scale > 0,
            "--min_native_scale must be above 0 (source pixels per output pixel)",
        )
        require(
            self.max_color_distance is None or self.max_color_distance > 0,
            "--max_color_distance must be above 0 (Delta E)",
        )
        require(self.limit is None or self.limit >= 1, "--limit must be 1 or more pairs")
        require(self.max_pixels >= 1, "--max_pixels must be 1 or more")
        require(self.jobs >= 1, "--jobs must be 1 or more workers")
        for name, text in (("prefix", self.prefix), ("suffix", self.suffix)):
            require(
                not FORBIDDEN & set(text) and text.isprintable(),
                f"--{name} may not hold control characters or any of {' '.join(sorted(FORBIDDEN))}",
            )


def parse_scale(text: str) -> Fraction:
    """Return a scale as an exact ratio: '2', '1.5' or '4/3'; ValueError if it is no number."""
    value = Fraction(text) if "/" in text else float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return Fraction(value).limit_denominator(SCALE_DENOMINATOR)


def plain_settings(options: Options) -> dict[str, Any]:
    """Return every option as JSON knows it, by name."""
    return {field.name: _plain(getattr(options, field.name)) for field in fields(options)}


def _plain(value: Any) -> Any:
    match value:
        case Path():
            return str(value.absolute())
        case Enum():
            return value.value
        case Fraction():
            return value.numerator if value.denominator == 1 else float(value)
        case Crop():
            return value.numbers
    return value
