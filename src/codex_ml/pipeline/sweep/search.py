"""Which trials come next: the grid at once, or samples of Optuna in rounds.

Optuna's sampler (TPE: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011) is made anew for
each proposal, seeded by the sweep's seed and the trial's number. So a proposal follows from the trials before
it and nothing else, and a sweep that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from codex_ml.config.space import Choice, Dimension, grid
from codex_ml.core.draws import draw_seed
from codex_ml.core.optional import require
from codex_ml.errors import UsageError
from codex_ml.pipeline.sweep.record import Asked, Trial


class Search(Protocol):
    """Proposes the words of trials, and is told what became of them."""

    def propose(self, known: Sequence[Trial]) -> list[tuple[str, ...]]:
        """The words of the next trials, none when the sweep is complete; *known* are all before them."""
        ...

    def tell(self, trial: Trial) -> None:
        """One trial has ended."""
        ...


class Grid:
    """Every combination, in one round."""

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._words = grid(dimensions)

    def propose(self, known: Sequence[Trial]) -> list[tuple[str, ...]]:
        return self._words[len(known) :]

    def tell(self, trial: Trial) -> None:
        """A grid does not learn."""


class Sampled:
    """Samples of a seeded study in ``study.db``; that of an interrupted sweep is gone on with."""

    def __init__(self, asked: Asked, dimensions: Sequence[Dimension], *, path: Path, higher: bool) -> None:
        self._optuna: Any = require("optuna", extra="sweep")
        self._optuna.logging.set_verbosity(logging.WARNING)
        self._asked, self._dimensions = asked, dimensions
        path.parent.mkdir(parents=True, exist_ok=True)
        self._study = self._optuna.create_study(
            storage=f"sqlite:///{path}",
            study_name=asked.name,
            direction="maximize" if higher else "minimize",
            load_if_exists=True,
        )
        keys = {d.key for d in dimensions}
        other = [sorted(t.params) for t in self._study.get_trials(deepcopy=False) if t.params.keys() != keys]
        if other:
            raise UsageError(
                f"the study of the sweep '{asked.name}' is of another space",
                code="sweep.identity",
                got=", ".join(other[0]),
                wanted=", ".join(sorted(keys)),
                next_step=f"choose another name=…, or move {path} away",
            )

    def propose(self, known: Sequence[Trial]) -> list[tuple[str, ...]]:
        count = min(self._asked.parallel, self._asked.trials - len(known))
        return [self._ask(number) for number in range(len(known), len(known) + count)]

    def _ask(self, number: int) -> tuple[str, ...]:
        made = self._study.get_trials(deepcopy=False)
        if number < len(made):  # asked for before a kill, and not recorded in sweep.json any more
            params = made[number].params
        else:
            seed = draw_seed(self._asked.seed, "sweep.trial", number) % (1 << 32)
            self._study.sampler = self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            params = self._study.ask({d.key: self._distribution(d) for d in self._dimensions}).params
        return tuple(dimension.word(params[dimension.key]) for dimension in self._dimensions)

    def _distribution(self, dimension: Dimension) -> Any:
        distributions = self._optuna.distributions
        if isinstance(dimension, Choice):
            return distributions.CategoricalDistribution(dimension.values)
        if dimension.whole:
            low, high = int(dimension.low), int(dimension.high)
            return distributions.IntDistribution(low, high, log=dimension.log)
        return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)

    def tell(self, trial: Trial) -> None:
        state = self._optuna.trial.TrialState
        stored = self._study.get_trials(deepcopy=False)[trial.number]
        if stored.state.is_finished():
            return
        if trial.state == "finished" and trial.value is not None:
            self._study.tell(trial.number, trial.value)
        elif trial.state == "failed":
            self._study.tell(trial.number, state=state.FAIL)
