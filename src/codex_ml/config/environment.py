"""CODEX_* environment variables: the workspace, the log level, and one variable per config key."""

from __future__ import annotations

from collections.abc import Mapping

from codex_ml.config.keys import all_keys
from codex_ml.errors import ConfigError, did_you_mean, nearest

PREFIX = "CODEX_"
#: Variables that are no config key, with what they do.
PLAIN_VARIABLES = {
    "CODEX_HOME": "directory that holds runs/ and .codex/ (default: the current directory)",
    "CODEX_LOG": "level of the log on stderr: debug, info, warning (default) or error",
    "CODEX_LOG_FORMAT": "form of the log on stderr: text (default) or ndjson",
    "CODEX_LOG_FILE": "file that gets the log too, as NDJSON, from level info on unless CODEX_LOG is set",
    "CODEX_LOG_BYTES": "size at which that file is moved aside (default: 10000000)",
    "CODEX_LOG_KEEP": "how many files moved aside are kept (default: 5)",
    "CODEX_NAMES": "plain: record host, user and home as they are (default: pseudonyms)",
    "CODEX_MLFLOW_URI": "MLflow's store where tracking.mlflow.uri is unset",
    "CODEX_PLUGINS": "patterns of plugins that may be used, by commas; none: no plugin (default: all)",
    "CODEX_INTERFACES_CFG": "YAML file that names components by path, see docs/plugins.md",
    **{
        f"CODEX_{name}_{part}": f"{what} of a {name.lower().replace('_', ' ')} by path, see docs/plugins.md"
        for name in ("TOKENIZER", "REWARD", "RL", "METRIC", "DATA_SOURCE", "TRACKER")
        for part, what in (("PATH", "module:Class"), ("KWARGS", "arguments, as JSON,"))
    },
    "CODEX_DISABLE_NVML": "any value: do not look at the GPUs while watching the machine",
}


def variable_of(path: str) -> str:
    """``train.lr`` -> ``CODEX_TRAIN__LR``."""
    return PREFIX + path.replace(".", "__").upper()


def known_variables() -> dict[str, str]:
    """Every variable the program reads, with its meaning."""
    return PLAIN_VARIABLES | {variable_of(path): f"sets {path}" for path in all_keys()}


def environment_values(environ: Mapping[str, str]) -> dict[str, str]:
    """Config path -> text, for every CODEX_* variable that names a key.

    Raises ConfigError for a variable of the form CODEX_SECTION__KEY that names none.
    """
    paths = {variable_of(path): path for path in all_keys()}
    for name in environ:
        if name.startswith(PREFIX) and "__" in name and name not in paths:
            raise ConfigError(
                f"the environment variable {name} names no config key",
                code="config.unknown-variable",
                next_step=did_you_mean(name, paths),
            )
    return {path: environ[name] for name, path in paths.items() if name in environ}


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """One warning for each other CODEX_* variable that nothing reads, with the nearest name.

    Only a warning: other programs use the prefix too.
    """
    known = known_variables()
    warnings = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and "__" not in name and name not in known:
            close = nearest(name, known)
            hint = f"; did you mean {close}?" if close else ""
            warnings.append(f"the environment variable {name} is read by nothing{hint}")
    return warnings
