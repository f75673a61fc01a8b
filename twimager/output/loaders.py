"""What the data sets of trainers take, by their own code, and what they silently misread."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from twimager.errors import UsageError
from twimager.options import Alpha, Format, Loader, Naming, Options


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
    """

    name: str
    formats: frozenset[Format] = frozenset(Format)
    lr_patch: int = 1
    hr_patch: int = 1
    has_16_bit: bool = True
    applies_profile: bool = False

    def smallest_lr(self, scale: Fraction) -> int:
        """Return the least side of an LR, in pixels, of which a patch can be cut."""
        return max(self.lr_patch, math.ceil(self.hr_patch / scale))


# By the code of BasicSR 8d56e3a (data/paired_image_dataset.py, utils/img_util.py), Real-ESRGAN a4abfb2
# (data/realesrgan_paired_dataset.py), traiNNer-redux 6862931 (data/paired_image_dataset.py, utils/img_util.py), neosr
# 31c7022 (data/data_util.py: its extensions), KAIR fc1732f (utils/utils_image.py: its extensions, the division by 255)
# and Hugging Face datasets 5.2 (packaged_modules/imagefolder); patches by the configurations that come with them.
RULES = {
    Loader.BASICSR: Rules("BasicSR", lr_patch=32),
    Loader.REALESRGAN: Rules("Real-ESRGAN", lr_patch=64),
    Loader.TRAINNER: Rules("traiNNer-redux", lr_patch=64, applies_profile=True),
    Loader.NEOSR: Rules("neosr", frozenset({Format.PNG, Format.WEBP, Format.JPG}), lr_patch=64),
    Loader.KAIR: Rules("KAIR", frozenset({Format.PNG, Format.JPG, Format.TIF}), hr_patch=96, has_16_bit=False),
    Loader.HF: Rules("Hugging Face datasets"),
}


def smallest_lr(loaders: Sequence[Loader], scale: Fraction) -> int:
    """Return the least side of an LR, in pixels, that all of these loaders can cut a patch of."""
    return max((RULES[loader].smallest_lr(scale) for loader in loaders), default=1)


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
    if write.depth == 16 and not rules.has_16_bit:
        yield "divides values of 16 bits by 255: not with --depth 16"
    if options.read.keep_icc and not rules.applies_profile:
        yield "ignores colour profiles: not with --keep_icc"
    if write.alpha is Alpha.KEEP:
        yield "has no transparency, and the colours below it would show: not with --alpha keep"
