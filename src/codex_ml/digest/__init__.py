"""Logs, tracebacks and task lists: the first real failure, error-capture blocks, an ordered plan."""
