"""What made a run: code, environment, seeds, and the record of it on disk."""
