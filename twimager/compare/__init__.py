"""Say how alike two images are, and why: what `compare` does, and what `search` takes of it."""
