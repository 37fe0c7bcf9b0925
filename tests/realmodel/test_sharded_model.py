"""A checkpoint of a billion parameters in shards: loaded in little memory, or refused by name."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from realmodel.laboratory import Laboratory, record

pytestmark = [pytest.mark.needs("train"), pytest.mark.slow]

LAYERS, WIDTH, INNER, KEYS, ROWS = 23, 2048, 5632, 256, 1024
SHARDS = 8
LEAST = 1_000_000_000
MOST_MEMORY = 1.3

LOAD = """
import json, sys, time
import peft, torch, transformers.models.llama.modeling_llama
from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

before, started = peak(), time.perf_counter()
options = {"dtype": "bfloat16", "device": "cpu", "lora_enabled": True, "lora_r": 8}
loaded = load_model_with_optional_lora(sys.argv[1], **options)
seconds, after = time.perf_counter() - started, peak()
tokens = torch.arange(32)[None]
started = time.perf_counter()
loss = loaded.model(input_ids=tokens, labels=tokens).loss
loss.backward()
moved = [p for p in loaded.model.parameters() if p.requires_grad]
print(json.dumps({
    "parameters": loaded.files.parameters, "weights_bytes": loaded.files.weights_bytes,
    "load_bytes": after - before, "step_bytes": peak() - before, "loss": loss.item(),
    "gradients": sum(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in moved),
    "trainable": len(moved), "load_seconds": seconds, "step_seconds": time.perf_counter() - started,
}))
"""


def shapes() -> dict[str, tuple[int, ...]]:
    """Name -> shape of a Llama of a little more than a billion parameters."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (ROWS, WIDTH)}
    for layer in range(LAYERS):
        inside = {
            "self_attn.q_proj": (WIDTH, WIDTH),
            "self_attn.k_proj": (KEYS, WIDTH),
            "self_attn.v_proj": (KEYS, WIDTH),
            "self_attn.o_proj": (WIDTH, WIDTH),
            "mlp.gate_proj": (INNER, WIDTH),
            "mlp.up_proj": (INNER, WIDTH),
            "mlp.down_proj": (WIDTH, INNER),
            "input_layernorm": (WIDTH,),
            "post_attention_layernorm": (WIDTH,),
        }
        found |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in inside.items()}
    return {**found, "model.norm.weight": (WIDTH,)}


@pytest.fixture(scope="module")
def sharded(lab: Laboratory) -> Iterator[Path]:
    """The checkpoint, written shard by shard: one shard is in memory at a time."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig

    directory = lab.home / "sharded"
    directory.mkdir()
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=ROWS,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // 64,
        num_key_value_heads=KEYS // 64,
        tie_word_embeddings=True,
        dtype="bfloat16",
    ).save_pretrained(str(directory))
    noise = (torch.randn(INNER * WIDTH, generator=torch.Generator().manual_seed(0)) * 0.02).bfloat16()
    table, assigned, total, started = list(shapes().items()), {}, 0, time.perf_counter()
    for number in range(SHARDS):
        name = f"model-{number + 1:05d}-of-{SHARDS:05d}.safetensors"
        rows = table[number * len(table) // SHARDS : (number + 1) * len(table) // SHARDS]
        tensors = {}
        for at, (key, shape) in enumerate(rows):
            if len(shape) == 1:
                tensors[key] = torch.ones(shape, dtype=torch.bfloat16)
            else:
                tensors[key] = noise.roll(at + 31 * number)[: shape[0] * shape[1]].view(shape).clone()
            total += tensors[key].nbytes
        save_file(tensors, str(directory / name), metadata={"format": "pt"})
        assigned |= dict.fromkeys(tensors, name)
    index = {"metadata": {"total_size": total}, "weight_map": assigned}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    record("sharded checkpoint written", bytes=total, seconds=time.perf_counter() - started)
    yield directory
    shutil.rmtree(directory)


def test_a_billion_parameters_load_and_learn_in_little_more_than_their_size(
    lab: Laboratory, sharded: Path
) -> None:
    found = lab.program(LOAD, sharded)
    weights = found["weights_bytes"]
    loading, step = found["load_bytes"] / weights, found["step_bytes"] / weights
    record(
        "sharded checkpoint loaded under an adapter, one step",
        parameters=found["parameters"],
        load_peak_ratio=loading,
        step_peak_ratio=step,
        load_seconds=found["load_seconds"],
        step_seconds=found["step_seconds"],
        loss=found["loss"],
    )
    assert found["parameters"] >= LEAST
    assert 1.0 <= loading <= step <= MOST_MEMORY
    assert found["gradients"] == found["trainable"] > 0


@pytest.mark.parametrize("fault", ["missing", "swapped"])
def test_a_shard_that_is_not_its_own_is_refused_by_name_before_loading(
    lab: Laboratory, sharded: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.errors import IntegrityError
    from codex_ml.modeling import codex_model_loader

    def never(*_: object, **__: object) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(codex_model_loader, "read_weights", never)
    third, fourth = (sharded / f"model-{number:05d}-of-{SHARDS:05d}.safetensors" for number in (3, 4))
    aside = sharded / "aside"

    def swap() -> None:
        third.rename(aside)
        fourth.rename(third)
        aside.rename(fourth)

    started = time.perf_counter()
    if fault == "missing":
        third.rename(aside)
    else:
        swap()
    try:
        with pytest.raises(IntegrityError) as raised:
            codex_model_loader.load_model_with_optional_lora(sharded, lora_enabled=True)
    finally:
        if fault == "missing":
            aside.rename(third)
        else:
            swap()
    assert raised.value.code == "model.shards"
    assert third.name in str(raised.value) or fourth.name in str(raised.value)
    record(f"{fault} shard refused", seconds=time.perf_counter() - started)
