"""Stage ``train``: open or continue the run's directory and train to the last step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codex_ml.core.offline import network_denied
from codex_ml.evaluation.target import find_target
from codex_ml.modeling.size import model_size
from codex_ml.pipeline.context import Work
from codex_ml.pipeline.plan import check_memory
from codex_ml.provenance.determinism import DeterminismReport, apply_determinism, set_seed
from codex_ml.provenance.environment import capture_env, usable_cores
from codex_ml.provenance.git import git_state
from codex_ml.provenance.run_directory import begin_segment, open_run
from codex_ml.training.engines.native import train as train_native
from codex_ml.training.resolve import ResolvedRun, resolve


def train(work: Work) -> None:
    """Train the run of the request, or find it finished."""
    assert work.dataset is not None
    config, request = work.config, work.request
    report = settle(work)
    vocab_size = work.dataset.tokenizer.vocab_size
    work.resolved = resolve(config, vocab_size=vocab_size, before=_compiled_before(work))
    check_memory(config, vocab_size=vocab_size)
    environment = capture_env()
    provenance = {
        "environment": environment,
        "git": git_state(Path.cwd()),
        "offline": {"python_sockets_denied": network_denied(), "allowed": request.network_allowed},
    }
    work.record = open_run(
        work.directory,
        config=config,
        resolved={**work.resolved.as_dict(), "grade": report.grade, "lowered_by": list(report.lowered_by)},
        inputs={
            "dataset": work.dataset.digest,
            "tokenizer": work.dataset.tokenizer.digest,
            "vocab_size": vocab_size,
            "code": environment["codex_ml"]["source_sha256"],
        },
        provenance=provenance,
    )
    _announce(work, work.resolved, report)
    work.outcome = train_native(
        config,
        resolved=work.resolved,
        dataset=work.dataset.directory,
        vocab_size=vocab_size,
        directory=work.directory,
        run_id=str(work.record["run_id"]),
        resume_from=request.resume_from,
        on_start=lambda step: begin_segment(
            work.directory, work.record, from_step=step, config=config, provenance=provenance
        ),
        reporter=work.reporter,
    )
    if work.outcome.already_finished:
        work.reporter.say(f"training is finished already (step {work.outcome.checkpoint.step})")
    work.target = find_target(str(work.directory.path), home=request.home)


def _compiled_before(work: Work) -> bool | None:
    """What an existing run of this name decided on compilation."""
    if not work.directory.journal.exists() or not work.directory.manifest.exists():
        return None
    return bool(work.directory.read()["resolved"]["compile"])


def settle(work: Work) -> DeterminismReport:
    """Threads, seeds and deterministic kernels for this process; the first thing that uses torch."""
    runtime = work.config.runtime
    report = apply_determinism(
        exact=runtime.determinism == "exact",
        threads=usable_cores() if runtime.threads == "auto" else runtime.threads,
        compile_cache=work.request.home.compile_cache,
    )
    set_seed(work.config.seed)
    return report


def _announce(work: Work, resolved: ResolvedRun, report: DeterminismReport) -> None:
    assert work.dataset is not None
    size = model_size(work.config.model, vocab_size=work.dataset.tokenizer.vocab_size)
    how = "compiled" if resolved.compile else "not compiled"
    lowered = f" (lowered by {', '.join(report.lowered_by)})" if report.lowered_by else ""
    facts: dict[str, Any] = {
        "model": f"{size.parameters / 1e6:.2f} M parameters",
        "device": f"{resolved.device} ({resolved.device_name}), {resolved.threads} threads",
        "dtype": f"{resolved.dtype}: {resolved.dtype_reason}",
        "step": f"{how}: {resolved.compile_reason}",
        "determinism": f"{report.grade}{lowered}",
    }
    for name, text in facts.items():
        work.reporter.say(f"{name}: {text}")
