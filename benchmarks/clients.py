"""Load a DEST with the dataset classes of trainers, from checkouts of theirs, and compare that with its files.

    pip install torch torchvision lmdb "pyvips[binary]" datasets matplotlib
    python benchmarks/clients.py DEST CHECKOUTS --scale 2

CHECKOUTS is a folder with BasicSR, Real-ESRGAN, traiNNer-redux, neosr and KAIR in it, as `git clone` names them. Of
each that is there, all pairs are loaded whole and as patches, from the folders, and from the lists and databases that
are there. Every LR must come with its own HR, of F times its size, both with the values of the files; a table of that
is printed, and the exit code is 1 if anything else came.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from copy import deepcopy
from fractions import Fraction
from importlib import import_module
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# The names of both files, and what was loaded of them: (h, w, 3) RGB, 0 to 1.
Loaded = tuple[str, str, NDArray[np.float32], NDArray[np.float32]]
# Patches of this side, in LR pixels, are loaded.
PATCH = 32


class Dest(NamedTuple):
    """Where the pairs are, and how many HR pixels there are per LR pixel along a side."""

    path: Path
    scale: int

    def file(self, path: str, side: str) -> Path:
        """Return the file of what was loaded, be `path` its key in a database."""
        found = Path(path or "")
        return found if found.suffix else self.path / side / f"{found.name}.png"

    def folder(self, side: str) -> str:
        """Return the folder of a side, as configurations name it."""
        return str(self.path / side)


def namespace(*names: str, root: Path) -> None:
    """Let packages be imported from a checkout without what their `__init__` imports: models, losses, build files."""
    for name in names:
        module = types.ModuleType(name)
        module.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = module


def dataset(kind: Any, options: Any) -> Iterator[Loaded]:
    """Yield all items of a dataset class that gives tensors as BasicSR does."""
    items = kind(options)
    for item in (items[number] for number in range(len(items))):
        lr, hr = (np.moveaxis(item[key].numpy(), 0, -1) for key in ("lq", "gt"))
        yield item["lq_path"], item["gt_path"], lr, hr


def basicsr_options(dest: Dest, phase: str, more: dict[str, Any]) -> dict[str, Any]:
    """Return options that BasicSR, Real-ESRGAN and neosr have in common."""
    return {
        "dataroot_gt": dest.folder("HR"), "dataroot_lq": dest.folder("LR"), "io_backend": {"type": "disk"},
        "scale": dest.scale, "phase": phase, "gt_size": PATCH * dest.scale, "patch_size": PATCH, "use_hflip": False,
        "use_rot": False, **more,
    }  # fmt: skip


def basicsr(checkouts: Path, dest: Dest, phase: str, **more: Any) -> Iterator[Loaded]:
    """Load with BasicSR's PairedImageDataset."""
    namespace("basicsr", "basicsr.data", root=checkouts / "BasicSR")
    kind = import_module("basicsr.data.paired_image_dataset").PairedImageDataset
    return dataset(kind, basicsr_options(dest, phase, more))


def realesrgan(checkouts: Path, dest: Dest, phase: str, **more: Any) -> Iterator[Loaded]:
    """Load with Real-ESRGAN's RealESRGANPairedDataset."""
    namespace("basicsr", "basicsr.data", root=checkouts / "BasicSR")
    namespace("realesrgan", "realesrgan.data", root=checkouts / "Real-ESRGAN")
    kind = import_module("realesrgan.data.realesrgan_paired_dataset").RealESRGANPairedDataset
    return dataset(kind, basicsr_options(dest, phase, more))


def trainner(checkouts: Path, dest: Dest, phase: str) -> Iterator[Loaded]:
    """Load with traiNNer-redux's PairedImageDataset."""
    sys.path.insert(0, str(checkouts / "traiNNer-redux"))
    kind = import_module("traiNNer.data.paired_image_dataset").PairedImageDataset
    folders = {"dataroot_gt": [dest.folder("HR")], "dataroot_lq": [dest.folder("LR")]}
    options = basicsr_options(dest, phase, {"filename_tmpl": "{}", "color": None, "mean": None, "std": None, **folders})
    return dataset(kind, types.SimpleNamespace(**options, meta_info=None, name="pairs"))


def neosr(checkouts: Path, dest: Dest, phase: str, **more: Any) -> Iterator[Loaded]:
    """Load with neosr's paired."""
    namespace("neosr", "neosr.data", root=checkouts / "neosr")
    kind = import_module("neosr.data.paired_dataset").paired
    return dataset(kind, basicsr_options(dest, phase, more))


def kair(checkouts: Path, dest: Dest, phase: str) -> Iterator[Loaded]:
    """Load with KAIR's DatasetSR."""
    sys.path.insert(0, str(checkouts / "KAIR"))
    items = import_module("data.dataset_sr").DatasetSR({
        "n_channels": 3, "scale": dest.scale, "H_size": PATCH * dest.scale, "phase": phase,
        "dataroot_H": dest.folder("HR"), "dataroot_L": dest.folder("LR"),
    })  # fmt: skip
    for item in (items[number] for number in range(len(items))):
        lr, hr = (np.moveaxis(item[key].numpy(), 0, -1) for key in ("L", "H"))
        yield item["L_path"], item["H_path"], lr, hr


def hf(_: Path, dest: Dest, phase: str) -> Iterator[Loaded]:
    """Load both folders with Hugging Face's imagefolder, in the order of their names; it cuts no patches."""
    if phase == "train":
        return
    library = import_module("datasets")
    library.disable_progress_bars()
    sides = [library.load_dataset("imagefolder", data_dir=dest.folder(side), split="train") for side in ("LR", "HR")]
    for number in range(len(sides[0])):
        images = [side[number]["image"] for side in sides]
        if {image.mode for image in images} != {"RGB"}:
            raise ValueError(f"{number}: {' and '.join(image.mode for image in images)}, not RGB")
        lr, hr = (np.float32(1 / 255) * np.asarray(image, np.float32) for image in images)
        yield images[0].filename, images[1].filename, lr, hr


CLIENTS: dict[str, Callable[..., Iterator[Loaded]]] = {
    "BasicSR": basicsr, "Real-ESRGAN": realesrgan, "traiNNer-redux": trainner, "neosr": neosr, "KAIR": kair,
    "datasets": hf,
}  # fmt: skip


def ways(name: str, dest: Dest) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield how a client can load a DEST: what of it, and the options for that."""
    yield "folders", {}
    lists = {"BasicSR": ("meta_info.txt", "meta_info_file"), "Real-ESRGAN": ("meta_info_pair.txt", "meta_info")}
    if name in lists and (dest.path / lists[name][0]).is_file():
        root = {"dataroot_gt": str(dest.path), "dataroot_lq": str(dest.path)} if name == "Real-ESRGAN" else {}
        yield lists[name][0], {lists[name][1]: str(dest.path / lists[name][0]), **root}
    if name in ("BasicSR", "Real-ESRGAN", "neosr") and (dest.path / "LR.lmdb").is_dir():
        roots = {"dataroot_gt": dest.folder("HR.lmdb"), "dataroot_lq": dest.folder("LR.lmdb")}
        yield "LMDB", {"io_backend": {"type": "lmdb"}, **roots}


def stored(path: Path) -> NDArray[np.float32]:
    """Return the values of a file, (h, w, 3) RGB, 0 to 1."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return np.asarray(pixels[..., 2::-1] / np.float32(np.iinfo(pixels.dtype).max), np.float32)


def correlation(lr: NDArray[np.float32], hr: NDArray[np.float32]) -> float:
    """Return the correlation of an LR and its reduced HR."""
    small = cv2.resize(hr, lr.shape[1::-1], interpolation=cv2.INTER_AREA)
    return float(np.corrcoef(lr.ravel(), small.ravel())[0, 1])


def loader(name: str, checkouts: Path, dest: Dest, more: dict[str, Any]) -> Callable[[str], Iterator[Loaded]]:
    """Return what loads a DEST in one phase, "train" or "val"; clients change their options."""
    return lambda phase: CLIENTS[name](checkouts, dest, phase, **deepcopy(more))


def checked(load: Callable[[str], Iterator[Loaded]], dest: Dest) -> tuple[int, float, float]:
    """Return how many pairs a loader has, its largest deviation from the files in levels, the least correlation.

    Raises ValueError if a pair's sizes or names, or the sizes of its patches, are not those of one.
    """
    deviation, least, count = 0.0, 1.0, 0
    for lr_path, hr_path, lr, hr in load("val"):
        files = [dest.file(path, side) for path, side in ((lr_path, "LR"), (hr_path, "HR"))]
        if files[0].name != files[1].name or hr.shape[:2] != tuple(dest.scale * side for side in lr.shape[:2]):
            raise ValueError(f"{files[0]} {lr.shape} is loaded with {files[1]} {hr.shape}")
        found = [abs(pixels - stored(path)).max() for path, pixels in zip(files, (lr, hr), strict=True)]
        deviation, least, count = max(deviation, 255 * float(max(found))), min(least, correlation(lr, hr)), count + 1
    for _, _, lr, hr in load("train"):
        if lr.shape[:2] != (PATCH, PATCH) or hr.shape[:2] != (PATCH * dest.scale, PATCH * dest.scale):
            raise ValueError(f"patches of {lr.shape} and {hr.shape}")
    return count, deviation, least


def version(checkout: Path) -> str:
    """Return what a checkout, or an installed package, is a version of."""
    if checkout.is_dir():
        command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return installed(checkout.name)


def main() -> int:
    """Print a table of all clients that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", type=Path)
    parser.add_argument("checkouts", type=Path)
    parser.add_argument("--scale", type=Fraction, default=Fraction(2))
    values = parser.parse_args()
    dest, failed = Dest(values.dest.absolute(), int(values.scale)), 0
    sys.stdout.write("| client | version | from | pairs | deviation from the files (levels) | least correlation |\n")
    sys.stdout.write("|---|---|---|---:|---:|---:|\n")
    there = [one for one in CLIENTS if CLIENTS[one] is hf or (values.checkouts / one).is_dir()]
    for name, way, more in [(client, *way) for client in there for way in ways(client, dest)]:
        try:
            count, deviation, least = checked(loader(name, values.checkouts.absolute(), dest, more), dest)
            shown = f"{count} | {deviation:.3f} | {least:.3f}"
            failed += deviation > 0.01
        except Exception as error:  # whatever a loader stops at
            shown, failed = f"{type(error).__name__}: {str(error).splitlines()[0][:80]} | |", failed + 1
        sys.stdout.write(f"| {name} | {version(values.checkouts / name)} | {way} | {shown} |\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
