"""Stage ``export``: the trained weights as a Hugging Face directory with a model card."""

from __future__ import annotations

from typing import Any

from codex_ml.checkpointing.retention import remove
from codex_ml.core.publish import MANIFEST, read_json, staged, verify_directory
from codex_ml.errors import IntegrityError
from codex_ml.modeling.export import write_export
from codex_ml.modeling.golden import write_golden
from codex_ml.modeling.size import model_size
from codex_ml.pipeline.card import model_card
from codex_ml.pipeline.context import Work
from codex_ml.pipeline.export_pretrained import write_pretrained
from codex_ml.provenance.facts import as_metadata, run_facts


def export(work: Work) -> None:
    """Publish ``export/``; one of the same weights and figures that verifies stays as it is."""
    assert work.target is not None and work.evaluation is not None and work.dataset is not None
    target, directory = work.target, work.directory.export
    figures = work.evaluation.values()
    meta: dict[str, Any] = {"weights_sha256": target.weights_sha256, "metrics": figures}
    if directory.is_dir():
        if _current(work, meta):
            return
        remove(directory)
    facts = {
        "format": 1,
        "run": target.run_name,
        "run_id": work.record["run_id"],
        "step": target.step,
        "weights_sha256": target.weights_sha256,
        "config": work.record["config"],
        "resolved": work.record["resolved"],
        "inputs": work.record["inputs"],
        "metrics": figures,
        "facts": run_facts(work.record),
        "parameters": model_size(work.config.model, vocab_size=target.vocab_size).parameters,
    }
    with staged(directory, meta=meta) as stage:
        if target.pretrained:
            write_pretrained(stage, work, facts)
            return
        tokenizer = target.load_tokenizer()
        write_export(
            stage,
            weights=target.weights,
            tokenizer=target.tokenizer,
            cfg=target.config.model,
            vocab_size=target.vocab_size,
            pad_id=tokenizer.pad_id,
            end_id=tokenizer.eos_id,
            facts=facts,
            card=model_card(facts),
            metadata=as_metadata(facts["facts"]),
        )
        write_golden(stage, source=target.tokenizer)


def _current(work: Work, meta: dict[str, Any]) -> bool:
    directory = work.directory.export
    try:
        verify_directory(directory)
    except IntegrityError as error:
        work.reporter.say(f"the export is damaged and is written again: {error.what}")
        return False
    stored = read_json(directory / MANIFEST)
    return all(stored.get(name) == value for name, value in meta.items())
