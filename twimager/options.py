"""The settings of a run, validated once and never changed."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

from twimager.errors import UsageError, require

# Of images that are not rejected, where nothing else is said.
MAX_PIXELS = 200_000_000
# A scale is a ratio of whole pixels; finer ones than thousandths only restate a rounded decimal (1.3333 is 4/3).
SCALE_DENOMINATOR = 1000
MAX_SCALE = 32
# Levels of 255 by which neighbouring pixels of an LR tile differ at least, in the mean over it. Measured on 3,000 LR
# tiles of 64 pixels: black has 0 to 0.3, walls and skies without clouds 0.3 to 1.2, clouds 1 to 2, most others 3 to 9.
MIN_DETAIL = 0.5
# Not allowed in file names on Windows; the slashes nowhere.
FORBIDDEN = set('<>:"/\\|?*')
# What names of --names safe hold none of: lists are split there, keys of databases end there.
UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Output(str, Enum):
    """Which side is written."""

    LR = "lr"
    HR = "hr"
    ALL = "all"


class Method(str, Enum):
    """The motion model: affine, perspective, that and a displacement field, or the simplest that suffices.

    No pair is given a perspective or a displacement that is not significant, so that the last two are the same.
    """

    TRANSFORM = "transform"
    WARP = "warp"
    FLOW = "flow"
    AUTO = "auto"

    @property
    def is_nonrigid(self) -> bool:
        """Whether a displacement field may be added."""
        return self in (Method.FLOW, Method.AUTO)


class Search(str, Enum):
    """What proposes pairs: the same frame, features, then hashes; hashes alone; features alone; or their names."""

    AUTO = "auto"
    HASH = "hash"
    FEATURES = "features"
    NAMES = "names"


class Naming(str, Enum):
    """After which source the files of a pair are named."""

    HR = "hr"
    LR = "lr"
    KEEP = "keep"


class NameCharacters(str, Enum):
    """Which characters the names of written files have: those of the source, or A-Z, a-z, 0-9, _ and - alone."""

    KEEP = "keep"
    SAFE = "safe"


class Loader(str, Enum):
    """The data set of a trainer, for which pairs are written."""

    BASICSR = "basicsr"
    REALESRGAN = "realesrgan"
    TRAINNER = "trainner"
    NEOSR = "neosr"
    KAIR = "kair"
    HF = "hf"


class Border(str, Enum):
    """What becomes of LR pixels that the HR does not cover."""

    CROP = "crop"
    KEEP = "keep"


class Partial(str, Enum):
    """What becomes of a pair of which a part shows something else.

    It is rejected, cut to the largest rectangle that agrees, written with a mask, or black where the two differ.
    """

    NONE = "none"
    CUT = "cut"
    MASK = "mask"
    BLACK = "black"

    @property
    def keeps_all(self) -> bool:
        """Whether what differs is written too, masked or black."""
        return self in (Partial.MASK, Partial.BLACK)


class ColorTransfer(str, Enum):
    """How the LR's colours are carried over: by mean and deviation, by those in CIELAB, by histogram."""

    PLAIN = "plain"
    LAB = "lab"
    HISTOGRAM = "histogram"


class Alpha(str, Enum):
    """What becomes of transparency in the files of a pair.

    AUTO : both keep it if both have any, else both lie on one background
    DROP : colours are written as they are stored
    KEEP : both keep it, even if one is opaque
    WHITE, BLACK : both lie on white, or on black
    """

    AUTO = "auto"
    DROP = "drop"
    KEEP = "keep"
    WHITE = "white"
    BLACK = "black"


class Truncated(str, Enum):
    """What becomes of images that are cut short: they are unreadable, or their complete rows are used."""

    REFUSE = "refuse"
    KEEP = "keep"


class Format(str, Enum):
    """What kind of files are written; the value is their extension."""

    PNG = "png"
    WEBP = "webp"
    TIF = "tif"
    TIFF = "tiff"
    JPG = "jpg"

    @property
    def has_16_bit(self) -> bool:
        """Whether values may have 16 bits."""
        return self in (Format.PNG, Format.TIF, Format.TIFF)

    @property
    def has_alpha(self) -> bool:
        """Whether there may be alpha."""
        return self is not Format.JPG


@dataclass(frozen=True)
class Crop:
    """The crop, in LR pixels: `margin` off every side, or a window of `width` x `height`.

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
class Tiling:
    """Tiles that pairs are cut into: squares of `size` HR output pixels, which begin `step` pixels apart."""

    size: int
    step: int

    @classmethod
    def from_numbers(cls, numbers: list[int]) -> Tiling:
        """Read 1 or 2 numbers as `--tile SIZE [STEP]`; UsageError if they make no tiles."""
        require(len(numbers) <= 2, "--tile takes 1 or 2 numbers: SIZE or SIZE STEP")
        require(min(numbers) > 0, "--tile takes numbers above 0")
        return cls(numbers[0], numbers[-1])

    @property
    def numbers(self) -> list[int]:
        """What `from_numbers` was given."""
        return [self.size, self.step]


@dataclass(frozen=True)
class ReadSettings:
    """How image files are found and read."""

    recursive: bool = False
    max_pixels: int = MAX_PIXELS
    truncated: Truncated = Truncated.REFUSE
    keep_icc: bool = False
    lr_mask: Path | None = None
    hr_mask: Path | None = None

    def __post_init__(self) -> None:
        require(self.max_pixels >= 1, "--max_pixels must be 1 or more")


@dataclass(frozen=True)
class ProposeSettings:
    """Which pairs are proposed."""

    search: Search = Search.AUTO
    distance: int = 12
    mirror: bool = True
    negative: bool = True

    def __post_init__(self) -> None:
        require(0 <= self.distance <= 64, "--distance must be 0 to 64 (bits)")


@dataclass(frozen=True)
class AlignSettings:
    """How an HR is aligned with its LR."""

    method: Method = Method.TRANSFORM


@dataclass(frozen=True)
class Gates:
    """What an aligned pair must pass; None is no gate, but for `max_error`: its default goes by the size."""

    threshold: float = 90.0
    min_overlap: float = 0.3
    max_error: float | None = None
    min_native_scale: float | None = None
    max_color_distance: float | None = None
    max_difference: float = 0.006
    keep_combed: bool = False

    def __post_init__(self) -> None:
        require(25 <= self.threshold <= 100, "--threshold must be 25 to 100 (percent of equal bits)")
        require(0 <= self.min_overlap <= 1, "--min_overlap must be 0 to 1 (share of the LR frame)")
        require(0 <= self.max_difference <= 1, "--max_difference must be 0 to 1 (share of the LR)")
        for name, value, unit in (
            ("max_error", self.max_error, "LR pixels"),
            ("min_native_scale", self.min_native_scale, "source pixels per output pixel"),
            ("max_color_distance", self.max_color_distance, "Delta E"),
        ):
            require(value is None or value > 0, f"--{name} must be above 0 ({unit})")


@dataclass(frozen=True)
class Framing:
    """Which part of the LR is written, if its sides have so many pixels, and how many HR output pixels for each."""

    scale: Fraction = Fraction(2)
    border: Border = Border.CROP
    crop: Crop | None = None
    partial: Partial = Partial.NONE
    min_size: int = 1

    def __post_init__(self) -> None:
        require(self.min_size >= 1, "--min_size must be 1 or more LR pixels")
        require(0 < self.scale <= MAX_SCALE, f"--scale must be above 0 and at most {MAX_SCALE}")


@dataclass(frozen=True)
class PairSettings:
    """All that the evaluation of a pair depends on beside its images; its text is part of the cache's key."""

    align: AlignSettings = AlignSettings()
    gates: Gates = Gates()
    framing: Framing = Framing()


@dataclass(frozen=True)
class SelectSettings:
    """Which of the pairs that pass are written."""

    all_matches: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        require(self.limit is None or self.limit >= 1, "--limit must be 1 or more pairs")


@dataclass(frozen=True)
class WriteSettings:
    """What the written files are like, and their names."""

    output: Output = Output.ALL
    color_transfer: ColorTransfer | None = None
    filename: Naming = Naming.HR
    format: Format = Format.PNG
    quality: int = 95
    prefix: str = ""
    suffix: str = ""
    depth: int | None = None
    alpha: Alpha = Alpha.AUTO
    names: NameCharacters = NameCharacters.KEEP
    loaders: tuple[Loader, ...] = ()
    tile: Tiling | None = None
    min_detail: float = MIN_DETAIL
    split: float | None = None
    seed: int = 0

    @property
    def has_alpha(self) -> bool:
        """Whether what is written may be transparent."""
        return self.format.has_alpha and not self.loaders

    @property
    def bits(self) -> int | None:
        """Bits of a value in what is written, all in use; None where they are those of the source."""
        return self.depth if self.format.has_16_bit else 8

    def __post_init__(self) -> None:
        require(1 <= self.quality <= 100, "--quality must be 1 to 100")
        require(self.split is None or 0 < self.split < 1, "--split must be above 0 and below 1 (share to train on)")
        require(self.depth in (None, 8, 16), "--depth must be 8 or 16 (bits)")
        require(self.depth != 16 or self.format.has_16_bit, f"--depth 16: {self.format.value} has 8 bit only")
        require(0 <= self.min_detail <= 255, "--min_detail must be 0 to 255 (levels)")
        transparent_jpg = self.alpha is Alpha.KEEP and not self.format.has_alpha
        require(not transparent_jpg, "--alpha keep: jpg has no transparency; --format png, webp and tif have")
        for name, text in (("prefix", self.prefix), ("suffix", self.suffix)):
            require(
                not FORBIDDEN & set(text) and text.isprintable(),
                f"--{name} may not hold control characters or any of {' '.join(sorted(FORBIDDEN))}",
            )
            require(
                self.names is NameCharacters.KEEP or not UNSAFE.search(text),
                f"--{name} may hold A-Z, a-z, 0-9, _ and - only with --names safe, which --for sets",
            )


class Deinterlace(Enum):
    """How combed frames of a video are made whole: by what is measured, not at all, or by one of FFmpeg's filters."""

    AUTO = "auto"
    OFF = "off"
    BWDIF = "bwdif"
    FIELDMATCH = "fieldmatch"


class Hdr(Enum):
    """What becomes of a video's high dynamic range."""

    SDR = "sdr"
    KEEP = "keep"


class ClipsLayout(Enum):
    """How the frames of clips are called, as a data set that trainers load has them."""

    REDS = "reds"
    VIMEO = "vimeo"
    TRAINNER = "trainner"


# Frames of a sequence of Vimeo-90K: its loaders take the fourth for the middle.
SEPTUPLET = 7


class Steady(Enum):
    """Whether pairs of two videos are aligned by what their transforms have in common."""

    AUTO = "auto"
    OFF = "off"
    FILM = "film"


@dataclass(frozen=True)
class VideoSettings:
    """Which frames are taken from videos, and how; times are in seconds from the LR video's beginning.

    With `clips`, so many frames in a row are written for each pair.
    """

    frames: int = 1000
    per_shot: int = 2
    every: float | None = None
    start: float = 0.0
    end: float | None = None
    deinterlace: Deinterlace = Deinterlace.AUTO
    hdr: Hdr = Hdr.SDR
    keep_frames: bool = False
    steady: Steady = Steady.AUTO
    clips: int | None = None
    clips_layout: ClipsLayout = ClipsLayout.REDS

    def __post_init__(self) -> None:
        require(self.frames >= 1, "--frames must be 1 or more")
        require(self.clips is None or self.clips >= 2, "--clips must be 2 or more frames")
        layout = self.clips_layout
        require(self.clips or layout is ClipsLayout.REDS, f"--clips_layout {layout.value}: add --clips")
        septuplets = layout is not ClipsLayout.VIMEO or self.clips == SEPTUPLET
        require(septuplets, f"--clips_layout vimeo: its loaders read {SEPTUPLET} frames: --clips {SEPTUPLET}")
        require(self.per_shot >= 1, "--per_shot must be 1 or more")
        require(self.every is None or 0 < self.every < math.inf, "--every must be more than 0 seconds")
        require(self.end is None or self.end > self.start, "--to must be later than --from")


@dataclass(frozen=True)
class RunSettings:
    """Where and how the job is done. A run that goes on with --resume may have others: the same pairs come of it."""

    dest: Path | None = None
    dry: bool = False
    debug: bool = False
    report: bool = False
    meta_info: bool = False
    hf: bool = False
    lmdb: bool = False
    overwrite: bool = False
    resume: bool = False
    follow_dest_links: bool = False
    save: Path | None = None
    jobs: int = 1
    memory: int | None = None
    scheduler: str | None = None
    index_memory: int | None = None

    @property
    def unlinked_dest(self) -> Path | None:
        """DEST, if no link below it is to be followed, else None."""
        return None if self.follow_dest_links else self.dest

    def __post_init__(self) -> None:
        require(self.dest is not None or self.dry, "--dest is missing: where to write (or --dry to write nothing)")
        require(self.dest is not None or not self.report, "--report is kept in DEST: add --dest")
        for name, is_set in (("meta_info", self.meta_info), ("hf", self.hf), ("lmdb", self.lmdb)):
            require(not (is_set and self.dry), f"--{name} is made of what was written: not with --dry")
        require(not (self.resume and self.dry), "--resume goes on with what was written: not with --dry")
        require(self.jobs >= 1, "--jobs must be 1 or more workers")
        require(not (self.scheduler and self.debug), "--debug shows the pairs of this machine: not with --scheduler")
        require(self.index_memory is None or self.index_memory > 0, "--index_memory must be above 0")
        alone = self.index_memory is None or self.scheduler is not None
        require(alone, "--index_memory is of the workers of a cluster: add --scheduler")


@dataclass(frozen=True)
class Options:
    """All options, by the stage that uses them; README's option table has what each means."""

    lr: Path
    hr: Path
    read: ReadSettings = ReadSettings()
    propose: ProposeSettings = ProposeSettings()
    pair: PairSettings = PairSettings()
    select: SelectSettings = SelectSettings()
    write: WriteSettings = WriteSettings()
    video: VideoSettings = VideoSettings()
    run: RunSettings = RunSettings(dry=True)

    def __post_init__(self) -> None:
        lists_nothing = self.run.meta_info and self.write.output is Output.LR
        require(not lists_nothing, "--meta_info lists HRs: not with --output lr")
        require(not self.run.hf or self.write.output is Output.ALL, "--hf lists both files of a pair: --output all")
        keyed = self.write.names is NameCharacters.SAFE
        require(not self.run.lmdb or keyed, "--lmdb: its keys end at dots: add --names safe, which --for sets")
        unlike = self.write.filename is Naming.KEEP and self.write.output is Output.ALL
        require(not (self.run.lmdb and unlike), "--lmdb pairs files by their names: not with --filename keep")
        profile_in_tiff = self.read.keep_icc and self.write.format in (Format.TIF, Format.TIFF)
        require(not profile_in_tiff, "--keep_icc: no profile is written into TIFF; --format png, webp and jpg hold it")
        if self.write.tile:
            _require_tiles(self.write.tile, self.pair.framing)
        if self.video.clips:
            self._require_clips()

    def _require_clips(self) -> None:
        """Raise UsageError if clips can't be written so."""
        write, run, partial = self.write, self.run, self.pair.framing.partial
        require(write.format is Format.PNG, "--clips writes PNG, as its loaders read no other files: --format png")
        for flag, given in {
            "tile": write.tile, "prefix": write.prefix, "suffix": write.suffix, "meta_info": run.meta_info,
            "hf": run.hf, "lmdb": run.lmdb, "all_matches": self.select.all_matches,
        }.items():  # fmt: skip
            require(not given, f"--clips: what is written goes by --clips_layout: not with --{flag}")
        require(not partial.keeps_all, f"--clips leaves out what differs: not with --partial {partial.value}")


def _require_tiles(tile: Tiling, framing: Framing) -> None:
    """Raise UsageError if pairs that are framed so can't be cut into tiles."""
    scale, least = framing.scale, framing.min_size
    require(scale.denominator == 1, f"--tile: both sides are cut at whole pixels, not with --scale {float(scale):g}")
    multiples = not any(number % scale for number in tile.numbers)
    require(multiples, f"--tile: SIZE and STEP are HR pixels, multiples of --scale {scale}")
    makes = f"--tile {tile.size} makes LRs of {tile.size // scale} pixels"
    require(tile.size >= least * scale, f"{makes}, less than --min_size {least}, or what --for needs: {least * scale}")
    partial = framing.partial
    require(not partial.keeps_all, f"--tile leaves out what differs: not with --partial {partial.value}, but with cut")


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse_scale(text: str) -> Fraction:
    """Return a scale as an exact ratio: '2', '1.5' or '4/3'; ValueError if it is no number."""
    value = Fraction(text) if "/" in text else float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return Fraction(value).limit_denominator(SCALE_DENOMINATOR)


def plain_settings(settings: Any) -> dict[str, Any]:
    """Return every option in settings, and in the settings they hold, as JSON knows it, by name."""
    plain: dict[str, Any] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        plain |= (
            plain_settings(value)
            if is_dataclass(value) and not isinstance(value, Crop | Tiling)
            else {field.name: _plain(value)}
        )
    return plain


def _plain(value: Any) -> Any:
    match value:
        case Path():
            return str(value.absolute())
        case Enum():
            return value.value
        case tuple():
            return [_plain(one) for one in value]
        case Fraction():
            return value.numerator if value.denominator == 1 else float(value)
        case Crop() | Tiling():
            return value.numbers
    return value
