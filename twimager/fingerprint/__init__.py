"""Fingerprints of images (hashes, a thumbnail, features), working images, and the cache on disk."""
