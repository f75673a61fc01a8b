"""Videos: what is in a file, signatures of its frames, and the map from the time of one video to that of another."""
