"""Stage ``train``: open or continue the run's directory and train to the last step."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from codex_ml.checkpointing.layout import step_of
from codex_ml.config.components import plugins_of
from codex_ml.core.offline import network_denied
from codex_ml.core.redact import redact_value
from codex_ml.errors import TrainingError
from codex_ml.evaluation.target import find_target
from codex_ml.modeling.size import model_size
from codex_ml.pipeline.context import Work
from codex_ml.pipeline.parent import Parent, find_parent
from codex_ml.pipeline.plan import check_memory
from codex_ml.provenance.code import capture_code
from codex_ml.provenance.determinism import DeterminismReport, apply_determinism, seeds_of, set_seed
from codex_ml.provenance.environment import capture_env, source_digest
from codex_ml.provenance.facts import run_facts
from codex_ml.provenance.opening import Asked, begin_segment, grade_of, lowered_since, open_run
from codex_ml.provenance.packages import libraries, plugin_facts
from codex_ml.provenance.pseudonyms import pseudonyms, shortened
from codex_ml.training.distributed import World, joined
from codex_ml.training.engines.hf_trainer import run_hf_trainer
from codex_ml.training.engines.native import train as train_native
from codex_ml.training.engines.start import Job
from codex_ml.training.resolve import ResolvedRun, resolve, resolve_threads
from codex_ml.training.schedule import may_grow

#: train.engine -> what drives the steps
ENGINES = {"native": train_native, "hf": run_hf_trainer}


def train(work: Work) -> None:
    """Train the run of the request, or find it finished."""
    assert work.dataset is not None
    report = settle(work)
    vocab_size = work.dataset.tokenizer.vocab_size
    work.resolved = resolve(work.config, vocab_size=vocab_size, before=_compiled_before(work))
    check_memory(work.config, vocab_size=vocab_size)
    parent = find_parent(work)
    sharded = work.config.runtime.sharding == "fsdp2"
    with joined(device=torch.device(work.resolved.device), sharded=sharded) as world:
        asked = asked_of(work, work.resolved, report, parent)
        if world.is_main:
            asked = with_provenance(work, asked)
        _open(work, asked, world)
        _announce(work, work.resolved, report)
        engine = ENGINES[work.config.train.engine]
        work.outcome = engine(
            _job(work, work.resolved, parent, asked),
            world=world,
            resume_from=_named_checkpoint(work),
            on_start=lambda step: begin_segment(work.directory, work.record, asked, from_step=step),
            reporter=work.reporter,
        )
    _require_change(work)
    if work.outcome.already_finished:
        work.reporter.say(f"training is finished already (step {work.outcome.checkpoint.step})")
    if work.main:
        work.target = find_target(str(work.directory.path), home=work.request.home)


def _require_change(work: Work) -> None:
    """Raise TrainingError when a new adapter is still what every new adapter is: nothing."""
    lora = work.config.model.lora
    if not work.main or not lora.r or lora.path is not None:
        return
    assert work.outcome is not None
    tensors = work.outcome.checkpoint.model_tensors()
    if not any(bool(value.any()) for name, value in tensors.items() if ".lora_B." in name):
        raise TrainingError(
            "training left the adapter without any effect",
            code="model.no-op",
            got=f"every lora_B is zero after {work.outcome.checkpoint.step} steps",
            next_step="look at train.lr, and at what is trained with `codex-ml data inspect`",
        )


def _open(work: Work, asked: Asked, world: World) -> None:
    """Rank 0 opens the run; every worker gets its record."""
    if world.is_main:
        schedule = work.config.train.schedule
        work.record = open_run(
            work.directory,
            asked,
            accept=work.request.accept,
            may_grow=functools.partial(may_grow, cfg=schedule),
        )
    work.record = world.share(work.record)


def _named_checkpoint(work: Work) -> Path | None:
    """The checkpoint of --resume-from, unless the same words went on from it already, and further."""
    named = work.request.resume_from
    if named is None or not work.record["segments"]:
        return named
    before = work.record["segments"][-1].get("resume_from")
    if before in (str(named.resolve()), shortened(str(named.resolve()))) and work.directory.newest_step() > (
        step_of(named) or 0
    ):
        work.reporter.say(f"{named} was gone on from before; going on from the newest checkpoint")
        return None
    return named


def asked_of(work: Work, resolved: ResolvedRun, report: DeterminismReport, parent: Parent | None) -> Asked:
    """The identity of what this call would run here."""
    assert work.dataset is not None
    inputs = {
        "dataset": work.dataset.digest,
        "tokenizer": work.dataset.tokenizer.digest,
        "vocab_size": work.dataset.tokenizer.vocab_size,
        "code": source_digest(),
        "initial_weights": parent.weights_sha256 if parent else None,
        **{f"libraries.{name}": text for name, text in libraries(pretrained=work.base is not None).items()},
        **(work.base.inputs(engine=work.config.train.engine) if work.base else {}),
        **{f"plugins.{row['kind']}/{row['name']}": _contents_of(row) for row in _computing(work)},
    }
    return Asked(
        config=work.config,
        resolved={**resolved.as_dict(), "grade": report.grade, "lowered_by": list(report.lowered_by)},
        inputs=inputs,
        provenance={},
        parents=[parent.as_dict()] if parent else [],
        resume_from=shortened(str(work.request.resume_from.resolve())) if work.request.resume_from else None,
    )


def _computing(work: Work) -> list[dict[str, str]]:
    """The plugins that can change a bit of the run; trackers and callbacks only look on."""
    rows = plugin_facts(plugins_of(work.config))
    return [row for row in rows if row["kind"] not in ("trackers", "callbacks")]


def _contents_of(row: Mapping[str, str]) -> str:
    return f"{row['target']} of {row['distribution']} {row['version']} {row['sha256'][:16]}"


def with_provenance(work: Work, asked: Asked) -> Asked:
    """*asked* with the record of code, environment, seeds and call as they are at this start."""
    home, names = work.request.home, pseudonyms()
    code = capture_code(Path.cwd(), leave_out=(home.runs, home.store.parent), names=names)
    provenance = {
        "code": code.facts,
        "environment": capture_env(home.runs, names=names),
        "plugins": plugin_facts(plugins_of(work.config)),
        "seeds": {"run": work.config.seed, **seeds_of(work.config.seed)},
        "call": {
            "argv": names.value(redact_value(list(sys.argv))),
            "directory": names.text(str(Path.cwd())),
        },
        "offline": {
            "python_sockets_denied": network_denied(),
            "allowed": work.request.network_allowed,
        },
    }
    return dataclasses.replace(asked, provenance=provenance, files=code.files())


def _job(work: Work, resolved: ResolvedRun, parent: Parent | None, asked: Asked) -> Job:
    assert work.dataset is not None
    return Job(
        config=work.config,
        resolved=resolved,
        dataset=work.dataset.directory,
        vocab_size=work.dataset.tokenizer.vocab_size,
        directory=work.directory,
        run_id=str(work.record["run_id"]),
        facts={**run_facts(work.record, asked.provenance), "grade": grade_of(work.record, asked)},
        base=base_of(work, parent),
        base_sha256=work.base.weights_sha256 if work.base else None,
        network_allowed=work.request.network_allowed,
    )


def base_of(work: Work, parent: Parent | None) -> Path | None:
    """What the model starts from: a pretrained directory, or a parent's weights; None: drawn anew."""
    if work.base is not None:
        return work.base.directory
    return parent.weights if parent else None


def _compiled_before(work: Work) -> bool | None:
    """What an existing run of this name decided on compilation."""
    if not work.directory.journal.exists() or not work.directory.manifest.exists():
        return None
    return bool(work.directory.read()["resolved"]["compile"])


def settle(work: Work) -> DeterminismReport:
    """Threads, seeds and deterministic kernels for this process; the first thing that uses torch."""
    report = apply_determinism(
        mode=work.config.runtime.determinism,
        threads=resolve_threads(work.config),
        compile_cache=work.request.home.compile_cache,
    )
    set_seed(work.config.seed)
    return report


def _announce(work: Work, resolved: ResolvedRun, report: DeterminismReport) -> None:
    assert work.dataset is not None
    size = model_size(work.config.model, vocab_size=work.dataset.tokenizer.vocab_size)
    how = "compiled" if resolved.compile else "not compiled"
    since = [text for text in lowered_since(work.record) if text not in report.lowered_by]
    report = report.lowered(*since)
    lowered = f" (lowered by {', '.join(report.lowered_by)})" if report.lowered_by else ""
    workers = f", {resolved.workers} workers" if resolved.workers > 1 else ""
    facts: dict[str, Any] = {
        "model": f"{size.parameters / 1e6:.2f} M parameters",
        "device": f"{resolved.device} ({resolved.device_name}), {resolved.threads} threads{workers}",
        "dtype": f"{resolved.dtype}: {resolved.dtype_reason}",
        "step": f"{how}: {resolved.compile_reason}",
        "determinism": f"{report.grade}{lowered}",
    }
    for name, text in {**facts, **_about_base(work)}.items():
        work.reporter.say(f"{name}: {text}")


def _about_base(work: Work) -> dict[str, str]:
    """What a fine-tuning run stands on, and what of it is trained."""
    if work.base is None:
        return {}
    lora = work.config.model.lora
    adapter = f"new {lora.variant}, rank {lora.r}, on {', '.join(lora.targets)}"
    if lora.path is not None:
        adapter = f"goes on from {lora.path}; its own rank and targets count"
    elif not lora.r:
        adapter = "none: every weight is trained"
    return {"base": f"{work.base.weights_sha256[:12]} ({work.base.directory})", "adapter": adapter}
