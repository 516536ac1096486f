"""The process and its surroundings: failures, files, memory, signals, child processes."""
