"""Tokenize and pack the standard library beside ``datasets.map`` with two processes; random rows per second.

    python -m benchmarks.data_speed

Both sides start from the same texts and end with rows of 512 tokens on disk. The peer is the recipe of
the library's own language-model example: tokenize in batches, concatenate, cut into rows.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data_config import TOKENIZER, data_config
from codex_ml.core.paths import Home
from codex_ml.data.prepare import DatasetRef, prepare_dataset
from codex_ml.data.tokenize import tokenize_corpus
from codex_ml.tokenization.engine import FastEncoder

CONTEXT = 512
ROUNDS = 3


def ours(dataset: DatasetRef, folder: Path) -> float:
    started = time.perf_counter()
    encoder = FastEncoder.from_directory(dataset.tokenizer.directory, threads=2)
    tokenize_corpus(dataset.corpus, folder, encoder=encoder, end_id=0, context=CONTEXT, shard_tokens=1 << 25)
    return time.perf_counter() - started


def peer(texts: list[str], tokenizer: Any, folder: Path) -> float:
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict({"text": texts})

    def tokenize(batch: dict[str, list[str]]) -> dict[str, Any]:
        return {"input_ids": [[*ids, 0] for ids in tokenizer(batch["text"])["input_ids"]]}

    def pack(batch: dict[str, list[list[int]]]) -> dict[str, Any]:
        flat = [token for ids in batch["input_ids"] for token in ids]
        end = len(flat) // CONTEXT * CONTEXT
        return {"input_ids": [flat[at : at + CONTEXT] for at in range(0, end, CONTEXT)]}

    started = time.perf_counter()
    step = rows.map(
        tokenize,
        batched=True,
        num_proc=2,
        remove_columns=["text"],
        cache_file_name=str(folder / "tokens.arrow"),
    )
    step.map(pack, batched=True, num_proc=2, cache_file_name=str(folder / "rows.arrow"))
    return time.perf_counter() - started


def random_rows(dataset: DatasetRef, *, rows: int = 300_000, batch: int = 256) -> float:
    packed = dataset.split("train")
    indices = np.random.default_rng(0).integers(0, packed.rows, rows)
    started = time.perf_counter()
    for at in range(0, rows, batch):
        packed.batch(indices[at : at + batch])
    return rows / (time.perf_counter() - started)


def measure() -> dict[str, float]:
    """MB/s of both (the best of interleaved rounds), their ratio, and random rows per second."""
    from transformers import AutoTokenizer

    work = Path(tempfile.mkdtemp(prefix="data-speed-"))
    try:
        dataset = prepare_dataset(
            data_config("python_stdlib"), tokenizer_cfg=TOKENIZER, context=CONTEXT, home=Home(work)
        )
        texts = [doc.text for split in ("train", "validation") for doc in dataset.corpus.documents(split)]
        size = sum(len(text.encode("utf-8")) for text in texts) / 1e6
        tokenizer = AutoTokenizer.from_pretrained(dataset.tokenizer.directory)
        times: dict[str, list[float]] = {"ours": [], "peer": []}
        for number in range(ROUNDS):
            folder = work / f"round-{number}"
            (folder / "peer").mkdir(parents=True)
            times["ours"].append(ours(dataset, folder))
            times["peer"].append(peer(texts, tokenizer, folder / "peer"))
        return {
            "megabytes": size,
            "ours_mb_per_s": size / min(times["ours"]),
            "datasets_map_mb_per_s": size / min(times["peer"]),
            "ratio": min(times["peer"]) / min(times["ours"]),
            "random_rows_per_s": random_rows(dataset),
        }
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> None:
    for name, value in measure().items():
        print(f"{name:24} {value:,.1f}")


if __name__ == "__main__":
    main()
