"""What a tracker may know of the run that it mirrors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex_ml.config.keys import flatten
from codex_ml.config.schema import RunConfig
from codex_ml.config.schema.tracking import TrackingConfig
from codex_ml.core.redact import redact_text, redact_value
from codex_ml.metrics import MetricRecord
from codex_ml.provenance.pseudonyms import pseudonyms, without_homes

#: The phase of the one record that says what a file of metrics is of.
START = "start"


@dataclass(frozen=True)
class TrackerContext:
    """One opening of a run's trackers.

    Records beyond *resume_step* come again, and those at it whose split and phase are *again*
    ("validation/train"). *params* are the config's keys, *facts* what tells of code, data and machine;
    neither holds a secret. *cfg* is None for files that belong to no run.
    """

    run_directory: Path
    run_id: str
    name: str = ""
    resume_step: int = 0
    again: str | None = None
    cfg: TrackingConfig | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    network_allowed: bool = False

    @property
    def tags(self) -> dict[str, str]:
        """The facts under names of their own, with the run's id, for a tracker's tags."""
        return {f"codex_ml.{name}": value for name, value in {**self.facts, "run_id": self.run_id}.items()}

    def start_record(self) -> MetricRecord | None:
        """What stands first in a new file of metrics; None where there are no facts."""
        if not self.facts:
            return None
        return MetricRecord(self.run_id, 0, "run", START, START, 0.0, time.time(), facts=dict(self.facts))


def params_of(config: RunConfig) -> dict[str, Any]:
    """Every key of a config with its value, without secrets and names of host, user and home directory."""
    names = pseudonyms()
    return {
        key: names.value(without_homes(redact_value(value, key))) for key, value in flatten(config).items()
    }


def clean_facts(facts: Mapping[str, object]) -> dict[str, str]:
    """Facts as text, without secrets; what is not known is left out."""
    return {name: redact_text(str(value)) for name, value in facts.items() if value not in ("", None)}
