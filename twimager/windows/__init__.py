"""OpenCV's windows: for the pairs of `--debug`, and for those under review."""
