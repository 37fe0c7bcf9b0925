"""Stages ``result`` and ``report``: the figures in run.json, and the page for people."""

from __future__ import annotations

from codex_ml.modeling.size import model_size
from codex_ml.pipeline.context import Work
from codex_ml.provenance.results import training_speed
from codex_ml.report.page import write_report


def result(work: Work) -> None:
    """Put the measured figures and the weights digest into ``run.json``."""
    assert work.target is not None and work.evaluation is not None
    size = model_size(work.config.model, vocab_size=work.target.vocab_size)
    metrics = {**work.evaluation.values(), "tokens_per_second": training_speed(work.directory.metrics)}
    facts = {
        "step": work.target.step,
        "weights_sha256": work.target.weights_sha256,
        "parameters": size.parameters,
        "metrics": metrics,
    }
    before = work.record.get("result", {})
    if {name: before.get(name) for name in facts} != facts:
        work.record["result"] = {**facts, "seconds": dict(work.seconds)}
        work.record.pop("files", None)
        work.directory.write(work.record)
        work.directory.report.unlink(missing_ok=True)


def report(work: Work) -> None:
    """Write ``report.html`` where the result has none yet."""
    assert work.dataset is not None
    if not work.directory.report.is_file():
        work.directory.unseal(work.record)
        write_report(work.directory, dataset=work.dataset)
