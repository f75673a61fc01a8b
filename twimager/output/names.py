"""What the files of a pair are called: flat, unique, the same from run to run."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from twimager.options import UNSAFE, Format, NameCharacters, Naming, Options, Output, Partial
from twimager.output.layout import HR, LR, MASK


class Outputs(NamedTuple):
    """Where the files of a pair go; None for what is not written."""

    lr: Path | None = None
    hr: Path | None = None
    mask: Path | None = None

    @property
    def paths(self) -> set[Path]:
        """All that is written."""
        return {path for path in self if path}

    def tile(self, number: int) -> Outputs:
        """Return where the files of one of the pair's tiles go."""
        return Outputs(*(path and path.with_stem(f"{path.stem}_s{number:03}") for path in self))


NOT_WRITTEN = Outputs()


class Names:
    """What the files of a pair are called: flat, unique, the same from run to run."""

    def __init__(self, options: Options, lrs: Sequence[Path], hrs: Sequence[Path]) -> None:
        """Name all files of both sides, in a pair or not, so that no name depends on what is found."""
        self._options = options
        safe = options.write.names is NameCharacters.SAFE
        # Those alone that are not the file's own.
        self._lr, self._hr = (
            {path: name for path, name in flat_names(paths, folder, safe).items() if name != path.stem}
            for paths, folder in ((lrs, options.lr), (hrs, options.hr))
        )

    def outputs(self, lr: Path, hr: Path, split: str = "") -> Outputs:
        """Return where the files of a pair go, in the folder of its split.

        The mask has the name of the HR, of the LR if that alone is written.
        """
        options, output = self._options, self._options.write.output
        if options.run.dest is None:
            return NOT_WRITTEN
        lr_own, hr_own = self._lr.get(lr, lr.stem), self._hr.get(hr, hr.stem)
        if options.select.all_matches:  # an image may be in several pairs
            lr_own, hr_own = f"{lr_own}__{hr_own}", f"{hr_own}__{lr_own}"
        lr_name = hr_own if options.write.filename is Naming.HR else lr_own
        hr_name = lr_own if options.write.filename is Naming.LR else hr_own
        folder = options.run.dest / split
        masked = options.pair.framing.partial is Partial.MASK
        return Outputs(
            folder / LR / self._file(lr_name) if output is not Output.HR else None,
            folder / HR / self._file(hr_name) if output is not Output.LR else None,
            folder / MASK / self._file(lr_name if output is Output.LR else hr_name, Format.PNG) if masked else None,
        )

    def _file(self, name: str, kind: Format | None = None) -> str:
        write = self._options.write
        return "_".join(filter(None, (write.prefix, name, write.suffix))) + f".{(kind or write.format).value}"


def flat_names(paths: Sequence[Path], folder: Path, safe: bool = False) -> dict[Path, str]:
    """Give every path a name of its own without folders and extension.

    The stem if no two files have the same; else of every file the folders and the stem joined by `_`, so that those of
    a folder stay together. What is not unique then gets its extension, and a number if even that is taken. Letters that
    differ only in case are the same: on many file systems they are.

    Parameters
    ----------
    safe : whether names have A-Z, a-z, 0-9, _ and - alone
    """
    names = {path: path.stem for path in paths}
    if _repeated(names.values()):
        names = {path: "_".join([*path.relative_to(folder).parts[:-1], path.stem]) for path in paths}
    if safe:
        names = {path: _safe(name) for path, name in names.items()}
    repeated = _repeated(names.values())
    taken = {folded(name) for name in names.values()}
    for path in sorted(paths, key=lambda p: p.relative_to(folder).parts):
        if folded(names[path]) in repeated:
            base = name = f"{names[path]}_{path.suffix.lstrip('.')}"
            number = 2
            while folded(name) in taken:
                name, number = f"{base}_{number}", number + 1
            taken.add(folded(name))
            names[path] = name
    return names


def _repeated(names: Iterable[str]) -> set[str]:
    """Return those names, folded, that are there more than once."""
    return {name for name, count in Counter(map(folded, names)).items() if count > 1}


def _safe(name: str) -> str:
    """Return a name in A-Z, a-z, 0-9, _ and -: accents are dropped, what else there is becomes a hyphen."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return UNSAFE.sub("-", plain).strip("-") or "image"


def folded(name: str) -> str:
    """Return what is the same for names that some file systems take for one."""
    return unicodedata.normalize("NFC", name).casefold()
