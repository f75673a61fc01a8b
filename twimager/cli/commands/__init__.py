"""The subcommands, each a module of its name.

It has `SUMMARY`, `USAGE` and `EXAMPLE` for the help, `add_arguments(parser)` and `run(values, interruption)`. What
takes time to import (OpenCV, SciPy) is imported by `run`, as --help must not wait for it; then `run` calls
`interruption.begin`.
"""

# In the order of the help.
COMMANDS = (
    "review", "gallery", "verify", "check", "search", "serve", "compare", "cluster", "overlay", "formats", "completion",
)  # fmt: skip
