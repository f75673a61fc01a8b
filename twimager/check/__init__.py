"""Whether a folder of pairs, whoever made it, is fit to train on: `check`."""
