"""Find, align, verify and write pairs of LR and HR images."""

__version__ = "0.2.0"
