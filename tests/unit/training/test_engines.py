"""Both engines on the same recipe, and what a step of fine-tuning must keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.errors import CodexError
from tuning import journal, tuner, tuning_words, write_base

pytestmark = pytest.mark.needs("train")
ENGINES = ("native", "hf")


@pytest.fixture(scope="module")
def tune(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    home: Path = tmp_path_factory.mktemp("tuning")
    return tuner(home)


def test_both_engines_give_the_same_loss_at_each_of_fifty_steps(tune) -> None:
    words = ("train.steps=50", "eval.every=25", "checkpoint.every=25", "model.lora.r=8")
    native, hf = (
        journal(tune(f"same-{engine}", f"train.engine={engine}", *words)) for engine in ("native", "hf")
    )
    assert [row["step"] for row in native] == [row["step"] for row in hf] == list(range(1, 51))
    assert [row["samples"] for row in native] == [row["samples"] for row in hf]
    assert [row["loss"] for row in native] == pytest.approx([row["loss"] for row in hf], abs=1e-4)
    assert native[-1]["loss"] < native[0]["loss"] - 0.3


@pytest.mark.parametrize("engine", ENGINES)
def test_eight_accumulated_rows_are_one_batch_of_eight_though_their_answers_differ_in_length(
    tune, engine: str
) -> None:
    words = (f"train.engine={engine}", "train.batch_size=8", "data.packing=none", "train.steps=6")
    one, eight = (journal(tune(f"{engine}-{n}", f"runtime.shards={n}", *words)) for n in (1, 8))
    for key in ("loss", "grad_norm"):
        assert [row[key] for row in one] == pytest.approx([row[key] for row in eight], rel=2e-4)
    assert [row["step"] for row in one] == [row["step"] for row in eight]


def test_every_weight_trained_gives_the_same_losses_in_both_engines(tune) -> None:
    words = ("model.lora.r=0", "train.lr=0.001", "train.steps=6")
    native, hf = (
        journal(tune(f"full-{engine}", f"train.engine={engine}", *words)) for engine in ("native", "hf")
    )
    assert [row["loss"] for row in native] == pytest.approx([row["loss"] for row in hf], abs=1e-4)


def test_recomputed_activations_change_no_bit_and_reach_every_parameter(tune) -> None:
    plain, again = (
        tune(f"recompute-{wanted}", f"train.activation_checkpointing={wanted}", "model.lora.dropout=0.1")
        for wanted in ("false", "true")
    )
    assert plain.outcome.checkpoint.weights == again.outcome.checkpoint.weights
    moved = again.outcome.checkpoint.model_tensors()
    assert all(bool(value.any()) for value in moved.values())


def test_a_parameter_that_no_gradient_reaches_stops_the_run_at_its_first_step(tune, monkeypatch) -> None:
    from codex_ml.modeling.pretrained import Pretrained

    whole = Pretrained.trunk

    def cut(self: Any, *arguments: Any, **options: Any) -> Any:
        hidden = whole(self, *arguments, **options)
        return hidden.detach().requires_grad_() if hidden.requires_grad else hidden

    monkeypatch.setattr(Pretrained, "trunk", cut)
    with pytest.raises(CodexError) as caught:
        tune("cut")
    assert caught.value.code == "train.no-gradient"
    assert "lora_A" in str(caught.value)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_document_of_a_packed_row_has_the_logits_it_has_alone(tmp_path, family: str) -> None:
    import torch

    from codex_ml.config.compose import compose
    from codex_ml.modeling.pretrained_load import load_pretrained

    cfg = compose(tuning_words(tmp_path), environ={}).config.model
    base = write_base(tmp_path, family)
    model = load_pretrained(base, cfg=cfg, device="cpu", compute_dtype=torch.float32, seed=0).model.eval()
    generator = torch.Generator().manual_seed(0)
    lengths = (30, 7, 1, 45)
    documents = [torch.randint(0, 300, (1, n), generator=generator) for n in lengths]
    packed_BT = torch.cat(documents, dim=1)
    positions_BT = torch.cat([torch.arange(n) for n in lengths])[None]
    with torch.no_grad():
        together = model(packed_BT, positions_BT)
        start = 0
        for document, length in zip(documents, lengths, strict=True):
            alone = model(document)
            here = together[:, start : start + length]
            assert (here - alone).abs().max() <= 1e-5 * alone.abs().max()
            start += length
        changed_BT = packed_BT.clone()
        changed_BT[:, :30] = (changed_BT[:, :30] + 1) % 300
        assert torch.equal(model(changed_BT, positions_BT)[:, 30:], together[:, 30:])


def test_a_model_whose_documents_would_see_each_other_is_refused(tune, monkeypatch) -> None:
    from codex_ml.modeling import documents

    real = documents.attend

    def leaking(*arguments: Any, document_positions: Any = None, **options: Any) -> Any:
        return real(*arguments, **options)

    monkeypatch.setattr(documents, "attend", leaking)
    with pytest.raises(CodexError) as caught:
        tune("leaking")
    assert caught.value.code == "train.leak"
