"""The flags of the main job, in groups by what a user does with them."""

from __future__ import annotations

import argparse
import math
from enum import Enum
from fractions import Fraction
from pathlib import Path

from twimager.cli.common import add_jobs, add_max_pixels, add_memory, add_save, size_in_bytes
from twimager.cli.presets import CONFIG, PRESETS, spelled_out
from twimager.errors import UsageError, require
from twimager.options import (
    MIN_DETAIL,
    Alpha,
    Border,
    ClipsLayout,
    ColorTransfer,
    Deinterlace,
    Format,
    Hdr,
    Loader,
    Method,
    NameCharacters,
    Naming,
    Output,
    Partial,
    Search,
    Steady,
    Truncated,
    VideoSettings,
    parse_scale,
)
from twimager.version import __version__

# Of --depth: as the sources have; of --for: all loaders.
SOURCE, ALL = "source", "all"


def add_groups(parser: argparse.ArgumentParser) -> None:
    """Add all flags of the main job."""
    adders = {
        "folders": _add_folders, "find": _add_find, "align": _add_align, "accept": _add_accept, "frame": _add_frame,
        "write": _add_write, "videos": _add_videos, "run": _add_run,
    }  # fmt: skip
    for title, add in adders.items():
        add(parser.add_argument_group(title))


def add_for(group: argparse._ActionsContainer, what: str) -> None:
    """Add --for, `what` being its help."""
    group.add_argument("--for", dest="loaders", type=_loaders, nargs="+", metavar="LOADER", help=what)


def _add_folders(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--lr", type=Path, metavar="DIR", required=True, help="the reference images, or a video")
    group.add_argument("--hr", type=Path, metavar="DIR", required=True, help="the target images, or a video")
    group.add_argument(
        "--dest", type=Path, metavar="DIR", help="where to write; made if missing, not needed with --dry"
    )
    group.add_argument("--recursive", action="store_true", help="look into the folders inside LR and HR too")


def _add_find(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--search",
        choices=_values(Search),
        default=Search.AUTO.value,
        help="propose pairs that show the same frame, then by their features, and by their hashes where those bring "
        "nothing (auto, the default), or by features or hashes alone; or pairs of files of the same name (names)",
    )
    group.add_argument(
        "--distance",
        type=int,
        default=12,
        metavar="N",
        help="bits, 0 to 64, in which the 64-bit hashes of a pair may differ (default 12)",
    )
    group.add_argument("--no_mirror", action="store_true", help="do not look for mirrored pairs")
    group.add_argument(
        "--no_negative", action="store_true", help="do not look for pairs of which one is the negative of the other"
    )
    group.add_argument(
        "--truncated",
        choices=_values(Truncated),
        default=Truncated.REFUSE.value,
        help="images that are cut short are unreadable (refuse, the default), or their complete rows are used (keep), "
        "of baseline JPEG, PNG that is not interlaced and TIFF in strips",
    )
    for side in ("lr", "hr"):
        group.add_argument(
            f"--{side}_mask",
            type=Path,
            metavar="FILE",
            help=f"an image of the size of the {side.upper()}s, such as overlay makes: what is black in it is left out "
            "of them, white is picture",
        )
    group.add_argument(
        "--all_matches",
        action="store_true",
        help="write every pair that passes, however often an image is in one",
    )


def _add_align(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--method",
        choices=_values(Method),
        default=Method.TRANSFORM.value,
        help="align by an affine (transform, the default) or perspective (warp) transform, by that and a smooth "
        "displacement where it explains more (flow; or auto, as no pair gets more than it certainly needs)",
    )


def _add_accept(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--threshold",
        type=float,
        default=90.0,
        metavar="N",
        help="percent, 25 to 100, of the 256-bit hashes of the aligned pair that must agree (default 90)",
    )
    group.add_argument(
        "--min_overlap",
        type=float,
        default=0.3,
        metavar="F",
        help="share of the LR frame that the HR must cover (default 0.3)",
    )
    group.add_argument(
        "--max_error",
        type=float,
        metavar="PX",
        help="LR pixels that the aligned pair may be shifted by, over the median tile (default: 2 pixels of a copy "
        "with a shorter side of 320)",
    )
    group.add_argument(
        "--max_difference",
        type=float,
        default=0.006,
        metavar="F",
        help="share of the LR, in one place, that may lack what the HR shows (default 0.006); see --partial",
    )
    group.add_argument(
        "--partial",
        choices=_values(Partial),
        default=Partial.NONE.value,
        help="reject pairs of which a part shows something else (none, the default), cut them to the largest rectangle "
        "that agrees (cut), write DEST/MASK/name.png with each pair, white where both agree (mask), or make both black "
        "where they differ (black)",
    )
    group.add_argument(
        "--keep_combed",
        action="store_true",
        help="pair LRs of two moments, too: interlaced frames left as they are, and frames blended of two HRs",
    )
    group.add_argument(
        "--max_color_distance",
        type=float,
        metavar="DE",
        help="reject pairs whose colours, averaged locally, differ by more than this mean CIE Delta E, exposure and "
        "white balance fitted: 8 keeps faded copies with colour casts and rejects what is recoloured",
    )
    group.add_argument(
        "--min_native_scale",
        type=float,
        metavar="F",
        help="HR source pixels that hold detail, along a side, that each output pixel must come from: 1 rejects "
        "what is enlarged, here or before",
    )
    group.add_argument(
        "--min_size",
        type=int,
        metavar="N",
        help="reject pairs of which less than N LR pixels along a side are written (default: 1, or what a patch of "
        "--for needs)",
    )


def _add_frame(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--scale",
        type=_scale,
        default=parse_scale("2"),
        metavar="F",
        help="size of the HR output in LR sizes, fractions allowed (default 2)",
    )
    group.add_argument(
        "--border",
        choices=_values(Border),
        default=Border.CROP.value,
        help="cut both images to what the HR covers (crop, the default), or keep the LR's frame, black outside (keep)",
    )
    group.add_argument(
        "--crop",
        type=int,
        nargs="+",
        metavar="N",
        help="then cut, in LR pixels: N off every side; W H from the centre; X Y W H from X right, Y down",
    )
    group.add_argument(
        "--tile",
        type=int,
        nargs="+",
        metavar=("SIZE", "STEP"),
        help="write tiles instead, name_s001 and on: squares of SIZE HR pixels, STEP apart (default: SIZE), both sides "
        "of the same place, of those that agree, are covered and have something to see",
    )
    group.add_argument(
        "--min_detail",
        type=float,
        default=MIN_DETAIL,
        metavar="F",
        help="of --tile: levels of 255 by which neighbouring pixels of an LR tile differ at least, in the mean; "
        f"0 takes all (default {MIN_DETAIL:g}, which leaves out black and the smoothest skies)",
    )


def _add_videos(group: argparse._ArgumentGroup) -> None:
    defaults = VideoSettings()
    group.add_argument(
        "--frames", type=int, default=defaults.frames, metavar="N", help="take N LR frames at most (default 1000)"
    )
    group.add_argument(
        "--per_shot",
        type=int,
        default=defaults.per_shot,
        metavar="K",
        help="of every shot take the K sharpest that differ (default 2)",
    )
    group.add_argument(
        "--every", type=float, metavar="SECONDS", help="instead take the sharpest frame of every so many seconds"
    )
    group.add_argument(
        "--from",
        dest="start",
        type=_seconds,
        default=0.0,
        metavar="H:MM:SS",
        help="of the LR video, or the one that has the stills,",
    )
    group.add_argument("--to", dest="end", type=_seconds, metavar="H:MM:SS", help="take frames of this part only")
    group.add_argument(
        "--deinterlace",
        choices=_values(Deinterlace),
        default=Deinterlace.AUTO.value,
        help="make combed frames whole: as is measured (auto, the default), never (off), or by this filter",
    )
    group.add_argument(
        "--hdr",
        choices=_values(Hdr),
        default=Hdr.SDR.value,
        help="tone-map a high dynamic range (sdr, the default), or leave its values as they are (keep)",
    )
    group.add_argument(
        "--steady",
        choices=_values(Steady),
        default=defaults.steady.value,
        help="where the geometry is the same all through, align pairs by the transform that they have in common (auto, "
        "the default), all that pass the gates so, however they differ (film), or each by its own (off)",
    )
    group.add_argument(
        "--clips",
        type=int,
        metavar="N",
        help="write clips instead: around each pair N frames in a row of both videos, the HR ones all by its transform",
    )
    group.add_argument(
        "--clips_layout",
        choices=_values(ClipsLayout),
        default=defaults.clips_layout.value,
        help="how they are called: 000/00000000.png (reds, the default), 00001/0001/im1.png (vimeo), both with a list, "
        "or 00000_00000000.png (trainner)",
    )
    group.add_argument("--keep_frames", action="store_true", help="keep the frames, in DEST/.twimager/frames")


def _add_write(group: argparse._ArgumentGroup) -> None:
    add_for(
        group,
        "write what these load as it is: basicsr, realesrgan, trainner, neosr, kair, hf, or all of them; sets "
        "--depth 8, --names safe and --min_size to their patches, keeps no transparency, and refuses what they misread",
    )
    group.add_argument(
        "--output",
        choices=_values(Output),
        default=Output.ALL.value,
        help="both sides, in DEST/LR and DEST/HR (all, the default), or one of them",
    )
    group.add_argument(
        "--filename",
        choices=_values(Naming),
        default=Naming.HR.value,
        help="name both files of a pair after its HR (the default), its LR, or each after its own source (keep)",
    )
    group.add_argument(
        "--format",
        choices=_values(Format),
        default=Format.PNG.value,
        help="write png (the default) or tiff (also called tif), of 8 or 16 bit, lossless webp, or jpg; the last two "
        "have 8 bit only",
    )
    group.add_argument(
        "--depth",
        choices=("8", "16", SOURCE),
        help="write values of so many bits on both sides, white as their greatest; or as many as the deeper source "
        "has, of which 10 or 12 may be in use (source, the default)",
    )
    group.add_argument(
        "--color_transfer",
        nargs="?",
        choices=_values(ColorTransfer),
        const=ColorTransfer.PLAIN.value,
        help="give the HR the colours of the LR: each channel's mean and deviation (plain, what the flag alone means), "
        "the same in CIELAB (lab), or its whole histogram",
    )
    group.add_argument(
        "--keep_icc", action="store_true", help="leave the colours of an HR with a colour profile as they are stored"
    )
    group.add_argument(
        "--alpha",
        choices=_values(Alpha),
        default=Alpha.AUTO.value,
        help="of transparent images: keep it if both have any and the format has, else lay both on what the opaque one "
        "shows there (auto, the default); drop it and write the colours below, keep it, or lay both on white or black",
    )
    group.add_argument(
        "--names",
        choices=_values(NameCharacters),
        help="names as the sources have them (keep, the default), or of A-Z, a-z, 0-9, _ and - alone, as lists and "
        "databases need (safe)",
    )
    group.add_argument("--prefix", default="", metavar="P", help="P_name")
    group.add_argument("--suffix", default="", metavar="S", help="name_S")
    group.add_argument("--quality", type=int, default=95, metavar="N", help="of jpg, 1 to 100 (default 95)")
    group.add_argument(
        "--split",
        type=float,
        metavar="F",
        help="put so much of the pairs, as 0.9, into DEST/train and the rest into DEST/val, each with an LR and an HR; "
        "pairs that share content stay together",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of --split: which go where (default 0)")
    group.add_argument(
        "--meta_info",
        action="store_true",
        help="list what was written in DEST/meta_info.txt, as BasicSR does: name.png (height,width,channels); and in "
        "meta_info_pair.txt, as Real-ESRGAN's paired data set does: HR/name.png, LR/name.png",
    )
    group.add_argument(
        "--hf",
        action="store_true",
        help="list the pairs in DEST/metadata.jsonl, so that Hugging Face datasets load DEST as an imagefolder with an "
        "lr and an hr a row",
    )
    group.add_argument(
        "--lmdb",
        action="store_true",
        help="put the files into databases, too, DEST/LR.lmdb and DEST/HR.lmdb, by their names, as BasicSR does; needs "
        "--names safe",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="write into a DEST that is not empty: replaces files of the same names, deletes none",
    )
    group.add_argument(
        "--follow_dest_links",
        action="store_true",
        help="write through links in DEST, as where LR or HR is a link to another disk; DEST itself may always be one",
    )


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--preset",
        choices=list(PRESETS),
        help=f"options for a kind of pictures, {spelled_out()}; others win over them",
    )
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"a TOML file of options, scale = 4 for --scale 4, true for flags; those given here win over it. "
        f"{CONFIG} beside DEST is read without being named",
    )
    group.add_argument("--dry", action="store_true", help="do all but write images")
    group.add_argument(
        "--report",
        action="store_true",
        help="keep a report of every decision in DEST: report.json, report.html to look at, and pairs.csv",
    )
    group.add_argument("--limit", type=int, metavar="N", help="stop after N pairs")
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run into DEST that was stopped: the same folders and options, nothing done twice",
    )
    add_save(group, "what is found out of each image and pair", "DEST")
    group.add_argument(
        "--debug",
        action="store_true",
        help="show each pair in a window: esc aborts, n or del skips, other keys accept",
    )
    add_max_pixels(group)
    add_jobs(group)
    add_memory(group)
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="have the workers of a Dask cluster read, evaluate, render and write: those of the scheduler at "
        "tcp://HOST:8786, of a scheduler file (.json), of Dask's own configuration (config), or one on this machine "
        "(local)",
    )
    group.add_argument(
        "--index_memory",
        type=size_in_bytes,
        metavar="SIZE",
        help="with --scheduler: the memory that the index of features may take in the process of each thread of a "
        "worker, as 800M or 4G; an index that takes more is searched in several passes (default: a quarter of the "
        "worker's memory, shared by its threads)",
    )
    group.add_argument("--json", action="store_true", help="print the summary as JSON, also with --quiet")
    group.add_argument(
        "--log", type=Path, metavar="FILE", help="append all messages to FILE, with times and levels, also with --quiet"
    )
    group.add_argument("--quiet", action="store_true", help="no progress, no summary: problems only")
    group.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="a line on each pair, and on each LR that is left: the HR that came closest, and which number fails "
        "which limit; -vv also has each candidate that was rejected, and how long each stage took",
    )
    group.add_argument("--version", action="version", version=f"twimager {__version__}", help="print the version")
    group.add_argument("-h", "--help", action="help", help="print this help")


def _seconds(text: str) -> float:
    """Return a time, as 1:02:03.5, 2:03 or 123, in seconds, for argparse."""
    seconds = 0.0
    try:
        for part in text.split(":"):
            value = float(part)
            require(0 <= value < math.inf, text)
            seconds = 60 * seconds + value
    except (ValueError, UsageError) as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; it is given as 1:02:03.5, 2:03 or 123") from error
    return seconds


def _values(kind: type[Enum]) -> list[str]:
    return [member.value for member in kind]


def _loaders(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in (ALL, *_values(Loader)):
            raise argparse.ArgumentTypeError(f"'{name}' is none of {', '.join(_values(Loader))} and {ALL}")
    return names


def _scale(text: str) -> Fraction:
    try:
        return parse_scale(text)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no number") from error
