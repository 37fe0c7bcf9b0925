"""What a run will cost, from its config and a look at the machine; trains nothing."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from codex_ml.config.schema import RunConfig
from codex_ml.core.paths import Home
from codex_ml.errors import StorageError, TrainingError
from codex_ml.modeling.size import ModelSize, model_size
from codex_ml.registry import registry_for

#: Share of the bare matrix-product rate that a training step reaches (measured: benchmarks/).
_EFFICIENCY = 0.45
#: Bytes of source code per token at a vocabulary of some thousands (measured on the standard library).
_BYTES_PER_TOKEN = 3.6
_PROCESS_BYTES = 600_000_000


@dataclass(frozen=True)
class Plan:
    """Figures of a run before it starts; bytes and seconds are estimates."""

    parameters: int
    source_files: int
    source_bytes: int
    train_tokens: int
    passes: float
    memory_bytes: int
    memory_available: int
    disk_bytes: int
    disk_free: int
    checkpoint_bytes: int
    matmul_gflops: float
    train_seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(config: RunConfig, *, home: Home) -> Plan:
    """Count, and measure the machine's matrix-product rate for about a second.

    Raises DataError when the source cannot be read.
    """
    size = model_size(config.model, vocab_size=config.tokenizer.vocab_size)
    inputs = registry_for("data_sources").get(config.data.source)(config.data).inputs()
    source_bytes = sum(item.size for item in inputs)
    tokens = config.train.steps * config.train.batch_size * config.model.context
    corpus_tokens = max(1.0, source_bytes * config.data.split.train / _BYTES_PER_TOKEN)
    rate = matmul_rate(config, width=size.dim)
    checkpoint = checkpoint_bytes(config, size)
    policy = config.checkpoint
    for_good = config.train.steps // policy.keep_every if policy.keep_every else 0
    kept = policy.keep_last + policy.keep_best + for_good + 1
    return Plan(
        parameters=size.parameters,
        source_files=len(inputs),
        source_bytes=source_bytes,
        train_tokens=tokens,
        passes=tokens / corpus_tokens,
        memory_bytes=memory_bytes(config, size),
        memory_available=psutil.virtual_memory().available,
        disk_bytes=kept * checkpoint + 4 * size.parameters + 2 * source_bytes,
        disk_free=shutil.disk_usage(_existing(home.root)).free,
        checkpoint_bytes=checkpoint,
        matmul_gflops=rate / 1e9,
        train_seconds=tokens * size.flop_per_token / (rate * _EFFICIENCY),
    )


def checkpoint_bytes(config: RunConfig, size: ModelSize) -> int:
    """What is trained and its moments on disk: two moments under AdamW, one for Muon's matrices."""
    moments = 2 * size.trained
    if config.train.optimizer.name == "muon":
        moments -= size.trained - size.embedding_parameters
    return 4 * (size.trained + moments)


def memory_bytes(config: RunConfig, size: ModelSize) -> int:
    """Weights, gradients, moments, their copy that is being saved, and what backward keeps.

    Activations after Korthikanti et al. (2022) for attention without a stored score matrix; logits
    are held in two precisions and once as a gradient, those of a pretrained model some rows at a time.
    """
    tokens = config.train.batch_size // config.runtime.shards * config.model.context
    per_layer = 2 * (10 * size.dim + 4 * size.ffn_dim) + 4 * 4 * size.dim
    layers = 2 if config.train.activation_checkpointing else size.layers
    pretrained = config.model.path is not None
    chunked = pretrained and config.train.engine == "native"
    logits = 0 if chunked else size.vocab * (2 + 4 + 4)
    activations = tokens * (layers * per_layer + logits)
    width = 4 if config.runtime.dtype == "float32" else 2  # at least: a gate must not refuse what fits
    frozen = width * size.parameters if size.trained < size.parameters else 0
    state = checkpoint_bytes(config, size)
    snapshot = state if config.checkpoint.background else 0
    return state + snapshot + 4 * size.trained + frozen + activations + _PROCESS_BYTES


def matmul_rate(config: RunConfig, *, width: int) -> float:
    """FLOP/s of a bare matrix product of the model's width, in the dtype training would take."""
    import torch

    from codex_ml.modeling.device import choose_device, choose_dtype
    from codex_ml.provenance.environment import usable_cores

    device, _ = choose_device(config.runtime.device)
    name, _ = choose_dtype(config.runtime.dtype, device)
    threads = config.runtime.threads
    torch.set_num_threads(usable_cores() if threads == "auto" else threads)
    dtype = torch.bfloat16 if name == "bfloat16" else torch.float32
    left = torch.ones(2048, width, dtype=dtype, device=device)
    right = torch.ones(width, 4 * width, dtype=dtype, device=device)
    work, count, started = 2.0 * left.numel() * right.shape[1], 0, 0.0
    for count in range(-3, 1 << 30):
        if count == 0:
            started = time.perf_counter()
        (left @ right).sum().item()
        if count > 0 and time.perf_counter() - started > 0.7:
            break
    return work * (count + 1) / (time.perf_counter() - started)


def check_memory(config: RunConfig, *, vocab_size: int) -> None:
    """Raise TrainingError when training on the CPU needs more memory than is free."""
    if not config.runtime.device.startswith("cuda"):
        size = model_size(config.model, vocab_size=vocab_size)
        _hold(memory_bytes(config, size), psutil.virtual_memory().available)


def _hold(needed: int, available: int) -> None:
    if needed > available:
        raise TrainingError(
            "the run does not fit into memory",
            code="plan.memory",
            got=f"about {needed / 1e9:.1f} GB needed",
            wanted=f"at most {available / 1e9:.1f} GB",
            next_step="raise runtime.shards, lower train.batch_size, or recompute activations",
        )


def check_plan(plan: Plan) -> None:
    """Raise TrainingError when memory, StorageError when the disk cannot hold the run."""
    _hold(plan.memory_bytes, plan.memory_available)
    if plan.disk_bytes > plan.disk_free:
        raise StorageError(
            "the run does not fit on the disk",
            code="plan.disk",
            got=f"about {plan.disk_bytes / 1e9:.1f} GB needed",
            wanted=f"at most {plan.disk_free / 1e9:.1f} GB",
            next_step="free space (see `codex-ml store gc`), or lower checkpoint.keep_last",
        )


def plan_text(plan: Plan) -> str:
    """The plan for people."""
    many = "; more data or fewer steps would help" if plan.passes > 8 else ""
    rows = {
        "parameters": f"{plan.parameters:,}",
        "source": f"{plan.source_files:,} files, {plan.source_bytes / 1e6:,.1f} MB",
        "tokens trained on": f"{plan.train_tokens:,} (about {plan.passes:.2f} passes over the data{many})",
        "memory": f"about {plan.memory_bytes / 1e9:.2f} GB of {plan.memory_available / 1e9:.1f} GB free",
        "disk": f"about {plan.disk_bytes / 1e6:,.0f} MB of {plan.disk_free / 1e9:.1f} GB free "
        f"({plan.checkpoint_bytes / 1e6:,.0f} MB a checkpoint)",
        "matrix products here": f"{plan.matmul_gflops:,.0f} GFLOP/s",
        "training time": f"about {plan.train_seconds / 60:.1f} minutes, compilation apart",
    }
    return "\n".join(f"{name:<22}{text}" for name, text in rows.items())


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
