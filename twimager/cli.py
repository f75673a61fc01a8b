"""The command line: arguments in, a job done, errors to exit codes."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper

from twimager.anatomy import LIMIT_VARIABLE
from twimager.arguments import GALLERY, gallery_parser, parse, to_options
from twimager.errors import ExitCode, Interrupted, TwimagerError
from twimager.interruption import Interruption


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given[:1] == [GALLERY]:
            return int(_rebuild_gallery(given[1:]))
        with Interruption(last=arguments is None) as interruption:
            return int(_run_job(given, interruption))
    except TwimagerError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(str(Interrupted()), ExitCode.INTERRUPTED)
    except OSError as error:
        return _fail(str(error), ExitCode.FATAL)
    except MemoryError:
        return _fail("out of memory; --jobs 1 needs the least", ExitCode.FATAL)


def _fail(message: str, code: ExitCode) -> int:
    from twimager.console import printable

    sys.stderr.write(f"twimager: {printable(message)}\n")
    return int(code)


def _rebuild_gallery(arguments: Sequence[str]) -> ExitCode:
    """Write the page of a report anew."""
    report = gallery_parser().parse_args(arguments).report
    # Imported here, as --help must not wait for OpenCV.
    from twimager.gallery import rebuild

    _print(str(rebuild(report)))
    return ExitCode.DONE


def _print(text: str) -> None:
    if isinstance(sys.stdout, TextIOWrapper):  # a Windows pipe knows few characters
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.write(text + "\n")


def _run_job(arguments: Sequence[str], interruption: Interruption) -> ExitCode:
    """Do the main job, which has flags alone and no subcommand."""
    values = parse(arguments)
    options = to_options(values)
    # Matrix products are small and the workers many: the maths library's own threads would only get in their way.
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    # FAISS's threads would else wait for each other at full speed: minutes, where others use the processor too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # OpenCV's limit, for what only it can tell the size of; the decoders' processes inherit it.
    os.environ[LIMIT_VARIABLE] = str(options.max_pixels)
    # Pillow has more to say of odd files than users want to hear; what can't be read is said by us.
    warnings.filterwarnings("ignore", module="PIL")
    # Imported here, as --help and --version must not wait for OpenCV and SciPy.
    from twimager import destination, job
    from twimager.console import Console, own_stderr
    from twimager.isolation import decoders

    with own_stderr() as stream:
        interruption.begin(Interrupted(resumable=not options.dry), destination.placing, decoders.kill)
        outcome = job.run(options, Console(values.quiet, values.verbose, stream))
    if values.json or not values.quiet:
        _print(outcome.summary.to_json() if values.json else outcome.summary.to_text())
    return outcome.exit_code
