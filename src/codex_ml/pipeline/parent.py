"""The weights that ``train.init_from`` names, and the run that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.digest import digest_file
from codex_ml.errors import ConfigError
from codex_ml.evaluation.target import find_target
from codex_ml.pipeline.context import Work
from codex_ml.provenance.pseudonyms import shortened

_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Parent:
    """Where a run's first weights come from; *weights* is None once they are no longer needed."""

    run: str
    step: int
    weights_sha256: str
    weights: Path | None

    def as_dict(self) -> dict[str, Any]:
        return {"run": self.run, "step": self.step, "weights_sha256": self.weights_sha256}


def find_parent(work: Work, *, weights_needed: bool = False) -> Parent | None:
    """Open the parent of a new run; one that has a checkpoint of its own no longer needs it.

    Raises UsageError when there is no such parent, ConfigError when it has another tokenizer.
    """
    named = work.config.train.init_from
    if named is None:
        return None
    known = _recorded(work, named)
    if known is not None and not weights_needed and work.directory.newest_step():
        return known
    target = find_target(named, home=work.request.home)
    assert work.dataset is not None
    own = work.dataset.tokenizer.directory
    if digest_file(target.tokenizer / _TOKENIZER) != digest_file(own / _TOKENIZER):
        raise ConfigError(
            f"train.init_from={named} was trained with another tokenizer",
            code="config.init-tokenizer",
            got=str(own),
            wanted=str(target.tokenizer),
            next_step=f"add tokenizer.path={target.tokenizer} "
            f"tokenizer.vocab_size={target.config.tokenizer.vocab_size}",
        )
    return Parent(target.run_name, target.step, target.weights_sha256, target.weights)


def _recorded(work: Work, named: str) -> Parent | None:
    """The parent in the record of an existing run that was started with the same words."""
    if not work.directory.manifest.is_file():
        return None
    record = work.directory.read()
    parents = record.get("parents", [])
    if not parents or record["config"]["train"]["init_from"] not in (named, shortened(named)):
        return None
    return Parent(**parents[0], weights=None)
