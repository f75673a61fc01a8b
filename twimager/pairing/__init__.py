"""From two folders to verified pairs: read, evaluate, decide, in rounds."""
