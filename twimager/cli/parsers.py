"""The parsers of all commands."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from twimager.cli.commands import COMMANDS
from twimager.cli.common import Parser, raw_lines
from twimager.cli.pair import DESCRIPTION, parser
from twimager.runtime.program import program


def command_module(name: str) -> ModuleType:
    """Return the module of a subcommand."""
    return import_module(f"twimager.cli.commands.{name}")


def command_parser(name: str) -> Parser:
    """Return the parser of what follows a subcommand's name."""
    command = command_module(name)
    made = Parser(
        prog=f"{program()} {name}",
        usage=f"%(prog)s {command.USAGE}".rstrip(),
        description=command.SUMMARY,
        epilog=f"example:\n  {program()} {command.EXAMPLE}",
        formatter_class=raw_lines,
    )
    command.add_arguments(made)
    return made


def whole_parser() -> Parser:
    """Return a parser of all there is, for what describes it: completion and the man page."""
    made = parser()
    made.usage = "twimager (--lr DIR --hr DIR --dest DIR [options] | COMMAND [...])"
    made.description = DESCRIPTION % {"prog": "twimager"}
    commands = made.add_subparsers(title="commands", metavar="COMMAND")
    for name in COMMANDS:
        command = command_module(name)
        first_sentence = " ".join(command.SUMMARY.split(". ")[0].split("\n\n")[0].split())
        one = commands.add_parser(
            name, usage=f"twimager {name} {command.USAGE}", description=command.SUMMARY, help=first_sentence,
            formatter_class=raw_lines,
        )  # fmt: skip
        command.add_arguments(one)
    return made
