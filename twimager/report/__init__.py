"""The results of a run: the state of one that is running, and reports as JSON, table and page."""
