"""The subcommands, each a module of its name: `SUMMARY` for the help, `add_arguments(parser)`, `run(values)`.

What takes time to import (OpenCV, SciPy) is imported by `run`, as --help must not wait for it.
"""

# In the order of the help.
COMMANDS = ("review", "gallery", "search", "serve", "compare", "cluster")
