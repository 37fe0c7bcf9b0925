"""``python -m codex_ml`` is the same program as ``codex-ml``."""

import sys
from importlib.util import find_spec

# find_spec looks and does not import; the command line itself may not be importable yet.
_CORE = ("click", "hydra", "omegaconf", "pydantic", "rich", "numpy", "psutil", "safetensors")


def main() -> None:
    """Run the command line, or say in one line that this checkout is not installed."""
    if any(find_spec(name) is None for name in _CORE):
        print("codex-ml is not installed in this environment; run: make setup", file=sys.stderr)
        raise SystemExit(2)
    from codex_ml.cli import entry_point

    entry_point()


if __name__ == "__main__":
    main()
