"""Samples of which answers alone are trained: read, rendered, masked, packed, and shown."""
