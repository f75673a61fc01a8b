"""OpenCV's windows: the pair that `--debug` asks about, and the one under review."""
