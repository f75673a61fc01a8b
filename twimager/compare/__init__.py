"""Compare two images: how alike they are, and how the one lies on the other: `compare`."""
