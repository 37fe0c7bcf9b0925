"""The command line: the only place that prints."""

from codex_ml.cli.entry import entry_point, main

__all__ = ["entry_point", "main"]
