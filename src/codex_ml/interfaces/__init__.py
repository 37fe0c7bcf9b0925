"""Protocols that parts of the system meet each other through; no implementation, no heavy import."""
