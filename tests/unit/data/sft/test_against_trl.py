"""TRL as the oracle: the same tokens, the same masks and the same loss from the same conversations."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.needs("train", "dev")


@pytest.fixture
def trl_trainer(kit: Any, tmp_path: Path) -> Any:
    """TRL's own trainer on a tiny model, with a template that marks what the assistant says."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from tiny_models import build

    directory = kit.tokenizer(tmp_path / "tokenizer", template=kit.marked)
    model = build("llama", vocab_size=400, max_position_embeddings=512)
    arguments = SFTConfig(
        output_dir=str(tmp_path / "out"),
        assistant_only_loss=True,
        max_length=512,
        per_device_train_batch_size=6,
        use_cpu=True,
        report_to="none",
        bf16=False,
        gradient_checkpointing=False,
    )
    return SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(kit.chats(6, turns=2)),
        processing_class=AutoTokenizer.from_pretrained(str(directory)),
    )


def test_tokens_masks_and_loss_are_those_of_trl(
    kit: Any, prepare: Any, trl_trainer: Any, tmp_path: Path
) -> None:
    import torch

    from codex_ml.objectives.lm import lm_loss

    rows = list(trl_trainer.train_dataset)
    shutil.copytree(tmp_path / "tokenizer", tmp_path / "ours")
    ref = prepare(
        kit.chats(6, turns=2),
        tokenizer=tmp_path / "ours",
        context=512,
        dedup="none",
        split=kit.config(tmp_path).split.__class__(train=1.0, validation=0.0, test=0.0, salt="x"),
    )
    split = ref.split("train")
    ours = {tuple(ids): flags for ids, flags in (_plain(split.sample(n)) for n in range(split.samples))}
    theirs = {tuple(row["input_ids"]): tuple(label != -100 for label in row["labels"]) for row in rows}
    assert ours == theirs
    batch = trl_trainer.data_collator(rows)
    with torch.no_grad():
        loss = float(trl_trainer.compute_loss(trl_trainer.model, dict(batch)))
        model = trl_trainer.model.eval()
        total, count = 0.0, 0
        _, labels, _ = split.batch(np.arange(split.rows))
        for ids, flags in ours.items():
            target = torch.tensor([[token if flag else -100 for token, flag in zip(ids, flags, strict=True)]])
            logits = model(torch.tensor([ids])).logits
            total += float(lm_loss(logits[:, :-1], target[:, 1:]))
            count += int((target[:, 1:] != -100).sum())
    assert count == int((labels != -100).sum())
    assert total / count == pytest.approx(loss, rel=1e-5)


def _plain(sample: tuple[Any, Any]) -> tuple[list[int], tuple[bool, ...]]:
    ids, flags = sample
    return [int(token) for token in ids], tuple(bool(flag) for flag in flags)
