"""``python -m codex_ml`` is the same program as ``codex-ml``."""

from codex_ml.cli import entry_point

if __name__ == "__main__":
    entry_point()
