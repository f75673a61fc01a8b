"""Pages of one file, and a server for them on this machine."""
