"""What the stages of one pipeline hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_ml.config.schema import RunConfig
from codex_ml.core.paths import Home
from codex_ml.interfaces.reporter import Reporter
from codex_ml.provenance.run_directory import RunDirectory

if TYPE_CHECKING:
    from codex_ml.data.prepare import DatasetRef
    from codex_ml.data.sft.prepare import SamplesRef
    from codex_ml.evaluation.runner import Evaluation
    from codex_ml.evaluation.target import Target
    from codex_ml.pipeline.base import Base
    from codex_ml.training.engines.start import TrainOutcome
    from codex_ml.training.resolve import ResolvedRun


@dataclass(frozen=True)
class Request:
    """What was asked for: a config and how to treat an existing run."""

    config: RunConfig
    home: Home
    resume_from: Path | None = None
    accept: tuple[str, ...] = ()
    network_allowed: bool = False

    @property
    def directory(self) -> RunDirectory:
        return RunDirectory(self.home.run(self.config.name))


@dataclass
class Work:
    """The request and what the stages have made of it so far, in their order.

    *main* is false on the workers that only help to train.
    """

    request: Request
    reporter: Reporter
    dataset: DatasetRef | SamplesRef | None = None
    base: Base | None = None
    resolved: ResolvedRun | None = None
    record: dict[str, Any] = field(default_factory=dict)
    outcome: TrainOutcome | None = None
    target: Target | None = None
    main: bool = True
    evaluation: Evaluation | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def config(self) -> RunConfig:
        return self.request.config

    @property
    def directory(self) -> RunDirectory:
        return self.request.directory
