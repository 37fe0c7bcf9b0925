"""Parts for codex-ml, found through the entry points of this package's pyproject.toml."""
