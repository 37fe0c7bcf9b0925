"""Run evaluation tasks on a target and keep the result; the same question is not computed twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from codex_ml.config.keys import to_dict
from codex_ml.config.schema import EvalConfig
from codex_ml.core.digest import digest_json
from codex_ml.core.publish import read_json, write_json
from codex_ml.data.prepare import DatasetRef
from codex_ml.data.sft.prepare import SamplesRef
from codex_ml.errors import DataError, IntegrityError
from codex_ml.evaluation.target import Target
from codex_ml.evaluation.task import EvalContext, Measured
from codex_ml.interfaces.reporter import Reporter
from codex_ml.metrics import MetricRecord
from codex_ml.registry import registry_for


@dataclass(frozen=True)
class Evaluation:
    """Measured metrics of one target on one split."""

    metrics: dict[str, Measured]
    question: str
    split: str
    dataset: str
    fresh: bool

    def values(self) -> dict[str, float]:
        return {name: measured.value for name, measured in self.metrics.items()}

    def records(self, *, run_id: str, step: int) -> list[MetricRecord]:
        """The result as metric records, with n and intervals."""
        now = time.time()
        return [
            MetricRecord(
                run_id, step, self.split, "eval", name, m.value, now, self.dataset, m.n, m.ci_low, m.ci_high
            )
            for name, m in self.metrics.items()
        ]


def _stored(file: Path) -> dict[str, Measured] | None:
    """The answer kept in *file*; None when it is damaged, so that it is measured again."""
    try:
        stored: dict[str, Any] = read_json(file)
        return {name: Measured(**row) for name, row in stored["metrics"].items()}
    except (IntegrityError, KeyError, TypeError, AttributeError):
        return None


def _texts(dataset: DatasetRef | SamplesRef, split: str) -> Iterator[bytes]:
    """The documents themselves, for tasks that read them."""
    if isinstance(dataset, SamplesRef):
        raise DataError(
            "this task reads whole documents, and the data are samples",
            code="eval.samples",
            wanted="eval.tasks=[lm]",
        )
    return (document.text.encode() for document in dataset.corpus.documents(split))


def evaluate(
    target: Target,
    *,
    dataset: DatasetRef | SamplesRef,
    split: str,
    tasks: Sequence[str],
    cfg: EvalConfig,
    device: torch.device,
    keep_in: Path | None,
    reporter: Reporter,
) -> Evaluation:
    """Measure *tasks*. With *keep_in*, a stored answer to the same question is returned instead.

    Raises NotFoundError for an unknown task, DataError when the split is empty.
    """
    asked = {
        "weights": target.weights_sha256,
        "dataset": dataset.digest,
        "split": split,
        "tasks": list(tasks),
        "settings": to_dict(cfg),
        "seed": target.config.seed,
        "device": device.type,
        "dtype": target.dtype,
    }
    question = digest_json(asked)
    file = keep_in / f"step-{target.step:08d}-{question[:12]}.json" if keep_in else None
    kept = _stored(file) if file is not None and file.is_file() else None
    if kept is not None:
        return Evaluation(kept, question, split, dataset.digest, fresh=False)
    rows = dataset.split(split)
    if rows.eval_rows() == 0:
        raise DataError(
            f"the split '{split}' has no rows",
            code="eval.empty",
            got=f"data.split.{split}={getattr(target.config.data.split, split):g}",
            wanted="a split with a share of the data",
        )
    context = EvalContext(
        model=target.load_model(device=device),
        tokenizer=target.load_tokenizer(),
        split=rows,
        texts=lambda: _texts(dataset, split),
        cfg=cfg,
        seed=target.config.seed,
        device=device,
        reporter=reporter,
    )
    metrics: dict[str, Measured] = {}
    for name in tasks:
        metrics |= registry_for("eval_tasks").get(name)(context)
    if file is not None:
        found = {name: asdict(measured) for name, measured in metrics.items()}
        write_json(file, {"asked": asked, "question": question, "metrics": found})
    return Evaluation(metrics, question, split, dataset.digest, fresh=True)
