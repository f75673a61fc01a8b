"""Check which package imports which, by [tool.importlinter] in pyproject.toml.

It is done on a copy of the package alone: import-linter would take the launcher beside it, twimager.py, for part of it.
"""

import subprocess
import sys
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
CHECK = "from importlinter.cli import lint_imports_command; lint_imports_command()"

with TemporaryDirectory() as folder:
    copytree(ROOT / "twimager", Path(folder, "twimager"))
    command = [sys.executable, "-c", CHECK, "--no-cache", "--no-logo", str(ROOT / "pyproject.toml")]
    code = subprocess.run(command, cwd=folder, check=False).returncode
sys.exit(code)
