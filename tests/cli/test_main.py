"""The command line: every bad input in one clear line with its exit code, and what the flags mean."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command import Run, launched, refused
from tests.support.folders import Folders, contents
from tests.support.paths import ROOT
from tests.support.pictures import cat
from twimager.cli.commands import COMMANDS
from twimager.cli.main import main
from twimager.cli.pair import parse, parser, to_options
from twimager.cli.parsers import command_parser
from twimager.output import layout
from twimager.version import __version__


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--crop", "1", "2", "3"], "1, 2 or 4 numbers"),
        (["--crop", "0"], "above 0"),
        (["--crop", "0", "0"], "above 0"),
        (["--crop", "1", "1", "0", "5"], "above 0"),
        (["--crop", "-4"], "above 0"),
        (["--crop", "1.5"], "--crop"),
        (["--threshold", "10"], "25 to 100"),
        (["--threshold", "101"], "25 to 100"),
        (["--threshold", "nan"], "25 to 100"),
        (["--scale", "0"], "above 0"),
        (["--scale", "-1"], "above 0"),
        (["--scale", "nan"], "no number"),
        (["--scale", "inf"], "no number"),
        (["--scale", "1/0"], "no number"),
        (["--scale", "two"], "no number"),
        (["--scale", "0.0001"], "above 0"),
        (["--limit", "0"], "1 or more"),
        (["--jobs", "0"], "1 or more"),
        (["--distance", "65"], "0 to 64"),
        (["--min_overlap", "1.5"], "0 to 1"),
        (["--prefix", "a/b"], "--prefix"),
        (["--suffix", "a\nb"], "--suffix"),
        (["--output", "both"], "--output"),
        (["--method", "dense"], "--method"),
        (["--colour"], "--colour"),
        (["stray"], "stray"),
    ],
)
def test_options_that_do_not_fit(run: Run, folders: Folders, flags: list[str], word: str) -> None:
    refused(run(*folders.flags, *flags), 2, word)
    assert not folders.dest.exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["revew", "x"], "no command 'revew': did you mean review?"),
        (["nonsense"], "no command 'nonsense'"),
        (["--lr", "a", "--hr", "b", "--dry", "--thresold", "3"], "did you mean --threshold?"),
        (["verify", "x", "--jsn"], "did you mean --json?"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_is_closest(run: Run, typed: list[str], words: str) -> None:
    refused(run(*typed), 2, words)


def test_bare_folders_are_answered_with_the_command_that_pairs_them(run: Run, folders: Folders) -> None:
    refused(run(folders.lr, folders.hr), 2, f"--lr {folders.lr} --hr {folders.hr} --dest DIR")
    refused(run(folders.lr), 2, f"--lr {folders.lr} --hr DIR --dest DIR")


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    of_all = ["help"], ["help", "help"], ["help", "--log", "log.txt"], ["help", "-v"]
    for typed, begins in ((["help", "verify"], "verify DEST [options]"), *((typed, "--lr DIR") for typed in of_all)):
        with pytest.raises(SystemExit) as ended:
            main(typed)
        assert ended.value.code == 0
        assert begins in capsys.readouterr().out


def test_formats_say_what_has_to_be_installed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twimager.image.codecs._is_installed", lambda module: module != "rawpy")
    outcome = run("formats")
    assert outcome.code == 0
    assert "camera raw (DNG, NEF, CR2, ...): pip install rawpy" in outcome.out
    assert "HEIF, HEIC: read" in outcome.out


def test_a_missing_package_is_a_line() -> None:
    bare = "import sys; sys.modules['cv2'] = None; from twimager.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", bare, "--lr", "examples/LR", "--hr", "examples/HR", "--dry"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("twimager: cv2 is missing in ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "apt-get install libgl1"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf install mesa-libGL"),
        ({}, "your system"),
    ],
)
def test_a_library_that_the_system_lacks_is_named_with_what_installs_it(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, release: dict[str, str], words: str
) -> None:
    def lacking(*_: object) -> None:
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("twimager.run.job.run", lacking)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    refused(run(*folders.flags), 1, f"libGL.so.1 is missing: {words}", "opencv-python-headless")


def test_missing_options(run: Run, folders: Folders) -> None:
    refused(run(), 2, "--lr", "--hr")
    refused(run("--lr", folders.lr, "--hr", folders.hr), 2, "--dest")
    refused(run("--lr", folders.lr, "--hr", folders.hr, "--dry", "--report"), 2, "--dest")


def test_folders_that_are_not_there_or_empty(run: Run, folders: Folders, tmp_path: Path) -> None:
    empty, file = tmp_path / "empty", folders.lr / "l0.png"
    empty.mkdir()
    for flag, other in (("--lr", ("--hr", folders.hr)), ("--hr", ("--lr", folders.lr))):
        refused(run(flag, tmp_path / "gone", *other, "--dest", folders.dest), 2, flag, "no folder")
        refused(run(flag, file, *other, "--dest", folders.dest), 2, flag, "is a file")
        refused(run(flag, empty, *other, "--dest", folders.dest), 2, flag, "no files", "--recursive")
    assert not folders.dest.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("film.MKV", "film.MKV is a video; take frames from it first, into a folder: https://"),
        ("set.zip", "set.zip is a file; unpack it"),
        ("set.tif", "set.tif is a file; name the folder that holds the images, as {folder}"),
    ],
)
def test_files_where_folders_are_meant(run: Run, folders: Folders, tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"")
    said = words.format(folder=tmp_path)
    if name != "film.MKV":
        refused(run("--lr", tmp_path / name, "--hr", folders.hr, "--dry"), 2, "--lr: ", said)
    refused(run("cluster", tmp_path / name, "--dry"), 2, said)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.heic", "b.HEIC"], "each of the 2 files there is HEIF, which is not read here: pip install pillow-heif"),
        (
            ["a.nef", "b.jxl"],
            "JPEG XL or camera raw, which is not read here: pip install imagecodecs pillow-jxl-plugin rawpy",
        ),
    ],
)
def test_folders_of_nothing_that_is_read_here(
    run: Run, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], words: str
) -> None:
    monkeypatch.setattr("twimager.image.codecs._is_installed", lambda _: False)
    (tmp_path / "odd").mkdir()
    for name in names:
        (tmp_path / "odd" / name).write_bytes(b"")
    refused(run("--lr", folders.lr, "--hr", tmp_path / "odd", "--dry"), 2, "--hr: ", words)


def test_folders_that_are_one_or_inside_another(run: Run, folders: Folders) -> None:
    (folders.hr / "inside").mkdir()
    for lr, hr, dest in (
        (folders.lr, folders.lr, folders.dest),
        (folders.hr / "inside", folders.hr, folders.dest),
        (folders.lr, folders.hr, folders.lr / "out"),
        (folders.lr, folders.hr, folders.hr / "inside"),
        (folders.lr, folders.hr, folders.lr.parent),
    ):
        refused(run("--lr", lr, "--hr", hr, "--dest", dest, "--overwrite"), 2, "apart")


def test_dest_that_is_a_file(run: Run, folders: Folders) -> None:
    folders.dest.write_text("mine")
    refused(run(*folders.flags), 2, "is a file")
    assert folders.dest.read_text() == "mine"


def test_dest_that_holds_something_is_refused(run: Run, folders: Folders) -> None:
    folders.dest.mkdir()
    (folders.dest / "mine.txt").write_text("mine")
    refused(run(*folders.flags), 2, "not empty", "--overwrite")
    assert [p.name for p in folders.dest.iterdir()] == ["mine.txt"]


def test_overwrite_replaces_its_own_names_and_deletes_nothing(run: Run, folders: Folders) -> None:
    for name in ("mine.txt", "LR/h0.png", "LR/other.png"):
        (folders.dest / name).parent.mkdir(parents=True, exist_ok=True)
        (folders.dest / name).write_text("mine")
    assert run(*folders.flags, "--overwrite").code == 0
    assert (folders.dest / "mine.txt").read_text() == "mine"
    assert (folders.dest / "LR/other.png").read_text() == "mine"
    assert (folders.dest / "LR/h0.png").read_bytes() == (folders.lr / "l0.png").read_bytes()


def test_dest_that_cannot_be_written(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", denied)
    refused(run(*folders.flags), 1, "Permission denied", "--dest")


def test_a_dest_that_cannot_be_named(run: Run, folders: Folders) -> None:
    refused(run(*folders.flags[:4], "--dest", folders.dest / ("a" * 300)), 1, "name too long")
    refused(run(*folders.flags[:4], "--dest", folders.dest / ("a" * 300) / "b"), 1, "name too long")


def test_a_disk_that_fills_up_ends_the_run(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(run(*folders.flags), 1, "No space left on device", str(folders.dest), "--resume")
    assert contents(folders.dest) == {}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_dest(run: Run, folders: Folders) -> None:
    folders.dest.mkdir(mode=0o500)
    refused(run(*folders.flags), 1, "Permission denied")


def test_bad_files_are_reported_and_the_rest_goes_on(run: Run, folders: Folders) -> None:
    whole = (folders.hr / "h0.png").read_bytes()
    (folders.hr / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folders.hr / "empty.jpg").touch()
    (folders.lr / "notes.txt").write_text("not an image")
    outcome = run(*folders.flags)
    assert outcome.code == 3
    assert outcome.err.count("\n") == 3, outcome.err
    for name in ("cut.png", "empty.jpg", "notes.txt"):
        assert name in outcome.err
    assert "pairs written: 2" in outcome.out
    assert "files that could not be read: 3" in outcome.out


def test_the_exit_code_tells_that_there_is_no_pair(run: Run, folders: Folders) -> None:
    for path in folders.lr.iterdir():
        path.unlink()
    cv2.imwrite(str(folders.lr / "flat.png"), np.full((60, 80, 3), 90, np.uint8))
    outcome = run(*folders.flags)
    assert outcome.code == 4
    assert "pairs written: 0" in outcome.out


def test_a_pair_whose_crop_does_not_fit_is_rejected(run: Run, folders: Folders) -> None:
    outcome = run(*folders.flags, "--crop", 160, 110, "--report")
    assert outcome.code == 0
    report = json.loads((folders.dest / "report.json").read_text())
    assert [Path(pair["lr"]).name for pair in report["pairs"]] == ["l1.png"]
    true = [p["reason"] for p in report["rejected_pairs"] if p["lr"].endswith("l0.png") and p["hr"].endswith("h0.png")]
    assert true[0] == "crop does not fit"
    assert cv2.imread(str(folders.dest / "LR/h1.png")).shape == (110, 160, 3)
    assert cv2.imread(str(folders.dest / "HR/h1.png")).shape == (220, 320, 3)


def test_interrupting_ends_without_a_traceback(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(layout, "check_folders", interrupt)
    refused(run(*folders.flags), 130, "interrupted")


def test_quiet_prints_nothing(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, "--quiet") == (0, "", "")


def test_verbose_reports_every_pair(run: Run, folders: Folders) -> None:
    outcome = run(*folders.flags, "--verbose")
    assert "l0.png = h0.png: same frame, correlation" in outcome.err
    outcome = run(*folders.flags, "--verbose", "--search", "features", "--overwrite")
    assert re.search(r"l0\.png = h0\.png: \d+ inliers, correlation", outcome.err)


def test_verbose_says_of_an_lr_that_is_left_which_number_fails_which_limit(run: Run, folders: Folders) -> None:
    flags = *folders.flags, "--dry", "--threshold", "100", "--max_error", "0.001", "--search", "hash"
    lines = run(*flags, "--verbose").err.splitlines()
    assert len(lines) == 2
    left = r"l\d\.png left: closest h\d\.png, [\w ]+: [\d.]+ [\w% ]+, at \w+ [\d.]+"
    assert all(re.match(left, line) for line in lines), lines
    detailed = run(*flags, "-vv").err.splitlines()
    assert set(lines) < set(detailed)
    assert any(re.match(r"matching: [\d.]+ s$", line) for line in detailed)


@pytest.mark.parametrize("flag", ["--color_transfer", "--color-transfer"])
def test_both_spellings(run: Run, folders: Folders, flag: str) -> None:
    assert run(*folders.flags, flag, "--min-overlap=0.5", "--min_overlap", "0.4").code == 0


GROUPS = ["folders", "find", "align", "accept", "frame", "write", "videos", "run"]


@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_the_terminal_and_names_every_option(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = parser().format_help()
    assert columns - 10 < max(map(len, text.splitlines())) < columns
    assert all(name in text for action in parser()._actions for name in action.option_strings)


def test_help_begins_with_examples_and_goes_on_in_groups() -> None:
    text = parser().format_help()
    assert re.findall(r"^([a-z][a-z ]+):\n", text, flags=re.M) == ["examples", *GROUPS]
    examples = re.findall(r"^  twimager (--.*)$", text[: text.index("\nfolders:")], flags=re.M)
    assert len(examples) == 3
    for example in examples:
        to_options(parse(example.split()))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_subcommand_fits_80_columns_in_groups_with_an_example(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    made = command_parser(command)
    text = made.format_help()
    assert max(map(len, text.splitlines())) <= 80
    assert not {"options:", "positional arguments:"} & set(text.splitlines())
    (example,) = re.findall(r"^example:\n  twimager (.*)$", text, flags=re.M)
    assert example.split()[0] == command
    made.parse_args(example.split()[1:])
    assert parser().format_help().count(f"twimager {command} ") >= 1


def test_the_launcher_prints_the_version() -> None:
    ended = launched("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"twimager {__version__}\n", "")


def test_help_does_not_wait_for_heavy_modules() -> None:
    script = (
        "import sys, twimager.cli.pair, twimager.cli\n"
        "twimager.cli.pair.parser().format_help()\n"
        "print({'cv2', 'numpy', 'scipy'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout == "set()\n"


def test_codecs_do_not_talk_over_our_messages(folders: Folders) -> None:
    whole = (folders.hr / "h0.png").read_bytes()
    (folders.hr / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folders.hr / "cut.jpg").write_bytes(cv2.imencode(".jpg", cat())[1].tobytes()[:4000])
    ended = launched(*folders.flags)
    assert ended.returncode == 3
    assert sorted(line.split(":")[0].rsplit(os.sep, 1)[1] for line in ended.stderr.splitlines()) == [
        "cut.jpg",
        "cut.png",
    ]


@pytest.mark.slow
def test_names_that_no_terminal_shows(folders: Folders) -> None:
    odd = os.fsdecode(b"caf\xe9 \xf0\x9f\x8e\x9e") if sys.platform == "linux" else "caf\u00e9 \U0001f39e"
    (folders.hr / "h0.png").rename(folders.hr / f"{odd}.png")
    (folders.lr / f"{odd} notes.txt").write_text("not an image")
    dest = folders.dest / f"{odd} out"
    ended = launched(
        *folders.flags[:4], "--dest", dest, "--report", "--verbose", env={**os.environ, "PYTHONIOENCODING": "cp1252"}
    )
    assert (ended.returncode, len(ended.stdout.splitlines()), len(ended.stderr.splitlines())) == (3, 8, 3)
    assert f"{odd}.png" in {p.name for p in (dest / "HR").iterdir()}
    assert launched(*folders.flags[:4], "--dest", dest).stderr.count("\n") == 1


def test_debug_needs_a_display(folders: Folders) -> None:
    hidden = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    ended = launched(*folders.flags, "--debug", env=hidden)
    if sys.platform == "linux":
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
        assert "--debug needs a display" in ended.stderr
