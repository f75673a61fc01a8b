"""What is remembered of one image: hashes, a thumbnail and features; and the cache that keeps it."""
