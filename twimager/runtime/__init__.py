"""The process and its surroundings: console, workers, child processes, memory."""
