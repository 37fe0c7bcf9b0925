"""A status report of any ML repository, from evidence. Imports neither what it reads nor torch."""
