"""Which YAML groups and options there are, found by looking at folders only."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def configs_directory() -> Path:
    """The folder of YAML groups shipped with the package."""
    return Path(str(resources.files("codex_ml.configs")))


def group_options(config_dir: Path | None = None) -> dict[str, list[str]]:
    """Every config group with its options; *config_dir* adds to the shipped ones."""
    found: dict[str, set[str]] = {}
    for base in filter(None, (configs_directory(), config_dir)):
        for path in sorted(base.glob("*/*.yaml")):
            found.setdefault(path.parent.name, set()).add(path.stem)
    return {group: sorted(options) for group, options in sorted(found.items())}


def find_config(path: str, config_dir: Path | None) -> Path | None:
    """The file of ``group/option``; a shipped one comes before that of *config_dir*, as in Hydra."""
    for base in filter(None, (configs_directory(), config_dir)):
        file = base / f"{path}.yaml"
        if file.is_file():
            return file
    return None
