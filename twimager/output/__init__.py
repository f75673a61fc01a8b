"""What is written: rendered pictures, their names and places, whole or not at all."""
