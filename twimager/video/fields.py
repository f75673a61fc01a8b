"""Frames made of two fields of different moments: whether a video has such, and how they are made whole again."""

from __future__ import annotations

from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from twimager.options import Deinterlace
from twimager.video.container import luma

if TYPE_CHECKING:
    from av import VideoFrame

    from twimager.video.signatures import Signatures

# FFmpeg's filters, each of which gives a frame for a frame. What telecine has made is put together of fields again, and
# what stays combed, as at cuts, is deinterlaced.
BWDIF = (("bwdif", "mode=send_frame:parity=auto:deint=all"),)
FIELDMATCH = (
    ("fieldmatch", "order=auto:mode=pc_n:combmatch=full"),
    ("bwdif", "mode=send_frame:parity=auto:deint=interlaced"),
)
# Frames before and after one that both filters, one after the other, look at.
NEIGHBOURS = 2
# A frame is combed if this share of its blocks is. It moves if it differs from the one before by so many levels.
COMBED, MOVES = 0.02, 1.0
# Of five frames in a row telecine (2:3 pull-down) combs two; of true fields all are combed. A video has such if this
# share of what moves in it is combed: of films of pans, from 240 x 160 pixels on, 0.17 of telecined ones, 0.6 of those
# of fields, and nothing of progressive ones, of which 0.013 are where the height is 144.
CYCLE, MAX_OF_TELECINE, LEAST = 5, 3, 0.03


class Interlacing(str, Enum):
    """What the frames of a video are made of: moments, film telecined to fields, or fields of their own moments."""

    PROGRESSIVE = "progressive"
    TELECINED = "telecined"
    FIELDS = "fields"


Filters = tuple[tuple[str, str], ...]


def filters(deinterlace: Deinterlace, interlacing: Interlacing) -> Filters:
    """Return FFmpeg's filters, names and options, that make fields frames; none if nothing is to be done."""
    measured = {Interlacing.PROGRESSIVE: (), Interlacing.TELECINED: FIELDMATCH, Interlacing.FIELDS: BWDIF}
    chosen = {Deinterlace.OFF: (), Deinterlace.BWDIF: BWDIF, Deinterlace.FIELDMATCH: FIELDMATCH}
    return chosen.get(deinterlace, measured[interlacing])


def deinterlaced(frames: list[VideoFrame], at: int, steps: Filters) -> VideoFrame:
    """Return one of some frames, made whole.

    Parameters
    ----------
    frames : in a row, NEIGHBOURS before and after the one, as far as there are any
    at : index of the one
    steps : FFmpeg's filters
    """
    from av.filter import Graph

    first, graph = frames[0], Graph()
    nodes = [graph.add_buffer(width=first.width, height=first.height, format=first.format.name, time_base=Fraction(1))]
    nodes += [graph.add(*step) for step in steps]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    for frame in frames:
        graph.push(frame)
    graph.push(None)
    for _ in range(at):
        graph.pull()
    return graph.pull()


def kept_field(frame: VideoFrame) -> int:
    """Return the first line, 0 or 1, of the field of a frame that deinterlacing keeps: the one that was shown first."""
    blank = type(frame)(frame.width, frame.height, frame.format.name)  # unlike it, or nothing would be interpolated
    for plane in blank.planes:
        plane.update(bytes(plane.buffer_size))
    before, after = luma(frame), luma(deinterlaced([blank, frame, blank], 1, BWDIF))
    return int((before[1::2] == after[1::2]).mean() > (before[::2] == after[::2]).mean())


def interlacing(signatures: Signatures) -> Interlacing:
    """Return what the frames of a video are made of, by how many of those that move are combed."""
    combed, moves = signatures.combing > COMBED, signatures.difference > MOVES
    if not moves.any() or combed[moves].mean() < LEAST:
        return Interlacing.PROGRESSIVE
    inside = np.ones(CYCLE, int)
    in_a_row = np.convolve(combed, inside, "valid")[np.convolve(moves, inside, "valid") == CYCLE]
    some = in_a_row[in_a_row > 0]
    telecined = len(some) > 0 and (some <= MAX_OF_TELECINE).mean() > 0.5
    return Interlacing.TELECINED if telecined else Interlacing.FIELDS
