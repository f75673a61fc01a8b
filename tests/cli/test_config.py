"""Options from a preset and from a configuration file: what wins, what is refused, what is said of them."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.command import Run, refused
from twimager.cli.config import with_config
from twimager.cli.pair import parse, parser, to_options
from twimager.cli.presets import CONFIG, PRESETS
from twimager.errors import UsageError
from twimager.options import Crop, Loader, Method, Options


def options(*arguments: object) -> Options:
    return to_options(parse(with_config(list(map(str, arguments))).arguments))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / CONFIG


def test_a_file_has_any_option_and_flags_win_over_it(config: Path, tmp_path: Path) -> None:
    config.write_text(
        'lr = "low"\nhr = "/high"\ndest = "pairs"\nscale = 4\ncrop = [4, 4]\nthreshold = 85\nreport = true\n'
        'no-mirror = true\ndry = false\nfor = ["basicsr", "kair"]\ndepth = 8\nprefix = "-ab"\nsave = true\n'
    )
    found = options("--config", config, "--threshold", "95", "--min-overlap=0.5")
    assert (found.lr, found.hr, found.run.dest) == (tmp_path / "low", Path("/high"), tmp_path / "pairs")
    assert (found.pair.framing.scale, found.pair.framing.crop) == (4, Crop(width=4, height=4))
    assert (found.pair.gates.threshold, found.pair.gates.min_overlap) == (95, 0.5)
    assert (found.run.report, found.propose.mirror, found.run.dry) == (True, False, False)
    assert found.write.loaders == (Loader.BASICSR, Loader.KAIR)
    assert (found.write.depth, found.write.prefix, found.run.save) == (8, "-ab", tmp_path / "twimager.sqlite")


def test_one_beside_dest_is_read_without_being_named(config: Path, tmp_path: Path) -> None:
    config.write_text("scale = 4\n")
    flags = "--lr", "a", "--hr", "b", "--dest", tmp_path / "pairs"
    assert options(*flags).pair.framing.scale == 4
    given = with_config([*map(str, flags), "--verbose"])
    assert (given.notes, given.details) == ([], [f"{config}: --scale=4"])
    assert with_config(list(map(str, flags))).notes == [f"{config} has options, too (--verbose lists them)"]
    named = tmp_path / "other.toml"
    named.write_text("")
    assert options(*flags, "--config", named).pair.framing.scale == 2


@pytest.mark.skipif(sys.platform == "win32", reason="files have no owner of this kind")
def test_one_beside_dest_that_belongs_to_another_user_is_not_read(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("scale = 4\n")
    os.chmod(config, 0o644)
    monkeypatch.setattr("os.geteuid", lambda: config.stat().st_uid + 1)
    monkeypatch.setattr("twimager.cli.config.ADMINISTRATOR", -1)
    given = with_config(["--lr", "a", "--hr", "b", "--dest", str(tmp_path / "pairs")])
    assert "--scale=4" not in given.arguments
    assert given.warnings == [f"{config} belongs to another user and is not read; --config names it"]


@pytest.mark.parametrize("name", ["log", "save", "overwrite", "follow_dest_links", "scheduler"])
def test_one_that_nobody_named_writes_nowhere_else(config: Path, tmp_path: Path, name: str) -> None:
    config.write_text(f"{name} = true\n")
    with pytest.raises(UsageError, match=f"{name} may stand only in a file that --config names"):
        with_config(["--dest", str(tmp_path / "pairs")])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("thresold = 3", "there is no option thresold: did you mean threshold?"),
        ("version = true", "there is no option version"),
        ("[film]\nscale = 3", "there is no option film"),
        ("scale = true", "scale takes a text or a number, not true"),
        ("limit = 1.5", "limit takes a whole number, not 1.5"),
        ('threshold = "high"', 'threshold takes a number, not "high"'),
        ('dry = "yes"', 'dry takes true or false, not "yes"'),
        ("prefix = 3", "prefix takes a text, not 3"),
        ("lr = [1]", "lr takes a path, not [1]"),
        ('crop = ["a"]', 'crop takes a whole number or a list of them, not ["a"]'),
        ("crop = []", "crop takes a whole number or a list of them, not []"),
        ("memory = 2020-01-01", 'memory takes a text or a number, not "2020-01-01"'),
        ('format = "gif"', "--format: invalid choice: 'gif'"),
        ("format = 3", "--format: invalid choice: '3'"),
        ('preset = "flim"', 'preset takes film, scans, scrape, not "flim"'),
        ("scale = ", "is no TOML"),
        ("scale = " + "[" * 9000, "is no TOML"),
        ("limit = " + "9" * 9000, "is no TOML"),
        (r'lr = "a\u0000"', r'lr takes a path, not "a\u0000"'),
        ("verbose = 3", "verbose takes true or false, not 3"),
        ("verbose = 1.0", "verbose takes true or false, not 1.0"),
        ("scale = 3 #" + "x" * 70_000, "is no configuration"),
    ],
)
def test_what_does_not_fit_is_one_line(run: Run, config: Path, text: str, words: str) -> None:
    config.write_text(text)
    refused(run("--lr", "a", "--hr", "b", "--dry", "--config", config), 2, str(config), words)


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    refused(run("--config", tmp_path / "none.toml"), 2, "--config: ", "none.toml can't be read")
    refused(run("--config", tmp_path), 2, "--config: ", "can't be read")


def test_a_preset_is_the_weakest(config: Path, tmp_path: Path) -> None:
    flags = "--lr", "a", "--hr", "b", "--dry"
    assert options(*flags, "--preset", "scans").pair.align.method is Method.AUTO
    assert options(*flags, "--preset", "scans", "--method", "warp").pair.align.method is Method.WARP
    config.write_text('preset = "scans"\nmethod = "flow"\n')
    assert options(*flags, "--config", config).pair.align.method is Method.FLOW
    config.write_text('preset = "scans"\n')
    assert options(*flags, "--config", config).pair.align.method is Method.AUTO
    assert options(*flags, "--config", config, "--preset", "film").pair.align.method is Method.TRANSFORM
    config.write_text('preset = "film"\nno_mirror = false\n')
    assert options(*flags, "--config", config).propose.mirror


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_hold_options_that_differ_from_the_defaults(preset: str) -> None:
    flags = ["--lr", "a", "--hr", "b", "--dry"]
    assert options(*flags, "--preset", preset) != options(*flags)
    assert preset in " ".join(parser().format_help().split())
