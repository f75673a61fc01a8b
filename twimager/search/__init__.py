"""Find pictures in a folder: what `search` and `serve` do."""
