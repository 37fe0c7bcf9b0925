"""One arm of the fine-tuning benchmark, in a process of its own: real tokens/s and peak memory as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

RANK, LENGTH = 16, 512
WARM, STEPS = 1, int(os.environ.get("BENCH_STEPS", "4"))


def report(arm: str, tokens: list[int], seconds: list[float]) -> None:
    """Real tokens: of samples, padding aside. Trained or not, they are the work that is asked for."""
    real, spent = sum(tokens[WARM : WARM + STEPS]), sum(seconds[WARM : WARM + STEPS])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"arm": arm, "tokens_per_second": real / spent, "peak_bytes": peak, "seconds": spent}))


def ours(model: Path, data: Path) -> None:
    """The native engine as `codex-ml train experiment=sft_lora` runs it, in exact mode, compiled."""
    from codex_ml.config.compose import compose
    from codex_ml.core.paths import Home
    from codex_ml.data.select import prepare_for
    from codex_ml.provenance.determinism import apply_determinism
    from codex_ml.training.distributed import ALONE
    from codex_ml.training.engines.native import method_of
    from codex_ml.training.loop import run_steps
    from codex_ml.training.resolve import resolve
    from codex_ml.training.session import build_session

    words = [
        *("experiment=sft_lora", f"model.path={model}", f"data.path={data}", f"model.context={LENGTH}"),
        *(f"model.lora.r={RANK}", "data.overlong=drop", f"train.steps={WARM + STEPS}", "train.batch_size=8"),
        *("runtime.shards=4", "runtime.compile=true", "train.schedule.warmup_steps=1", "eval.every=0"),
        "checkpoint.keep_best=0",
    ]
    config = compose(words, environ={}).config
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        apply_determinism(mode="exact", threads=2, compile_cache=home.compile_cache)
        dataset = prepare_for(config, home=home)
        session = build_session(
            config,
            resolved=resolve(config, vocab_size=0, before=None),
            dataset=dataset.directory,
            vocab_size=0,
            base=model,
        )
        steps = run_steps(
            session.trainee,
            method=method_of(config),
            world=ALONE,
            batch_of=session.batches,
            stop=lambda: False,
        )
        seconds = [info.seconds for info in steps]
        split, batches = dataset.split("train"), session.batches
        real = [
            sum(part.stop - part.start for row in batches.rows(step) for part in split.row_samples(int(row)))
            for step in range(WARM + STEPS)
        ]
    report("codex-ml", real, seconds)


def trl(arm: str, model: Path, data: Path) -> None:
    """TRL's SFTTrainer with peft, as documented: bf16 autocast, loss on completions, no recomputation."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from step_clock import step_clock
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = []
    for line in data.read_text(encoding="utf-8").splitlines():
        asked, said = json.loads(line)["messages"]
        if len(tokenizer.apply_chat_template([asked, said], tokenize=True)["input_ids"]) <= LENGTH:
            rows.append({"prompt": [asked], "completion": [said]})
    packing = {"trl-bfd": "bfd", "trl-wrapped": "wrapped"}.get(arm)
    seconds: list[float] = []
    tokens: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder, per_device_train_batch_size=4 if packing else 8, max_steps=WARM + STEPS,
            max_length=LENGTH, packing=packing is not None, packing_strategy=packing or "bfd", bf16=True,
            gradient_checkpointing=False, use_cpu=True, report_to="none", save_strategy="no",
            logging_strategy="no", disable_tqdm=True, learning_rate=2e-4,
        )  # fmt: skip
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", lora_dropout=0.0
            ),
            callbacks=[step_clock(seconds)],
        )
        inner = trainer.data_collator

        def counted(samples: list[dict[str, Any]]) -> Any:
            tokens.append(sum(len(sample["input_ids"]) for sample in samples))
            return inner(samples)

        trainer.data_collator = counted
        trainer.train()
    report(arm, tokens, seconds)


if __name__ == "__main__":
    name, model_path, data_path = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TQDM_DISABLE": "1"}
    if name == "codex-ml":
        ours(model_path, data_path)
    else:
        trl(name, model_path, data_path)
