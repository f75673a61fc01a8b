"""The command line: arguments in, a job done, errors to exit codes."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

from twimager.cli.commands import COMMANDS
from twimager.cli.common import underscored
from twimager.cli.config import with_config
from twimager.cli.pair import parse, to_options
from twimager.cli.parsers import command_module, command_parser, whole_parser
from twimager.cli.signals import Interruption
from twimager.cli.suggestions import on_missing_library, on_no_command
from twimager.errors import ExitCode, Interrupted, TwimagerError, UsageError
from twimager.image.headers import LIMIT_VARIABLE
from twimager.options import MAX_PIXELS
from twimager.output.layout import require_apart
from twimager.runtime.child import ONE_THREAD
from twimager.runtime.colour import Colour, coloured
from twimager.runtime.memory import MEMORY_VARIABLE, keep_freed_memory, usual
from twimager.runtime.program import program, quoted
from twimager.runtime.streams import complain, open_closed
from twimager.version import __version__

# Addresses that the libraries and a run over small images take, in MB, and what a worker takes more: with 1, 2 and 8 of
# them runs took 1022, 1199 and 2042 on Linux, of which an eighth was memory. With less OpenBLAS and FAISS do not fail
# but crash, or wait for ever.
ADDRESSES, WORKERS_ADDRESSES = 900, 150
# Set by a shell that is to be told what may follow.
COMPLETING = "_ARGCOMPLETE"
# `help CMD` is `CMD -h`.
HELP = "help"
# How libraries say that there is not enough memory, where they raise no MemoryError.
NO_MEMORY = (
    "bad_alloc", "Insufficient memory", "can't start new thread", "failed to map segment", "Cannot allocate memory",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    open_closed()
    if COMPLETING in os.environ:
        _complete()
    try:
        with Interruption(last=arguments is None) as interruption:
            return int(_run(given, interruption))
    except TwimagerError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(str(Interrupted()), ExitCode.INTERRUPTED)
    except Exception as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
            return _fail("out of memory; --jobs 1 needs the least", ExitCode.FATAL)
        if isinstance(error, OSError):
            return _fail(str(error), ExitCode.FATAL)
        if isinstance(error, ImportError) and (words := on_missing_library(error)):
            return _fail(words, ExitCode.FATAL)
        raise


def _complete() -> None:
    """Tell a shell what may follow, and end; else, where a package is missing, go on."""
    with suppress(ImportError):
        import argcomplete

        argcomplete.autocomplete(whole_parser(), always_complete_options=False)


def _run(given: Sequence[str], interruption: Interruption) -> ExitCode:
    """Run a subcommand, or the main job, which has flags alone."""
    if given and given[0] == HELP:
        given = [*(name for name in given[1:2] if name != HELP and not name.startswith("-")), "-h"]
    if not given or given[0].startswith("-"):
        return _run_job(given, interruption)
    if given[0] not in COMMANDS:
        raise UsageError(on_no_command(given, COMMANDS, program()))
    return _run_command(given[0], given[1:], interruption)


def _fail(message: str, code: ExitCode) -> int:
    from twimager.runtime.console import printable

    complain(f"{coloured('twimager:', Colour.RED, sys.stderr)} {printable(message)}\n")
    return int(code)


def _prepare(max_pixels: int, jobs: int, memory: int | None) -> None:
    """Set what libraries, and the processes of this run, read when they start; TwimagerError if they can't be had."""
    _require_addresses(jobs)
    keep_freed_memory()
    os.environ.update(ONE_THREAD | os.environ)
    # FAISS's threads would else wait for each other at full speed: minutes, where others use the processor too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # OpenCV's limit, for what only it can tell the size of; the decoders' processes inherit it.
    os.environ[LIMIT_VARIABLE] = str(max_pixels)
    os.environ[MEMORY_VARIABLE] = str(memory or usual())
    # Pillow warns of odd files in general; files that can't be read are named by the run.
    warnings.filterwarnings("ignore", module="PIL")


def _require_addresses(jobs: int) -> None:
    """Raise TwimagerError if the process may have fewer addresses than so many workers take."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = ADDRESSES + WORKERS_ADDRESSES * jobs
    if limit != resource.RLIM_INFINITY and limit < needed << 20:
        fewer = f" (with --jobs 1, {ADDRESSES + WORKERS_ADDRESSES})" if jobs > 1 else ""
        raise TwimagerError(f"out of memory: ulimit -v allows {limit >> 20} MB, and {needed} are needed{fewer}")


def _run_command(name: str, arguments: Sequence[str], interruption: Interruption) -> ExitCode:
    values = command_parser(name).parse_args(underscored(arguments))
    _prepare(getattr(values, "max_pixels", MAX_PIXELS), getattr(values, "jobs", 0), getattr(values, "memory", None))
    code: ExitCode = command_module(name).run(values, interruption)
    return code


def _run_job(arguments: Sequence[str], interruption: Interruption) -> ExitCode:
    """Do the main job."""
    given = with_config(arguments)
    values = parse(given.arguments)
    options = to_options(values)
    for flag, folder in (("--lr", options.lr), ("--hr", options.hr), ("--dest", options.run.dest)):
        require_apart("--log", values.log, flag, folder)
    _prepare(options.read.max_pixels, options.run.jobs, options.run.memory)
    # Imported here, as --help and --version must not wait for OpenCV and SciPy.
    from twimager.run import job
    from twimager.runtime.console import Console, own_stderr, say
    from twimager.runtime.log import logged_to

    with own_stderr() as stream, logged_to(values.log, stream) as log:
        console = Console(values.quiet, values.verbose, stream, log)
        console.detail(f"twimager {__version__}: {' '.join([program(), *map(quoted, arguments)])}")
        given.tell(console)
        interruption.begin(Interrupted(resumable=not options.run.dry))
        outcome = job.run(options, console)
        for line in outcome.summary.to_text().splitlines():
            console.enter(line)
    if values.json or not values.quiet:
        say(outcome.summary.to_json() if values.json else _in_colour(outcome.summary.to_text()))
    return outcome.exit_code


def _in_colour(summary: str) -> str:
    """Return a summary for stdout: on a terminal what was found is bold, and warnings are in colour."""
    colours = {"pairs": Colour.BOLD, "warning:": Colour.YELLOW}
    return "\n".join(coloured(line, colours.get(line.split(" ")[0]), sys.stdout) for line in summary.split("\n"))
