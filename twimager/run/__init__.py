"""The main job: two folders in, pairs out."""
