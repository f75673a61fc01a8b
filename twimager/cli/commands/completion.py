"""`twimager completion SHELL`: what a shell has to be told to complete commands, options and their values."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from twimager.cli.common import run_group
from twimager.errors import ExitCode, UsageError
from twimager.runtime.streams import put

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption

SUMMARY = """\
Print what has a shell complete commands, options and their values at the tab
key, where twimager is installed, with "twimager[completion]". For good:

  bash        in ~/.bashrc: eval "$(twimager completion bash)"
  zsh         in ~/.zshrc, after compinit: eval "$(twimager completion zsh)"
  fish        once: twimager completion fish >
              ~/.config/fish/completions/twimager.fish
  powershell  in $PROFILE: twimager completion powershell | Out-String |
              Invoke-Expression
"""
USAGE = "SHELL"
EXAMPLE = "completion bash"
SHELLS = ("bash", "zsh", "fish", "powershell")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `completion`."""
    complete = parser.add_argument_group("complete")
    complete.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    run_group(parser)


def run(values: argparse.Namespace, _: Interruption) -> ExitCode:
    """Print the shell's code."""
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError as error:
        raise UsageError("completion needs a package: pip install argcomplete") from error
    put(shellcode(["twimager"], shell=values.shell))
    return ExitCode.DONE
