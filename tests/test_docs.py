"""The README and the pages in docs/: links lead somewhere, commands are understood, reasons are those there are."""

import json
import re
import shlex
from argparse import SUPPRESS, ArgumentParser
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from twimager.cli.commands import COMMANDS
from twimager.cli.pair import parse, parser, to_options
from twimager.cli.parsers import command_parser
from twimager.errors import ExitCode, Reason
from twimager.report.summary import Summary

PAGES = [ROOT / "README.md", *sorted([*ROOT.glob("[!R]*.md"), *(ROOT / "docs").glob("*.md")])]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
LARGEST_PICTURE = 150_000
# Where the options of each subcommand are documented.
MANUALS = {
    "review": "review", "gallery": "report", "verify": "runs", "check": "check", "search": "search", "serve": "search",
    "compare": "compare", "cluster": "cluster", "overlay": "overlay", "timeline": "video", "formats": "formats",
    "completion": "runs",
}  # fmt: skip

# Options of other programs that stand in these pages, as far as they are letters.
OTHERS = {
    "comparison.md": {"--autocrop", "--score"},
    "cluster-run.md": {"--hostfile", "--nthreads", "--remote", "--ssh"},
}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", TEXTS[page])


def anchors(page: Path) -> set[str]:
    """Return the headings of a page as GitHub names them in links."""
    prose = re.sub(r"^```.*?^```", "", TEXTS[page], flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def commands() -> list[str]:
    """Return every call of Twimager that stands in a block of its own."""
    blocks = [block for text in TEXTS.values() for block in re.findall(r"```(?:sh|bash)\n(.*?)```", text, flags=re.S)]
    return re.findall(r"twimager\.py (--[^\n|>&]*)", "\n".join(blocks))


def names_of(made: ArgumentParser) -> set[str]:
    return {option for action in made._actions for option in action.option_strings}


def options() -> set[str]:
    """Return the options of the main job and of every subcommand."""
    return names_of(parser()).union(*(names_of(command_parser(name)) for name in COMMANDS))


def manual(name: str) -> str:
    return TEXTS[ROOT / f"docs/{MANUALS[name]}.md"]


def option_rows(name: str) -> list[str]:
    return [line for line in manual(name).splitlines() if line.startswith("| `--")]


@pages
def test_links_lead_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not heading or heading in anchors(target), link


def test_the_readme_leads_to_every_page() -> None:
    assert {(ROOT / link).resolve() for link in links(ROOT / "README.md")} >= set(PAGES[1:])


def test_every_reason_is_documented_and_no_other() -> None:
    table = TEXTS[ROOT / "docs/tuning.md"].split("\n## Reasons\n")[1]
    assert re.findall(r"^\| `([^`]+)` \|", table, flags=re.M) == [reason.value for reason in Reason]


def test_symptoms_name_reasons_that_there_are() -> None:
    """What a first cell quotes in words is a reason; single words are numbers of the report."""
    cells = re.findall(r"^\| `([^`]+ [^`]+)`", TEXTS[ROOT / "docs/tuning.md"], flags=re.M)
    quoted = {cell for cell in cells if not cell.startswith("-")}
    assert quoted == {reason.value for reason in Reason if " " in reason.value}


def test_the_report_page_names_all_that_the_report_holds() -> None:
    schema = json.loads((ROOT / "twimager/report/report.schema.json").read_text(encoding="utf-8"))
    held = [*schema["properties"], *schema["$defs"]["pair"]["properties"]]
    text = TEXTS[ROOT / "docs/report.md"]
    assert {key for key in held if f"`{key}`" not in text} <= {"twimager", "versions"}


def test_the_keys_of_the_summary_are_documented() -> None:
    text = TEXTS[ROOT / "docs/runs.md"]
    assert all(f"`{key}`" in text for key in Summary.__struct_fields__)


def test_the_commands_are_understood() -> None:
    assert len(commands()) >= 5
    for command in commands():
        to_options(parse(shlex.split(command)))


def test_subcommands_exist() -> None:
    named = {name for text in TEXTS.values() for name in re.findall(r"twimager\.py ([a-z]+)\b", text)}
    assert named
    assert named <= set(COMMANDS)


def test_the_readme_names_every_subcommand_in_its_table() -> None:
    table = re.findall(r"^\| `(\w+)[^|]*\|", TEXTS[ROOT / "README.md"], flags=re.M)
    assert table == list(COMMANDS)
    assert list(MANUALS) == list(COMMANDS)


@pytest.mark.parametrize("page", sorted(set(MANUALS.values())))
def test_a_manual_has_a_row_for_every_option_of_its_commands_and_no_other(page: str) -> None:
    documented = [name for name in COMMANDS if MANUALS[name] == page]
    rows = [row.split("|")[1] for row in option_rows(documented[0])]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z_]*", " ".join(rows)))
    assert named == set[str]().union(*(names_of(command_parser(name)) for name in documented)) - {"-h", "--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_manual_gives_the_defaults(name: str) -> None:
    for action in command_parser(name)._actions:
        if not isinstance(action.default, int | float | str) or isinstance(action.default, bool):
            continue
        if action.default in (0, SUPPRESS) or action.dest == "jobs" or action.dest.startswith("model"):
            continue
        row = next(row for row in option_rows(name) if f"`{action.option_strings[0]} " in row)
        shown = f"{action.default:g}" if isinstance(action.default, float) else str(action.default)
        assert f"| {shown} |" in row


@pages
def test_options_exist(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z_]*", re.sub(r"https?://\S+", "", TEXTS[page])))
    assert named - OTHERS.get(page.name, set()) <= options()


def test_the_exit_codes_of_the_recipe_are_those_there_are() -> None:
    script = TEXTS[ROOT / "docs/recipes.md"].split("case $code in")[1].split("esac")[0]
    labels = re.findall(r"^ +([\d |]+)\)", script, flags=re.M)
    assert [int(code) for label in labels for code in label.split("|")] == [
        ExitCode.DONE, ExitCode.INCOMPLETE, ExitCode.NO_PAIR,
    ]  # fmt: skip


@pages
def test_pictures_are_shown_with_words_and_are_no_burden(page: Path) -> None:
    for words, link in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", TEXTS[page]):
        assert len(words) > 20, link
        assert (page.parent / link).stat().st_size < LARGEST_PICTURE, link
