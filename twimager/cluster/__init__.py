"""Put near-duplicates into clusters: what `cluster` does."""
