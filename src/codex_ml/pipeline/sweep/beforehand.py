"""What is looked at before the first trial of a sweep, which may take hours."""

from __future__ import annotations

from collections.abc import Sequence

from codex_ml.config.schema import RunConfig
from codex_ml.config.space import Choice, Dimension
from codex_ml.errors import ConfigError, did_you_mean
from codex_ml.metrics.functions import MEASURED, MEASURED_ALWAYS

#: So many configs are composed, each in 0.1 to 0.2 s.
MOST_CHECKED = 32


def trials_to_check(
    dimensions: Sequence[Dimension], trials: Sequence[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """The words of the trials that are composed beforehand, at most `MOST_CHECKED`.

    Each value once beside the first of the others, of an interval its ends; then the *trials* of a grid.
    """
    options = [_words_of(dimension) for dimension in dimensions]
    first = tuple(words[0] for words in options)
    alone = [(*first[:at], word, *first[at + 1 :]) for at, words in enumerate(options) for word in words]
    rows = _share(list(dict.fromkeys((first, *alone))), most=MOST_CHECKED)
    known = set(rows)
    return rows + _share([row for row in trials if row not in known], most=MOST_CHECKED - len(rows))


def _share(rows: list[tuple[str, ...]], *, most: int) -> list[tuple[str, ...]]:
    """All rows or, of more than *most*, so many from the first to the last."""
    if len(rows) <= most:
        return rows
    return [rows[at * (len(rows) - 1) // max(1, most - 1)] for at in range(most)]


def check_metric(metric: str, configs: Sequence[RunConfig]) -> None:
    """Raise ConfigError for a metric that no trial will have.

    What a plugin's task measures is known only once it was run.
    """
    tasks = {task for config in configs for task in config.eval.tasks}
    if not tasks <= MEASURED.keys():
        return
    known = {name for task in tasks for name in MEASURED[task]} | MEASURED_ALWAYS
    if metric not in known:
        raise ConfigError(
            f"no trial will have the metric '{metric}'",
            code="sweep.metric",
            got=f"eval.tasks=[{','.join(sorted(tasks))}]",
            wanted=", ".join(sorted(known)),
            next_step=did_you_mean(metric, known),
        )


def _words_of(dimension: Dimension) -> list[str]:
    """The overrides of a dimension's values; of an interval its ends."""
    if isinstance(dimension, Choice):
        return [dimension.word(value) for value in dimension.values]
    return [dimension.word(dimension.low), dimension.word(dimension.high)]
