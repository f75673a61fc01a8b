"""Align an HR with its LR: by matching features, then by pixels."""
