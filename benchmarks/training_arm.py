"""One arm of the training benchmark in a process of its own: prints tokens/s and peak memory as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

#: A Llama of 14 M parameters.
LAYERS, DIM, HEADS, FFN, VOCAB, CONTEXT, BATCH = 6, 384, 6, 1024, 8192, 256, 16
WARM, STEPS = 3, int(os.environ.get("BENCH_STEPS", "12"))


def rows() -> np.ndarray:
    """The same tokens for every arm."""
    rng = np.random.default_rng(0)
    return rng.integers(0, VOCAB, size=(BATCH * (WARM + STEPS + 1), CONTEXT + 1)).astype(np.int64)


def report(name: str, seconds: list[float]) -> None:
    steady = sorted(seconds[WARM:])
    median = steady[len(steady) // 2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"arm": name, "tokens_per_second": BATCH * CONTEXT / median, "peak_bytes": peak}))


def ours(cache: str) -> None:
    """The native engine's step as training runs it, in exact mode."""
    import torch

    from codex_ml.config.compose import compose
    from codex_ml.modeling.decoder import Decoder
    from codex_ml.modeling.init import initialise
    from codex_ml.objectives.lm import lm_loss
    from codex_ml.provenance.determinism import apply_determinism
    from codex_ml.training.allocator import keep_freed_memory
    from codex_ml.training.compiled import training_loss
    from codex_ml.training.distributed import ALONE
    from codex_ml.training.loop import Method, Trainee, run_steps
    from codex_ml.training.optim import Optimizers
    from codex_ml.training.state import Progress
    from codex_ml.training.step import MicroBatch

    config = compose(
        [
            *("model=small", f"model.layers={LAYERS}", f"model.dim={DIM}", f"model.heads={HEADS}"),
            *(f"model.kv_heads={HEADS}", f"model.ffn_dim={FFN}", f"tokenizer.vocab_size={VOCAB}"),
            *("train=adamw", f"train.steps={WARM + STEPS}", f"train.batch_size={BATCH}"),
            "train.schedule.warmup_steps=2",
        ],
        environ={},
    ).config
    apply_determinism(mode="exact", threads=2, compile_cache=Path(cache))
    keep_freed_memory()
    model = Decoder(config.model, vocab_size=VOCAB, compute_dtype=torch.bfloat16)
    initialise(model, seed=0)
    trainee = Trainee(
        model, Optimizers(model, cfg=config.train), training_loss(model, lm_loss, compiled=True), Progress()
    )
    data = rows()

    def batch_of(step: int) -> list[MicroBatch]:
        tokens = torch.from_numpy(data[step * BATCH : (step + 1) * BATCH])
        return [MicroBatch(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), BATCH * CONTEXT)]

    method = Method(config.train, seed=config.seed, shards=1, order="sequence")
    steps = run_steps(trainee, method=method, world=ALONE, batch_of=batch_of, stop=lambda: False)
    report("codex-ml exact", [info.seconds for info in steps])


def hf(name: str, *, bf16: bool, compiled: bool) -> None:
    """transformers' Trainer, as documented, on the same shapes."""
    from step_clock import step_clock
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB, hidden_size=DIM, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            num_key_value_heads=HEADS, intermediate_size=FFN, max_position_embeddings=CONTEXT,
            tie_word_embeddings=True, use_cache=False,
        )
    )  # fmt: skip
    data = [{"input_ids": row[:-1].tolist(), "labels": row[:-1].tolist()} for row in rows()]
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, max_steps=WARM + STEPS, bf16=bf16,
            torch_compile=compiled, report_to=[], save_strategy="no", logging_strategy="no",
            learning_rate=1e-3, use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        Trainer(model=model, args=arguments, train_dataset=data, callbacks=[step_clock(seconds)]).train()
    report(name, seconds)


def matmul() -> None:
    """The bare bf16 matrix-product rate on the shapes of this model, in FLOP/s."""
    import torch

    torch.set_num_threads(2)
    left = torch.randn(BATCH * CONTEXT, DIM).bfloat16()
    right = torch.randn(DIM, 4 * DIM).bfloat16()
    best = 9e9
    for _ in range(40):
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    print(json.dumps({"arm": "matmul", "flops": 2.0 * left.numel() * right.shape[1] / best}))


if __name__ == "__main__":
    arm, cache = sys.argv[1], sys.argv[2]
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    if arm == "ours":
        ours(cache)
    elif arm == "matmul":
        matmul()
    else:
        hf(arm, bf16=arm == "hf-bf16-compile", compiled=arm == "hf-bf16-compile")
