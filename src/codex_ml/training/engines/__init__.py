"""Engines put the parts of training together; ``native`` keeps every promise of the project."""
