"""Launcher: `python twimager.py --lr L --hr H --dest D`."""

import sys

from twimager.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
