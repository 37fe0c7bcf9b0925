"""What a model directory would be here: device, dtype, memory, adapter targets; no weight is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codex_ml.core.paths import Home
from codex_ml.modeling.codex_model_loader import empty_model, locate
from codex_ml.modeling.device import DTYPES, choose_device, choose_dtype
from codex_ml.modeling.lora_targets import linear_modules, linear_names
from codex_ml.modeling.pretrained_files import inspect_directory

#: float32 weight, its gradient, and AdamW's two moments.
_TRAINED_BYTES = 16
_RANK = 8


def describe(path: str | Path, *, home: Home | None = None) -> dict[str, Any]:
    """Facts of a model for `codex-ml model inspect`. Raises what `inspect_directory` raises."""
    files = inspect_directory(locate(path, home=home))
    device, device_reason = choose_device("auto")
    dtype, dtype_reason = choose_dtype("auto", device)
    model = empty_model(files)
    adapter = _RANK * sum(_width(layer) for layer in linear_modules(model).values())
    weights = files.parameters * DTYPES[dtype].itemsize
    return {
        "directory": str(files.directory),
        "family": files.family,
        "parameters": files.parameters,
        "dtypes": files.dtypes,
        "shards": [shard.name for shard in files.shards],
        "weights_bytes": files.weights_bytes,
        "weights_sha256": files.weights_sha256,
        "vocab_size": files.vocab_size,
        "tokenizer_size": files.tokenizer_size,
        "chat_template": files.chat_template,
        "sealed": files.sealed,
        "device": device,
        "device_reason": device_reason,
        "dtype": dtype,
        "dtype_reason": dtype_reason,
        "lora_targets": linear_names(model),
        "memory": {
            "load": weights,
            "train_lora": weights + adapter * _TRAINED_BYTES,
            "train_all": files.parameters * _TRAINED_BYTES,
            "lora_rank": _RANK,
            "lora_parameters": adapter,
        },
    }


def _width(layer: Any) -> int:
    rows, columns = layer.weight.shape
    return int(rows + columns)
