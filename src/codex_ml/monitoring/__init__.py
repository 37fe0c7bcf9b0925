"""Samples of what the machine and this process use."""
