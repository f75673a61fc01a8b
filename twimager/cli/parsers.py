"""The parsers of all commands."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from twimager.cli.common import Parser, raw_lines
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
