"""Write a fine-tuned model: merged into a clean Hugging Face directory, or the adapter by itself.

What is written is read again and must compute the same before it is published.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from codex_ml.core.optional import require
from codex_ml.core.publish import read_json, staged, write_json
from codex_ml.errors import UsageError
from codex_ml.modeling.codex_model_loader import locate, read_weights
from codex_ml.modeling.device import DTYPES
from codex_ml.modeling.golden import load_tokenizer, write_golden
from codex_ml.modeling.lora import load_adapter, merge, save_adapter
from codex_ml.modeling.pretrained_files import CONFIG, TEMPLATE, TOKENIZER, PretrainedFiles, inspect_directory
from codex_ml.modeling.probe import TOLERANCE, logit_digest, probe_logits, require_effect, require_same

SHARD = "5GB"
#: Copied byte for byte: what a library writes anew need not encode the same.
_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model"),
    *("chat_template.jinja", "chat_template.json"),
)
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class MergeReport:
    """What a merge proved: the adapter moves the logits, and the merged weights move them alike.

    *drift* is that of the merge in float32, *rounding* what storing it in *dtype* adds to it.
    """

    base_sha256: str
    dtype: str
    effect: float
    drift: float
    rounding: float
    logits_sha256: str


def stored_dtype(files: PretrainedFiles) -> str:
    """The dtype most weights are kept in; float32 for what torch has no weights of."""
    return _STORED.get(max(files.dtypes, key=lambda name: files.dtypes[name], default="F32"), "float32")


def require_new(out: Path) -> None:
    """Raise UsageError when *out* exists: nothing is overwritten."""
    if out.exists():
        raise UsageError(
            f"{out} exists already",
            code="model.exists",
            wanted="a path where nothing is",
            next_step="give another --out, or move it away",
        )


def export_merged(
    base: str | Path, adapter: Path | None, out: Path, *, dtype: str = "auto", home: Any = None
) -> MergeReport:
    """Publish *base* with *adapter* inside its weights as the Hugging Face directory *out*.

    Without an adapter the base itself is written anew. Works in float32, four bytes for each parameter,
    whatever *dtype* is stored: only there is rounding told from error. Raises TrainingError when the
    adapter does nothing, IntegrityError when the merged model computes something else.
    """
    require_new(out)
    files = inspect_directory(locate(base, home=home))
    kind = stored_dtype(files) if dtype == "auto" else dtype
    model = read_weights(files, dtype="float32").eval()
    exact = before = probe_logits(model)
    effect = drift = 0.0
    if adapter is not None:
        model = load_adapter(model, adapter, base_sha256=files.weights_sha256, trainable=False)
        exact = probe_logits(model)
        effect = require_effect(before, exact)
        model = merge(model, in_place=True)
        drift = require_same(exact, probe_logits(model), allowed=TOLERANCE[torch.float32])
    model.to(DTYPES[kind])
    meta: dict[str, Any] = {"kind": "model", "format": 1}
    with staged(out, meta=meta) as stage:
        write_model(model, stage, files=files)
        del model  # what counts from here on is what stands on the disk
        written = probe_logits(read_weights(inspect_directory(stage), dtype="float32"))
        rounding = require_same(exact, written, allowed=TOLERANCE[DTYPES[kind]])
        report = MergeReport(files.weights_sha256, kind, effect, drift, rounding, logit_digest(written))
        meta["merge"] = vars(report).copy()
    return report


def export_adapter(base: str | Path, adapter: Path, out: Path, *, home: Any = None) -> str:
    """Publish *adapter*, checked against *base*, in peft's format at *out*; the digest of the base."""
    require_new(out)
    files = inspect_directory(locate(base, home=home))
    model = read_weights(files, dtype="float32").eval()
    base_logits = probe_logits(model)
    model = load_adapter(model, adapter, base_sha256=files.weights_sha256, trainable=False)
    require_effect(base_logits, probe_logits(model))
    with staged(out, meta={"kind": "adapter", "format": 1, "base_sha256": files.weights_sha256}) as stage:
        save_adapter(model, stage, files.weights_sha256)
    return files.weights_sha256


def write_model(
    model: nn.Module,
    stage: Path,
    *,
    files: PretrainedFiles,
    tokenizer: Path | None = None,
    template: str | None = None,
) -> None:
    """Fill *stage* with weights, clean configs, the source's tokenizer files and golden token ids."""
    net = cast("Any", model)
    generation = _generation(net, files)
    # save_pretrained refuses sampling settings that it finds odd; the source's own are written below.
    net.generation_config = require("transformers", extra="train").GenerationConfig()
    net.config.tie_word_embeddings = bool(net.config.tie_word_embeddings)
    net.save_pretrained(str(stage), max_shard_size=SHARD)
    config = read_json(stage / CONFIG)
    leftovers = ("quantization_config", "_name_or_path", "_attn_implementation_autoset")
    write_json(stage / CONFIG, {key: value for key, value in config.items() if key not in leftovers})
    write_json(stage / "generation_config.json", generation)
    source = files.directory if tokenizer is None else tokenizer
    for name in _TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, stage / name)
    if template is not None:
        (stage / TEMPLATE).write_text(template, encoding="utf-8")
    for licence in sorted(files.directory.glob("LICENSE*")):
        shutil.copyfile(licence, stage / licence.name)
    if (stage / TOKENIZER).is_file():
        # A template of the caller's is in no source; what was copied must say what its source says.
        write_golden(stage, source=source if template is None else stage)


def _generation(net: Any, files: PretrainedFiles) -> dict[str, Any]:
    """The source's generation settings; where they name no end token, that of config or tokenizer."""
    path = files.directory / "generation_config.json"
    content: dict[str, Any] = read_json(path) if path.is_file() else {}
    content.pop("transformers_version", None)
    for role in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if content.get(role) is None and getattr(net.config, role, None) is not None:
            content[role] = getattr(net.config, role)
    if content.get("eos_token_id") is None and files.tokenizer_size is not None:
        content["eos_token_id"] = load_tokenizer(files.directory).eos_token_id
    return {key: value for key, value in sorted(content.items()) if value is not None}
