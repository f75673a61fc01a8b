"""`twimager.py formats`: which formats are read here, and what has to be installed for the others."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import TYPE_CHECKING

from twimager.cli.common import run_group
from twimager.errors import ExitCode

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption

SUMMARY = """\
List the formats of images: which are read here, and what has to be installed
for the others.
"""
USAGE = ""
EXAMPLE = "formats"
ALWAYS = "PNG, JPEG, WebP, TIFF, AVIF, GIF, BMP, JPEG 2000, PNM, PAM, Sun raster"
NEVER = "32-bit float (OpenEXR, Radiance HDR, PFM, TIFF), 32-bit integers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `formats`: --help alone."""
    run_group(parser)


def run(_: argparse.Namespace, __: Interruption) -> ExitCode:
    """Print the formats."""
    from twimager.image.codecs import CAMERA_RAW, HEIF, JPEG_XL
    from twimager.runtime.console import say

    extras = {"HEIF, HEIC": HEIF, "JPEG XL": JPEG_XL, "camera raw (DNG, NEF, CR2, ...)": CAMERA_RAW}
    lines = [f"{ALWAYS}: read"]
    for name, codec in extras.items():
        lines.append(f"{name}: " + (f"pip install {' '.join(codec.missing)}" if codec.missing else "read"))
    videos = "read, in pairs of videos" if find_spec("av") else 'pip install "av>=15"'
    lines.append(f"videos (all that FFmpeg decodes): {videos}")
    say("\n".join([*lines, f"{NEVER}: not read; convert them to 16-bit PNG"]))
    return ExitCode.DONE
