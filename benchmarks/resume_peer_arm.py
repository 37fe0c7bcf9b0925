"""One arm of the resume comparison: imports everything once, then forks a child for each training call.

``python resume_peer_arm.py codex-ml|hf|hf-jit``: one JSON request per line on stdin, two answers per
request: the child's process id, then its exit code. A child leads a session of its own, writes to the log
of the request and leaves as its program would; its last line holds ``weights_sha256``.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: The same shape, schedule of saves and batch for both programs.
LAYERS, DIM, HEADS, FFN, VOCAB, CONTEXT, BATCH = 2, 64, 4, 128, 512, 64, 8
STEPS, EVERY, KEEP, DROPOUT, LR = 40, 5, 2, 0.1, 3e-3
#: More than a run reads: no arm crosses an epoch edge, which is another question.
ROWS = 1024
WORDS = (
    "experiment=tiny", "train.optimizer.name=adamw", f"train.steps={STEPS}", f"train.batch_size={BATCH}",
    f"train.lr={LR}", f"model.layers={LAYERS}", f"model.dim={DIM}", f"model.heads={HEADS}",
    f"model.kv_heads={HEADS}", f"model.ffn_dim={FFN}", f"model.context={CONTEXT}",
    f"model.dropout={DROPOUT}", f"tokenizer.vocab_size={VOCAB}", f"checkpoint.every={EVERY}",
    f"checkpoint.keep_last={KEEP}", "checkpoint.keep_best=0", "eval.every=0",
)  # fmt: skip


def train_codex_ml(request: dict[str, Any]) -> None:
    """The command line, with the words of a user; the same call starts and resumes."""
    from codex_ml.cli import entry_point

    folder = Path(request["folder"])
    os.environ["CODEX_HOME"] = str(folder.parent.parent)
    sys.argv = ["codex-ml", "train", *WORDS, f"name={folder.name}", "--json", "--quiet"]
    entry_point()


def train_hf(request: dict[str, Any]) -> None:
    """The script that the documentation shows: resume when the folder holds a checkpoint."""
    import transformers
    from transformers.trainer_utils import get_last_checkpoint

    class Paced(transformers.Trainer):
        """A step that lasts: time goes by in forward and backward, as in a larger model."""

        def training_step(self, *args: Any, **options: Any) -> Any:
            time.sleep(request["pace"])
            return super().training_step(*args, **options)

    folder = request["folder"]
    Path(folder).mkdir(parents=True, exist_ok=True)
    kind = Paced if request["pace"] else transformers.Trainer
    trainer = kind(model_init=model, args=arguments(folder, jit=request["jit"]), train_dataset=rows())
    found = get_last_checkpoint(folder)  # type: ignore[no-untyped-call]
    trainer.train(resume_from_checkpoint=True if found else None)
    assert trainer.model is not None
    digest = hashlib.sha256()
    for name, tensor in sorted(trainer.model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    print(json.dumps({"step": trainer.state.global_step, "weights_sha256": digest.hexdigest()}), flush=True)


def model() -> Any:
    """Called by Trainer once it has seeded, as its documentation asks for reproducible runs."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB, hidden_size=DIM, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            num_key_value_heads=HEADS, intermediate_size=FFN, max_position_embeddings=CONTEXT,
            tie_word_embeddings=True, use_cache=False, attention_dropout=DROPOUT,
        )
    )  # fmt: skip


def arguments(folder: str, *, jit: bool) -> Any:
    """Every option that helps an exact resume."""
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=folder, per_device_train_batch_size=BATCH, max_steps=STEPS, learning_rate=LR,
        lr_scheduler_type="cosine", warmup_steps=4, weight_decay=0.1, save_strategy="steps",
        save_steps=EVERY, save_total_limit=KEEP, seed=1234, data_seed=1234, full_determinism=True,
        enable_jit_checkpoint=jit, accelerator_config={"use_seedable_sampler": True}, use_cpu=True,
        report_to=[], logging_strategy="no", disable_tqdm=True,
    )  # fmt: skip


def rows() -> list[dict[str, list[int]]]:
    import numpy as np

    tokens = np.random.default_rng(0).integers(0, VOCAB, size=(ROWS, CONTEXT))
    return [{"input_ids": row.tolist(), "labels": row.tolist()} for row in tokens]


def warm(arm: str) -> Callable[[dict[str, Any]], None]:
    """Import what the arm's training imports, start nothing."""
    import torch
    import torch._inductor
    import torch.distributed

    torch.set_num_threads(1)
    if arm == "codex-ml":
        import codex_ml.cli
        import codex_ml.pipeline.train_stage  # noqa: F401

        return train_codex_ml
    from transformers import LlamaForCausalLM, Trainer  # noqa: F401

    return train_hf


def child(train: Callable[[dict[str, Any]], None], request: dict[str, Any]) -> int:
    """Everything between fork and exit."""
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python has it; a full file is an error, no signal
    try:
        train(request)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001 - as the interpreter does: the traceback, and exit 1
        os.write(2, traceback.format_exc().encode())
        return 1
    return 0


def main() -> None:
    train = warm(sys.argv[1])
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = child(train, json.loads(line))
                sys.stdout.flush()
            finally:
                os._exit(code)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
