"""The export of a fine-tuned model: merged weights, the adapter beside them, and the proof of its effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from codex_ml.checkpointing.reader import read_tensors
from codex_ml.core.publish import write_json
from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora, read_weights
from codex_ml.modeling.export_model import stored_dtype, write_model
from codex_ml.modeling.golden import write_golden
from codex_ml.modeling.lora import load_adapter_tensors, merge, save_adapter
from codex_ml.modeling.pretrained import Pretrained
from codex_ml.modeling.pretrained_files import PretrainedFiles, inspect_directory
from codex_ml.modeling.probe import TOLERANCE, logit_digest, probe_logits, require_effect, require_same
from codex_ml.pipeline.card import model_card
from codex_ml.pipeline.context import Work

ADAPTER = "adapter"
_TEMPLATE = "chat_template.jinja"


def write_pretrained(stage: Path, work: Work, facts: dict[str, Any]) -> None:
    """Fill *stage*: what was trained inside the base's weights, as a Hugging Face directory.

    The logits of a fixed probe go with it as digests: of the base, under the adapter, merged, and read
    again from *stage*. Raises TrainingError when training changed no logit, IntegrityError when the
    merged or the written model computes something else.
    """
    assert work.base is not None and work.target is not None
    files = inspect_directory(work.base.directory)
    dtype = stored_dtype(files)
    model, proof = _trained(work, files, dtype=dtype, stage=stage)
    write_model(model, stage, files=files)
    if work.config.data.template is not None:
        # What the samples were rendered with is what the model answers to.
        text = Path(work.config.data.template).expanduser().read_text(encoding="utf-8")
        (stage / _TEMPLATE).write_text(text, encoding="utf-8")
        write_golden(stage, source=stage)
    written = probe_logits(model)
    del model
    again = probe_logits(read_weights(inspect_directory(stage), dtype=dtype))
    require_same(written, again, allowed=0.0)
    proof["export"] = logit_digest(again)
    work.reporter.say(f"adapter moves logits by {proof['effect']:.3g}, merging by {proof['drift']:.2g}")
    facts = {**facts, "probe": proof}
    write_json(stage / "codex_ml.json", facts)
    (stage / "README.md").write_text(model_card(facts), encoding="utf-8")


def _trained(
    work: Work, files: PretrainedFiles, *, dtype: str, stage: Path
) -> tuple[nn.Module, dict[str, Any]]:
    """The plain model with what was trained inside it, in the base's dtype, and what was proved of it."""
    assert work.target is not None
    lora, tensors = work.config.model.lora, read_tensors(work.target.weights)
    adapter = bool(lora.r or lora.path)
    base = probe_logits(read_weights(files, dtype=dtype))
    loaded = load_model_with_optional_lora(
        files.directory,
        dtype=dtype,
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
        return model, {"base": logit_digest(base), "effect": effect, "drift": 0.0}
    load_adapter_tensors(model, tensors)
    adapted = probe_logits(model)
    effect = require_effect(base, adapted)
    save_adapter(model, stage / ADAPTER, files.weights_sha256)
    merged = merge(model, in_place=True)
    after = probe_logits(merged)
    drift = require_same(adapted, after, allowed=TOLERANCE[next(merged.parameters()).dtype])
    proof = {"base": logit_digest(base), "adapter": logit_digest(adapted), "merged": logit_digest(after)}
    return merged, {**proof, "effect": effect, "drift": drift}
