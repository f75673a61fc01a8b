"""The clips that pairs are written as: what their frames are called, and their files, made one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from twimager.options import ClipsLayout, Options
from twimager.output.layout import HR, LR, sides
from twimager.output.names import Outputs
from twimager.output.render import encoded_hr, render_lr
from twimager.pairs import Clip, ClipFrame, VerifiedPair


class WrittenFrame(NamedTuple):
    """A frame of a clip, and where its files go."""

    frame: ClipFrame
    outputs: Outputs


def frames_of(pair: VerifiedPair, options: Options) -> list[WrittenFrame]:
    """Return all frames of a pair's clip, none without `--clips`."""
    clip, dest = pair.clip, options.run.dest
    if not clip:
        return []
    folder = dest and dest / (pair.part.split if pair.part else "")
    written = sides(options.write.output)
    found = []
    for number, frame in enumerate(clip.frames):
        name = frame_name(clip, number, options.video.clips_layout)
        lr, hr = (folder / side / name if folder and side in written else None for side in (LR, HR))
        found.append(WrittenFrame(frame, Outputs(lr, hr)))
    return found


def frame_name(clip: Clip, number: int, layout: ClipsLayout) -> str:
    """Return what a frame of a clip, from 0, is called in the folder of its side.

    Examples
    --------
    >>> from twimager.options import ClipsLayout
    >>> from twimager.output.clips import frame_name
    >>> from twimager.pairs import Clip
    >>> [frame_name(Clip((), number=7, video=1, of_video=8), 3, layout) for layout in ClipsLayout]
    ['007/00000003.png', '00001/0008/im4.png', '00007_00000003.png']
    """
    match layout:
        case ClipsLayout.REDS:
            return f"{clip.number:03}/{number:08}.png"
        case ClipsLayout.VIMEO:
            return f"{clip.video:05}/{clip.of_video:04}/im{number + 1}.png"
        case ClipsLayout.TRAINNER:
            return f"{clip.number:05}_{number:08}.png"


class ClipFiles(Mapping[Path, bytes]):
    """The files of a clip, each made when it is looked up, so that one at a time is in memory.

    All HRs are made by the transform, the window and the colours of the pair.
    """

    def __init__(
        self,
        pair: VerifiedPair,
        frames: Sequence[WrittenFrame],
        options: Options,
        made: Callable[[Path, bytes], None],
    ) -> None:
        """`made` takes each file, and what it holds."""
        self._pair, self._options, self._made = pair, options, made
        self._lrs = {outputs.lr: frame for frame, outputs in frames if outputs.lr}
        self._hrs = {outputs.hr: frame for frame, outputs in frames if outputs.hr}

    def __len__(self) -> int:
        return len(self._lrs) + len(self._hrs)

    def __iter__(self) -> Iterator[Path]:
        yield from (*self._lrs, *self._hrs)

    def __getitem__(self, path: Path) -> bytes:
        write = self._options.write
        if frame := self._lrs.get(path):
            data = render_lr(self._pair.of_frame(frame), write)
        else:
            one = self._pair.of_frame(self._hrs[path])
            data = encoded_hr(one, self._options.pair.framing, write, tones=self._pair)
        self._made(path, data)
        return data
