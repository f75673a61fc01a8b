"""Preprocessing of the pictures that a network takes: the settings, and the flags for them."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from twimager.errors import UsageError

# What VGG, ResNet and most others were trained on ImageNet with: red, green, blue.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Networks take squares of some hundred pixels; a mistyped size would fill the memory.
MAX_SIZE = 4096


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a picture before a network: (pixels x scale - mean) / std.

    Attributes
    ----------
    size : (width, height) that the whole picture is resized to
    scale : of levels of 0 to 255
    mean, std : of each channel, in the network's order
    bgr : whether that is blue, green, red
    """

    size: tuple[int, int] = (224, 224)
    scale: float = 1 / 255
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    bgr: bool = False

    def __post_init__(self) -> None:
        if not all(1 <= side <= MAX_SIZE for side in self.size):
            raise UsageError(f"--model_size must be 1 to {MAX_SIZE} pixels")
        if not all(map(math.isfinite, (self.scale, *self.mean, *self.std))) or self.scale <= 0 or min(self.std) <= 0:
            raise UsageError("--model_scale and --model_std must be above 0, --model_mean numbers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model and what goes with it."""
    group = parser.add_argument_group("a network of your own")
    group.add_argument("--model", type=Path, metavar="NET.onnx", help="compare what this network makes of the pictures")
    group.add_argument(
        "--model_size", type=int, nargs="+", default=[224], metavar="N",
        help="N, or W H: what pictures are resized to (default 224)",
    )  # fmt: skip
    group.add_argument("--model_scale", type=float, default=1 / 255, metavar="F", help="of levels (default 1/255)")
    for name, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
        shown = " ".join(map(str, default))
        group.add_argument(
            f"--model_{name}", type=float, nargs=3, default=default, metavar="F",
            help=f"of each channel, after scaling (default ImageNet's, {shown})",
        )  # fmt: skip
    group.add_argument("--model_bgr", action="store_true", help="blue comes first; default: red")


def preprocessing(values: argparse.Namespace) -> Preprocessing:
    """Return the preprocessing of parsed flags; raises UsageError."""
    sizes = values.model_size
    if len(sizes) > 2:
        raise UsageError("--model_size takes one or two numbers")
    return Preprocessing(
        (sizes[0], sizes[-1]), values.model_scale, tuple(values.model_mean), tuple(values.model_std), values.model_bgr
    )
