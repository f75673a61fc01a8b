"""Similarity of two pictures: SSIM and histograms, matched features, embeddings."""
