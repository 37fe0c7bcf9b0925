"""The export of a fine-tuned model: merged weights, the adapter beside them, and the proof of its effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codex_ml.checkpointing.reader import read_tensors
from codex_ml.core.publish import write_json
from codex_ml.core.safetensors_metadata import copy_with_metadata
from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora, read_weights
from codex_ml.modeling.device import DTYPES
from codex_ml.modeling.export_model import stored_dtype, write_model
from codex_ml.modeling.lora import load_adapter_tensors, merge, save_adapter
from codex_ml.modeling.pretrained import Pretrained
from codex_ml.modeling.pretrained_files import TEMPLATE, PretrainedFiles, inspect_directory
from codex_ml.modeling.probe import TOLERANCE, logit_digest, probe_logits, require_effect, require_same
from codex_ml.pipeline.card import model_card
from codex_ml.pipeline.context import Work
from codex_ml.provenance.facts import as_metadata

ADAPTER = "adapter"


def write_pretrained(stage: Path, work: Work, facts: dict[str, Any]) -> None:
    """Fill *stage*: what was trained inside the base's weights, as a Hugging Face directory.

    Everything is computed in float32, where an error can be told from rounding, and stored in the dtype of
    the base. The logits of a fixed probe go with it as digests: of the base, under the adapter, merged, and
    read again from *stage*. Raises TrainingError when training changed no logit, IntegrityError when the
    merged or the written model computes something else.
    """
    assert work.base is not None and work.target is not None and work.dataset is not None
    files = inspect_directory(work.base.directory)
    dtype = DTYPES[stored_dtype(files)]
    model, exact, proof = _trained(work, files, stage=stage)
    model.to(dtype)
    own = work.config.tokenizer.path is not None
    template = work.dataset.directory / TEMPLATE
    write_model(
        model,
        stage,
        files=files,
        tokenizer=work.target.tokenizer if own else None,
        template=template.read_text(encoding="utf-8") if template.is_file() else None,
    )
    del model  # what counts from here on is what stands on the disk
    for weights in stage.rglob("*.safetensors"):  # the adapter's too
        copy_with_metadata(weights, weights, as_metadata(facts["facts"]))
    written = probe_logits(read_weights(inspect_directory(stage), dtype="float32"))
    proof["rounding"] = require_same(exact, written, allowed=TOLERANCE[dtype])
    proof["export"] = logit_digest(written)
    work.reporter.say(f"logits moved by {proof['effect']:.3g} in training, {proof['rounding']:.2g} in export")
    facts = {**facts, "probe": proof}
    write_json(stage / "codex_ml.json", facts)
    (stage / "README.md").write_text(model_card(facts), encoding="utf-8")


def _trained(work: Work, files: PretrainedFiles, *, stage: Path) -> tuple[nn.Module, Tensor, dict[str, Any]]:
    """The plain model with what was trained inside it, its logits, and what was proved of it."""
    assert work.target is not None
    lora, tensors = work.config.model.lora, read_tensors(work.target.weights)
    adapter = bool(lora.r or lora.path)
    base = probe_logits(read_weights(files, dtype="float32"))
    loaded = load_model_with_optional_lora(
        files.directory,
        dtype="float32",
        device="cpu",
        lora_enabled=adapter,
        lora_path=lora.path,
        lora_r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        lora_target_modules=lora.targets,
        lora_variant=lora.variant,
        seed=work.config.seed,
    )
    model = loaded.model
    if not adapter:
        Pretrained(model, context=1, compute_dtype=torch.float32, adapter=False).load_tensors(tensors)
        trained = probe_logits(model)
        effect = require_effect(base, trained)
        return model, trained, {"base": logit_digest(base), "effect": effect}
    load_adapter_tensors(model, tensors)
    adapted = probe_logits(model)
    effect = require_effect(base, adapted)
    save_adapter(model, stage / ADAPTER, files.weights_sha256)
    merged = merge(model, in_place=True)
    after = probe_logits(merged)
    drift = require_same(adapted, after, allowed=TOLERANCE[torch.float32])
    proof = {"base": logit_digest(base), "adapter": logit_digest(adapted), "merged": logit_digest(after)}
    return merged, after, {**proof, "effect": effect, "drift": drift}
