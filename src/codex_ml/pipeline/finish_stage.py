"""Stages ``result`` and ``report``: the figures in run.json, and the page for people."""

from __future__ import annotations

from codex_ml.modeling.size import model_size
from codex_ml.monitoring.sampler import FILE as SAMPLES
from codex_ml.monitoring.summary import summarise
from codex_ml.pipeline.context import Work
from codex_ml.provenance.results import training_speed
from codex_ml.report.page import write_report
from codex_ml.tracking.opening import context_of, mirrored, opened

#: Files of a run that trackers with room for files get a copy of, and how large one may be.
_WORTH_A_COPY = ("run.json", "report.html", "metrics.ndjson", "metrics.csv", SAMPLES, "eval/*.json")
_LARGEST = 10 << 20


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
        "system": summarise(work.directory.path / SAMPLES),
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
        _send_files(work)


def _send_files(work: Work) -> None:
    """Hand the files for people to the trackers that take files."""
    if not mirrored(work.config.tracking):
        return
    assert work.target is not None
    found = [path for pattern in _WORTH_A_COPY for path in sorted(work.directory.path.glob(pattern))]
    context = context_of(
        work.config,
        directory=work.directory.path,
        run_id=str(work.record["run_id"]),
        resume_step=work.target.step,
        network_allowed=work.request.network_allowed,
    )
    with opened(context, artifacts=[path for path in found if path.stat().st_size <= _LARGEST]):
        """Nothing more to record."""
