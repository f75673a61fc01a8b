"""Review the pairs that a run has written: in a window, or in the browser."""
