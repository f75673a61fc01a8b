"""Put images that are nearly the same into groups: what `cluster` does."""
