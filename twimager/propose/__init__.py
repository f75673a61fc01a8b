"""Propose which HR may show the same picture as which LR: by frame, by hash, by features."""
