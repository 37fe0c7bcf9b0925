"""The reference decoder and its way in and out of files."""
