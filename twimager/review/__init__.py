"""Look through what a run has written: in a window, or in the browser."""
