"""Which YAML groups and options there are, found by looking at folders only."""

from __future__ import annotations

import logging
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from codex_ml.errors import ConflictError
from codex_ml.registry.plugins import installed

_log = logging.getLogger(__name__)


def configs_directory() -> Path:
    """The folder of YAML groups shipped with the package."""
    return Path(str(resources.files("codex_ml.configs")))


def plugin_directories() -> list[Path]:
    """Folders of YAML groups that installed plugins bring (``codex_ml.config_groups``), in their order.

    One that cannot be found is left out with a warning: the others work. Raises ConflictError, naming both
    files, for an option that is there already; nothing is replaced silently.
    """
    folders: list[Path] = []
    for plugin in installed("config_groups"):
        folder = _folder(plugin.target)
        if folder is None:
            _log.warning("the config groups of %s are not there", plugin.who())
            continue
        for path in sorted(folder.glob("*/*.yaml")):
            option = f"{path.parent.name}/{path.name}"
            taken = next(
                (base / option for base in (configs_directory(), *folders) if (base / option).is_file()), None
            )
            if taken is not None:
                raise ConflictError(
                    f"{plugin.who()} brings an option that exists",
                    code="registry.conflict",
                    got=f"{path} and {taken}",
                    next_step="rename the file of the plugin, or leave it out with CODEX_PLUGINS",
                )
        folders.append(folder)
    return folders


def _folder(package: str) -> Path | None:
    """The directory of a package, without running it."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]) if places and Path(places[0]).is_dir() else None


def bases(config_dir: Path | None) -> list[Path]:
    """Where groups are looked for: the shipped ones, those of plugins, the caller's."""
    return [configs_directory(), *plugin_directories(), *([config_dir] if config_dir is not None else [])]


def group_options(config_dir: Path | None = None) -> dict[str, list[str]]:
    """Every config group with its options; plugins and *config_dir* add to the shipped ones."""
    found: dict[str, set[str]] = {}
    for base in bases(config_dir):
        for path in sorted(base.glob("*/*.yaml")):
            found.setdefault(path.parent.name, set()).add(path.stem)
    return {group: sorted(options) for group, options in sorted(found.items())}


def find_config(path: str, config_dir: Path | None) -> Path | None:
    """The file of ``group/option``; a shipped one comes before that of *config_dir*, as in Hydra."""
    for base in bases(config_dir):
        file = base / f"{path}.yaml"
        if file.is_file():
            return file
    return None
