"""What to do about arguments that mean nothing, and about a system that lacks libraries."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path


def closest(name: str, known: Iterable[str]) -> str:
    """Return `: did you mean ...?` for a name that is nearly one that is known, else nothing."""
    found = get_close_matches(name, list(known), n=1)
    return f": did you mean {found[0]}?" if found else ""


def on_no_command(arguments: Sequence[str], commands: Iterable[str], program: str) -> str:
    """Return what to say of arguments that begin with neither an option nor a command."""
    if Path(arguments[0]).is_dir():
        folders = [*arguments[:2], "DIR"][:2]
        return f"to pair two folders: {program} --lr {folders[0]} --hr {folders[1]} --dest DIR"
    return f"no command '{arguments[0]}'{closest(arguments[0], commands)} ({program} -h lists all)"


# By the name of a Linux distribution, or of what it is like: what installs the libraries that OpenCV's wheel needs.
PACKAGES = {
    "debian": "apt-get install libgl1 libglib2.0-0",
    "fedora": "dnf install mesa-libGL glib2",
    "suse": "zypper install Mesa-libGL1 libglib-2_0-0",
    "arch": "pacman -S libglvnd glib2",
    "alpine": "apk add mesa-gl glib",
}
# The modules of requirements.txt.
REQUIRED = ("cv2", "numpy", "faiss", "imagehash", "msgspec", "PIL", "scipy", "tqdm", "vptree")
HEADLESS = 'pip install "opencv-python-headless>=4.14" instead of opencv-python'


def on_missing_library(error: ImportError) -> str | None:
    """Return what to say where a package or a system's library is missing, None if that is not the error."""
    if error.name in REQUIRED:
        mend = "activate the environment that has it, or pip install -r requirements.txt"
        return f"{error.name} is missing in {sys.executable}: {mend}"
    found = re.match(r"(lib\S+\.so\S*): cannot open shared object file", str(error))
    if not found:
        return None
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    install = next((command for name, command in PACKAGES.items() if name in names), "your system's package of it")
    return f"{found[1]} is missing: {install}; or {HEADLESS}, which needs none and shows no windows"
