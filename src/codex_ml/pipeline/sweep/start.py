"""From the words of a command to a sweep that runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from codex_ml.config.compose import compose, dimension_of
from codex_ml.config.space import Dimension, grid
from codex_ml.core.paths import Home
from codex_ml.core.publish import exclusive
from codex_ml.errors import ConfigError, UsageError
from codex_ml.interfaces.reporter import Reporter
from codex_ml.metrics.functions import HIGHER_IS_BETTER
from codex_ml.pipeline.sweep.beforehand import check_metric, trials_to_check
from codex_ml.pipeline.sweep.driver import Place, run_sweep
from codex_ml.pipeline.sweep.launch import Launcher, Local, Submitted, slurm_parameters
from codex_ml.pipeline.sweep.record import Asked, Record
from codex_ml.pipeline.sweep.search import Grid, Sampled, Search
from codex_ml.provenance.environment import usable_cores


def prepare(
    overrides: Sequence[str],
    *,
    config_dir: Path | None,
    space: Path | None,
    metric: str,
    trials: int | None,
    jobs: int,
    launcher: str,
) -> tuple[Asked, list[Dimension]]:
    """What is asked, checked by composing the configs of its trials: all, or `MOST_CHECKED` of them.

    Raises ConfigError as composing does, when nothing is varied, and for a metric that no trial will have.
    """
    words = [*(_space_words(space) if space is not None else ()), *overrides]
    pairs = [(word, dimension_of(word)) for word in words]
    dimensions = [dimension for _, dimension in pairs if dimension is not None]
    fixed = tuple(word for word, dimension in pairs if dimension is None and not word.startswith("name="))
    if not dimensions:
        compose(words, config_dir=config_dir)  # a word that is wrong by itself is told first
        raise ConfigError(
            "nothing is varied",
            code="sweep.nothing",
            wanted="an override with several values",
            next_step="as in train.lr=1e-3,3e-4 or seed=range(0,3)",
        )
    twice = [d.key for d in dimensions if sum(d.key == other.key for other in dimensions) > 1]
    if twice:
        raise ConfigError(
            f"{twice[0]} is varied twice", code="sweep.twice", next_step="give all its values at once"
        )
    named = [word for word in words if word.startswith("name=")]
    # A wrong value is known before the first trial has taken hours.
    first, *others = trials_to_check(dimensions, [] if trials else grid(dimensions))
    config = compose((*fixed, *first, *named), config_dir=config_dir).config
    name = f"name={config.name}-000"
    configs = [config, *(compose((*fixed, *row, name), config_dir=config_dir).config for row in others)]
    check_metric(metric, configs)
    # Trials beside each other share the cores; what a trial computes must not depend on how many there are.
    if launcher == "local" and jobs > 1 and not any(word.startswith("runtime.threads=") for word in fixed):
        fixed = (*fixed, f"runtime.threads={max(1, usable_cores() // jobs)}")
    asked = Asked(
        name=config.name,
        words=fixed,
        varied=tuple(word for word, dimension in pairs if dimension is not None),
        metric=metric,
        trials=trials or 0,
        seed=config.seed,
        parallel=jobs if trials else 1,
    )
    return asked, dimensions


def _space_words(path: Path) -> list[str]:
    """The words of a file: ``words``, a list, and ``vary``, a table of key to values in the same grammar."""
    try:
        stored: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--space {path} cannot be read",
            code="sweep.space",
            got=" ".join(str(error).split()),
            next_step="see examples/sweep.yaml",
        ) from error
    known = {"words", "vary"}
    if not isinstance(stored, dict) or not set(stored) <= known:
        raise UsageError(
            f"--space {path} is no description of a sweep",
            code="sweep.space",
            got=", ".join(map(str, stored)) if isinstance(stored, dict) else type(stored).__name__,
            wanted="the keys words (a list of overrides) and vary (key: values)",
            next_step="see examples/sweep.yaml",
        )
    return [
        *map(str, stored.get("words") or []),
        *(f"{k}={v}" for k, v in (stored.get("vary") or {}).items()),
    ]


def start(
    asked: Asked,
    dimensions: Sequence[Dimension],
    *,
    home: Home,
    config_dir: Path | None,
    jobs: int,
    launcher: str,
    slurm: Sequence[str],
    network_allowed: bool,
    reporter: Reporter,
) -> Record:
    """Run the sweep, or go on with it, as the only process that does.

    Raises UsageError when another sweep has its name.
    """
    taken = UsageError(
        f"another process is working on the sweep '{asked.name}'",
        code="sweep.locked",
        next_step="wait for it, or choose another name=…",
    )
    with exclusive(home.sweep(asked.name) / ".lock", taken=taken):
        record = Record.open(home, asked)
        search = _search(asked, dimensions, record)
        runs: Launcher = Local()
        if launcher == "slurm":
            runs = Submitted(record.path.parent / "jobs", cluster="slurm", parameters=slurm_parameters(slurm))
        return run_sweep(record, search, runs, Place(home, config_dir, jobs, network_allowed), reporter)


def _search(asked: Asked, dimensions: Sequence[Dimension], record: Record) -> Search:
    if not asked.trials:
        return Grid(dimensions)
    higher = asked.metric in HIGHER_IS_BETTER
    return Sampled(asked, dimensions, path=record.path.parent / "study.db", higher=higher)
