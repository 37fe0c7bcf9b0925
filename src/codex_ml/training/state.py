"""Everything that changes during training and is no tensor; the closed world of state.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from codex_ml.errors import CheckpointLoadError


@dataclass
class Progress:
    """Counters and memories of the loop. The data position is ``step``: batches are computed from it."""

    step: int = 0
    tokens: int = 0
    samples: int = 0
    micro_steps: int = 0
    skipped: int = 0
    recent_losses: list[float] = field(default_factory=list)
    best_loss: float | None = None
    evaluations_without_gain: int = 0
    last_evaluation: dict[str, float] = field(default_factory=dict)
    stopped_early: bool = False
    journal_head: str = ""
    journal_bytes: int = 0

    @property
    def evaluated(self) -> bool:
        """Whether the last evaluation was one of this very state."""
        return self.last_evaluation.get("step") == self.step

    def metrics(self) -> dict[str, float]:
        """The figures of an evaluation of this very state, or none."""
        if not self.evaluated:
            return {}
        return {name: value for name, value in self.last_evaluation.items() if name != "step"}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """Restore; raises CheckpointLoadError for a missing or an unknown part."""
        expected = {item.name for item in fields(cls)}
        if expected != set(values):
            odd = sorted(expected ^ set(values))
            raise CheckpointLoadError(
                "the training state has other parts than this version knows",
                code="checkpoint.state",
                got=", ".join(odd),
                wanted=", ".join(sorted(expected)),
            )
        return cls(**values)
