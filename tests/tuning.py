"""A place to fine-tune in: a tiny pretrained model with its tokenizer, and chats of unequal lengths."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpora import WORDS, code

CONTEXT = 96


def write_base(home: Path, family: str = "llama", **changes: Any) -> Path:
    """A random model as a Hugging Face directory below *home*."""
    from tiny_models import build, write_tokenizer

    directory = home / f"base-{family}"
    if not directory.exists():
        build(family, **changes).save_pretrained(str(directory))
        write_tokenizer(directory)
    return directory


def write_chats(home: Path, count: int = 60) -> Path:
    """Conversations whose answers have from a few to some dozens of tokens."""
    rows = []
    for number in range(count):
        asked = f"{WORDS[number % len(WORDS)]} {number}"
        said = code(number)[: 5 + 3 * (number % 13)]
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
        rows.append(json.dumps({"messages": messages}))
    path = home / "chats.jsonl"
    path.write_text("\n".join(rows) + "\n")
    return path


def tuning_words(home: Path, *words: str, family: str = "llama") -> list[str]:
    """``experiment=sft_lora`` on the tiny model, small enough to run in a second."""
    return [
        *("experiment=sft_lora", f"model.path={write_base(home, family)}", f"data.path={write_chats(home)}"),
        *(f"model.context={CONTEXT}", "model.lora.r=4", "data.split.train=0.8", "data.split.validation=0.2"),
        *("train.steps=8", "train.batch_size=4", "train.lr=0.01", "train.schedule.warmup_steps=2"),
        *("train.log_every=2", "runtime.dtype=float32", "runtime.threads=1", "runtime.compile=false"),
        *("runtime.shards=2", "checkpoint.every=3", "eval.every=4", "eval.max_rows=8", "data.overlong=drop"),
        *words,
    ]


def tuner(home: Path) -> Callable[..., Any]:
    """``tune("name", "train.engine=hf")``: train in this process, as the command line would."""
    from codex_ml.config.compose import compose
    from codex_ml.core.paths import Home
    from codex_ml.interfaces.reporter import Silent
    from codex_ml.pipeline.context import Request
    from codex_ml.pipeline.runner import ALL_STAGES, TRAIN_STAGES, run_codex_pipeline

    def tune(name: str, *words: str, whole: bool = False, **options: Any) -> Any:
        config = compose([*tuning_words(home), f"name={name}", *words], environ={}).config
        request = Request(config=config, home=Home(home), **options)
        return run_codex_pipeline(request, reporter=Silent(), stages=ALL_STAGES if whole else TRAIN_STAGES)

    return tune


def journal(work: Any) -> list[dict[str, Any]]:
    """The steps of a run with their numbers as floats."""
    rows = [json.loads(line) for line in work.directory.journal.read_text().splitlines()]
    numbers = ("loss", "grad_norm")
    return [{**row, **{name: float.fromhex(row[name]) for name in numbers}} for row in rows]
