"""What the files of a pair are called: flat, unique, the same from run to run."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twimager.options import Naming, Options, Output
from twimager.output.layout import HR, LR


class Names:
    """What the files of a pair are called: flat, unique, the same from run to run."""

    def __init__(self, options: Options, lrs: Sequence[Path], hrs: Sequence[Path]) -> None:
        """Name all files of both sides, in a pair or not, so that no name depends on what is found."""
        self._options = options
        self._lr = flat_names(lrs, options.lr)
        self._hr = flat_names(hrs, options.hr)

    def outputs(self, lr: Path, hr: Path) -> tuple[Path | None, Path | None]:
        """Return where the LR and the HR of a pair go; None for a side that is not written."""
        options = self._options
        if options.run.dest is None:
            return None, None
        lr_own, hr_own = self._lr[lr], self._hr[hr]
        if options.select.all_matches:  # an image may be in several pairs
            lr_own, hr_own = f"{lr_own}__{hr_own}", f"{hr_own}__{lr_own}"
        lr_name = hr_own if options.write.filename is Naming.HR else lr_own
        hr_name = lr_own if options.write.filename is Naming.LR else hr_own
        both = options.write.output is Output.ALL
        lr_out = (options.run.dest / LR if both else options.run.dest) / self._file(lr_name)
        hr_out = (options.run.dest / HR if both else options.run.dest) / self._file(hr_name)
        return (
            lr_out if options.write.output is not Output.HR else None,
            hr_out if options.write.output is not Output.LR else None,
        )

    def _file(self, name: str) -> str:
        return (
            "_".join(filter(None, (self._options.write.prefix, name, self._options.write.suffix)))
            + f".{self._options.write.format.value}"
        )


def flat_names(paths: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Give every path a name of its own without folders and extension.

    The stem where no other file has it, else the folders, stem and extension joined by `_`, numbered if even that
    is taken. Letters that differ only in case are the same: on many file systems they are.
    """
    stems = Counter(folded(path.stem) for path in paths)
    names = {path: path.stem for path in paths if stems[folded(path.stem)] == 1}
    taken = {folded(name) for name in names.values()}
    for path in sorted(set(paths) - names.keys(), key=lambda p: p.relative_to(folder).parts):
        *folders, _ = path.relative_to(folder).parts
        base = name = "_".join([*folders, path.stem, path.suffix.lstrip(".")])
        number = 2
        while folded(name) in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(folded(name))
        names[path] = name
    return names


def folded(name: str) -> str:
    """Return what is the same for names that some file systems take for one."""
    return unicodedata.normalize("NFC", name).casefold()
