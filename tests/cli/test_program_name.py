"""Usages, and the command that the summary suggests, name the program as it was started."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.folders import Folders
from tests.support.paths import ROOT
from twimager.runtime.program import program

# What pip writes for an entry of [project.scripts].
CONSOLE_SCRIPT = """\
import sys
from twimager.cli.main import main
sys.exit(main())
"""


@pytest.fixture(params=["twimager", "python twimager.py", "python -m twimager"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def launcher(name: str, tmp_path: Path) -> list[str]:
    """Return the command that starts Twimager under that name."""
    if name != "twimager":
        return [sys.executable, *name.split()[1:]]
    script = tmp_path / "twimager"
    script.write_text(CONSOLE_SCRIPT)
    script.chmod(0o755)
    return [sys.executable, str(script)]


def printed(launcher: list[str], *arguments: object) -> str:
    """Return what is printed where `python` and `twimager` are those of the launcher, as in an active environment."""
    path = os.pathsep.join([str(Path(command).parent) for command in (*launcher[1:2], sys.executable)])
    ended = subprocess.run(
        [*launcher, *map(str, arguments)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ended.stdout


def test_help_names_the_program_and_fits_80_columns(name: str, launcher: list[str]) -> None:
    text = printed(launcher, "-h")
    assert text.startswith(f"usage: {name} --lr DIR")
    assert f"\n  {name} compare a.png b.jpg " in text
    assert max(map(len, text.splitlines())) <= 80


def test_help_of_a_subcommand_names_the_program(name: str, launcher: list[str]) -> None:
    text = printed(launcher, "gallery", "-h")
    assert text.startswith(f"usage: {name} gallery REPORT\n")


@pytest.mark.slow
def test_the_summary_names_the_program_in_its_next_step(name: str, launcher: list[str], folders: Folders) -> None:
    last = printed(launcher, *folders.flags, "--report").splitlines()[-1]
    assert last == f"to sort out: {name} review {folders.dest / 'report.json'}"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the interpreter of an environment in the current folder that is not active; another one is on PATH."""
    for folder in (tmp_path / "other", tmp_path / "here" / ".venv" / "bin"):
        folder.mkdir(parents=True)
        for name in ("python", "twimager"):
            (folder / name).symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "here/.venv/bin/python"))
    monkeypatch.setattr(sys, "argv", ["twimager.py"])
    return tmp_path / "here/.venv/bin"


@pytest.mark.skipif(sys.platform == "win32", reason="links to files are for administrators")
class TestWithoutAnActiveEnvironment:
    @pytest.mark.parametrize(
        ("started", "name"),
        [
            ("twimager.py", ".venv/bin/python twimager.py"),
            ("../my tools/twimager.py", ".venv/bin/python '../my tools/twimager.py'"),
            ("/x/twimager/__main__.py", ".venv/bin/python -m twimager"),
            (".venv/bin/twimager", ".venv/bin/twimager"),
        ],
    )
    def test_the_interpreter_is_named(
        self, environment: Path, monkeypatch: pytest.MonkeyPatch, started: str, name: str
    ) -> None:
        monkeypatch.setattr(sys, "argv", [started])
        assert program() == name

    def test_one_that_is_not_below_the_current_folder_is_named_in_full(
        self, environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path / "other")
        assert program() == f"{environment}/python twimager.py"

    def test_one_in_the_current_folder_is_named_as_a_file(
        self, environment: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(environment)
        assert program() == "./python twimager.py"

    def test_once_it_is_active_its_name_is_enough(self, environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(environment))
        assert program() == "python twimager.py"


@pytest.mark.skipif(sys.platform == "win32", reason="shlex reads no Windows command")
def test_a_usage_works_as_printed(tmp_path: Path) -> None:
    where = tmp_path / "some where"
    where.mkdir()

    def run(command: list[str]) -> str:
        environment = {**os.environ, "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=True).stdout

    text = run([sys.executable, os.path.relpath(ROOT / "twimager.py", where), "gallery", "-h"])
    usage = text.partition("\n")[0].removeprefix("usage: ").removesuffix("REPORT")
    assert run([*shlex.split(usage), "-h"]) == text
