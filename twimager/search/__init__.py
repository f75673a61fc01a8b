"""Find pictures in a folder: `search` and `serve`."""
