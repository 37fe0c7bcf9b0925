"""Sampling with a key/value cache, shared by evaluation and the command line."""
