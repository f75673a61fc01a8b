"""The flags of the main job, and the options that they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from twimager.cli.common import Parser, raw_lines, saved_in, underscored
from twimager.cli.flags import ALL, SOURCE, add_groups
from twimager.options import (
    AlignSettings,
    Alpha,
    Border,
    ClipsLayout,
    ColorTransfer,
    Crop,
    Deinterlace,
    Format,
    Framing,
    Gates,
    Hdr,
    Loader,
    Method,
    NameCharacters,
    Naming,
    Options,
    Output,
    PairSettings,
    Partial,
    ProposeSettings,
    ReadSettings,
    RunSettings,
    Search,
    SelectSettings,
    Steady,
    Tiling,
    Truncated,
    VideoSettings,
    WriteSettings,
)
from twimager.output.loaders import require_loadable, smallest_lr
from twimager.runtime.program import program

USAGE = """\
%(prog)s --lr DIR --hr DIR --dest DIR [options]
       %(prog)s COMMAND [...]"""
DESCRIPTION = """\
Find which HR image shows the same picture as which LR image, whatever their
names, align it to the LR, verify it, and write the pair.

examples:
  %(prog)s --lr dvd --hr bluray --dest pairs
  %(prog)s --lr dvd --hr bluray --dest pairs --scale 4 --report
  %(prog)s --lr dvd --hr bluray --dry --verbose

commands, each with a help of its own (%(prog)s help review):
  %(prog)s review pairs/report.json        look at the pairs, sort out
  %(prog)s gallery pairs/report.json       write report.html anew
  %(prog)s verify pairs                    are the files as written
  %(prog)s check pairs                     is any folder of pairs fit
  %(prog)s search still.jpg --in photos    find a picture in a folder
  %(prog)s serve photos                    the same, from a page
  %(prog)s compare a.png b.jpg             how alike, and why
  %(prog)s cluster photos --dest groups    near-duplicates in groups
  %(prog)s overlay frames --dest layer     the logo that all share
  %(prog)s timeline dvd.mkv bluray.mkv     which part is which
  %(prog)s formats                         which formats are read here
  %(prog)s completion bash                 options at the tab key
"""
EPILOG = """\
exit codes: 0 done, 1 fatal, 2 bad usage, 3 done but some inputs could not be
read or some pairs not compared or written, 4 done but no pair found, 5 not fit
(check), 130 interrupted.
--resume goes on after 1 and 130.
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; raises UsageError."""
    values: argparse.Namespace = parser().parse_args(underscored(arguments))
    return values


def to_options(values: argparse.Namespace) -> Options:
    """Return the job's options; raises UsageError."""
    loaders = named_loaders(values)
    names = values.names or (NameCharacters.SAFE if loaders else NameCharacters.KEEP)
    depth = values.depth or ("8" if loaders else SOURCE)
    options = Options(
        values.lr,
        values.hr,
        ReadSettings(
            values.recursive, values.max_pixels, Truncated(values.truncated), values.keep_icc, values.lr_mask,
            values.hr_mask,
        ),
        ProposeSettings(Search(values.search), values.distance, not values.no_mirror, not values.no_negative),
        PairSettings(
            AlignSettings(Method(values.method)),
            Gates(
                values.threshold, values.min_overlap, values.max_error, values.min_native_scale,
                values.max_color_distance, values.max_difference, values.keep_combed,
            ),
            Framing(
                values.scale, Border(values.border), Crop.from_numbers(values.crop) if values.crop else None,
                Partial(values.partial), values.min_size or smallest_lr(loaders, values.scale),
            ),
        ),
        SelectSettings(values.all_matches, values.limit),
        WriteSettings(
            Output(values.output), ColorTransfer(values.color_transfer) if values.color_transfer else None,
            Naming(values.filename), Format(values.format), values.quality, values.prefix, values.suffix,
            None if depth == SOURCE else int(depth), Alpha(values.alpha), NameCharacters(names), loaders,
            Tiling.from_numbers(values.tile) if values.tile else None, values.min_detail,
            values.split, values.seed,
        ),
        VideoSettings(
            values.frames, values.per_shot, values.every, values.start, values.end, Deinterlace(values.deinterlace),
            Hdr(values.hdr), values.keep_frames, Steady(values.steady), values.clips,
            ClipsLayout(values.clips_layout),
        ),
        RunSettings(
            dest=values.dest, dry=values.dry, debug=values.debug, report=values.report, meta_info=values.meta_info,
            hf=values.hf, lmdb=values.lmdb, overwrite=values.overwrite, resume=values.resume,
            follow_dest_links=values.follow_dest_links, save=saved_in(values, values.dest), jobs=values.jobs,
            memory=values.memory, scheduler=values.scheduler, index_memory=values.index_memory,
        ),
    )  # fmt: skip
    require_loadable(options)
    return options


def named_loaders(values: argparse.Namespace) -> tuple[Loader, ...]:
    """Return the loaders that --for names, in their own order."""
    named = {name for names in values.loaders or () for name in names}
    return tuple(loader for loader in Loader if named & {loader.value, ALL})


def parser() -> Parser:
    """Return the parser of the main job's flags."""
    made = Parser(
        prog=program(),
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=raw_lines,
    )
    add_groups(made)
    return made
