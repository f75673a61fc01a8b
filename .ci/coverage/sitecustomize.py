"""Measures the coverage of every Python process that finds this on its path, if COVERAGE_PROCESS_START is set."""

try:
    import coverage
except ImportError:  # pip, which installs it
    pass
else:
    coverage.process_startup()
