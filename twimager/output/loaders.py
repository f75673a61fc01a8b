"""What the data sets of trainers take, by their own code, and what they silently misread."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path

from twimager.errors import UsageError
from twimager.image.traits import Trait
from twimager.options import Alpha, Format, Loader, Naming, Options


class Partner(Enum):
    """By what a loader knows which LR belongs to an HR; the value is how that is called."""

    NAME = "the name, extension and all"
    STEM = "the name"
    ORDER = "the place in the sorted list"
    LIST = "a list"


# What OpenCV's 8-bit colours lack: profiles and transparency are ignored, CMYK and CIELAB are off by many levels.
OF_OPENCV = frozenset({Trait.CMYK, Trait.LAB, Trait.TRANSPARENT, Trait.PROFILE})


@dataclass(frozen=True)
class Rules:
    """What the loader of a trainer takes.

    Attributes
    ----------
    name : of the trainer
    formats : in which it finds images
    lr_patch, hr_patch : the side, in pixels, of the patches that its configurations train on, by which side they name
    has_16_bit : whether values of 16 bits are divided by what is their white
    applies_profile : whether colour profiles are applied, on both sides
    misreads : files that it sees otherwise than others do, or stops at
    suffixes : of the files that it finds; None: all files are images to it
    partner : how it pairs files
    """

    name: str
    formats: frozenset[Format] = frozenset(Format)
    lr_patch: int = 1
    hr_patch: int = 1
    has_16_bit: bool = True
    applies_profile: bool = False
    misreads: frozenset[Trait] = OF_OPENCV
    suffixes: frozenset[str] | None = None
    partner: Partner = Partner.NAME

    def smallest_lr(self, scale: Fraction) -> int:
        """Return the least side of an LR, in pixels, of which a patch can be cut."""
        return max(self.lr_patch, math.ceil(self.hr_patch / scale))


# By the code of BasicSR 8d56e3a (data/paired_image_dataset.py, data/data_util.py, utils/img_util.py), Real-ESRGAN
# a4abfb2 (data/realesrgan_paired_dataset.py), traiNNer-redux 6862931 (data/paired_image_dataset.py, data/data_util.py,
# utils/img_util.py), neosr 31c7022 (data/data_util.py: its extensions), KAIR fc1732f (utils/utils_image.py: its
# extensions, the division by 255, IMREAD_UNCHANGED; data/dataset_sr.py) and Hugging Face datasets 5.2
# (packaged_modules/imagefolder, features/image.py: pixels as Pillow opens them); patches by the configurations that
# come with them.
RULES = {
    Loader.BASICSR: Rules("BasicSR", lr_patch=32),
    Loader.REALESRGAN: Rules("Real-ESRGAN", lr_patch=64),
    Loader.TRAINNER: Rules(
        "traiNNer-redux", lr_patch=64, applies_profile=True, partner=Partner.STEM,
        misreads=frozenset({Trait.CMYK, Trait.LAB, Trait.TRANSPARENT, Trait.TURNED}),
    ),
    Loader.NEOSR: Rules(
        "neosr", frozenset({Format.PNG, Format.WEBP, Format.JPG}), lr_patch=64,
        suffixes=frozenset({".jpg", ".jpeg", ".png", ".webp"}),
    ),
    Loader.KAIR: Rules(
        "KAIR", frozenset({Format.PNG, Format.JPG, Format.TIF}), hr_patch=96, has_16_bit=False,
        misreads=OF_OPENCV | {Trait.DEEP, Trait.TURNED}, partner=Partner.ORDER,
        suffixes=frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif"}),
    ),
    Loader.HF: Rules(
        "Hugging Face datasets", partner=Partner.LIST,
        misreads=frozenset({Trait.CMYK, Trait.LAB, Trait.PALETTE, Trait.GRAY, Trait.ALPHA, Trait.PROFILE}),
    ),
}  # fmt: skip


def smallest_lr(loaders: Sequence[Loader], scale: Fraction) -> int:
    """Return the least side of an LR, in pixels, that all of these loaders can cut a patch of."""
    return max((RULES[loader].smallest_lr(scale) for loader in loaders), default=1)


def unread(loader: Loader, path: Path, traits: frozenset[Trait]) -> Iterator[str]:
    """Yield what a loader misreads in a file, or that it does not find it, in a few words each."""
    rules = RULES[loader]
    yield from sorted(trait.value for trait in traits & rules.misreads)
    if rules.suffixes is not None and path.suffix.lower() not in rules.suffixes:
        yield f"{path.suffix or 'a name without an extension'} is not looked for"


def finds_partner(loader: Loader, lr: Path, hr: Path) -> bool:
    """Tell whether a loader takes two files of one stem for a pair, where all files have a partner."""
    return RULES[loader].partner is not Partner.NAME or lr.name == hr.name


def require_loadable(options: Options) -> None:
    """Raise UsageError, with the reason, if what is to be written is not for one of the loaders of `--for`."""
    for loader in options.write.loaders:
        for flaw in _flaws(RULES[loader], options):
            raise UsageError(f"--for {loader.value}: {RULES[loader].name} {flaw}")


def _flaws(rules: Rules, options: Options) -> Iterator[str]:
    write, scale = options.write, options.pair.framing.scale
    if scale.denominator > 1:
        yield f"takes whole scales only, not --scale {float(scale):g}"
    if write.format not in rules.formats:
        found = " or ".join(kind.value for kind in Format if kind in rules.formats)
        yield f"finds no .{write.format.value} files: --format {found}"
    if write.filename is Naming.KEEP:
        yield "pairs files by their names: not with --filename keep"
    if write.bits != 8 and not rules.has_16_bit:
        yield f"divides values of 16 bits by 255: not with --depth {write.depth or 'source'}"
    if options.read.keep_icc and not rules.applies_profile:
        yield "ignores colour profiles: not with --keep_icc"
    if write.alpha is Alpha.KEEP:
        yield "has no transparency, and the colours below it would show: not with --alpha keep"
