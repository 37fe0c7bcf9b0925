"""The probe is fixed, sees a single changed bit, and knows a merge from an accident."""

from __future__ import annotations

from typing import Any

import pytest

from codex_ml.errors import CodexError

pytestmark = pytest.mark.needs("train")


def base(path: Any, **options: Any) -> Any:
    from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora

    return load_model_with_optional_lora(path, device="cpu", dtype="float32", **options).model


def test_the_batch_is_fixed_and_inside_the_vocabulary() -> None:
    import torch

    from codex_ml.modeling.probe import probe_batch

    one = probe_batch(97)
    assert torch.equal(one, probe_batch(97)) and one.shape == (2, 32)
    assert int(one.min()) >= 0 and int(one.max()) < 97
    assert not torch.equal(one, probe_batch(98))
    assert probe_batch(97, rows=3, length=5).shape == (3, 5)


def test_probing_changes_nothing(model_directory) -> None:
    import torch

    from codex_ml.modeling.probe import logit_digest, probe_logits

    model = base(model_directory(), lora_enabled=True, lora_dropout=0.5)
    state = torch.random.get_rng_state()
    one, two = probe_logits(model), probe_logits(model)
    assert logit_digest(one) == logit_digest(two)
    assert model.training and torch.equal(torch.random.get_rng_state(), state)
    two[0, 0, 0] = torch.nextafter(two[0, 0, 0], torch.tensor(torch.inf))
    assert logit_digest(one) != logit_digest(two)


def test_an_adapter_without_effect_is_found(model_directory, trained_adapter) -> None:
    from codex_ml.modeling.probe import probe_logits, require_effect

    path = model_directory()
    before = probe_logits(base(path))
    with pytest.raises(CodexError) as caught:
        require_effect(before, probe_logits(base(path, lora_enabled=True)))
    assert caught.value.code == "model.no-op"
    trained = base(path, lora_path=trained_adapter(path), trainable=False)
    assert require_effect(before, probe_logits(trained)) > 1e-3


def test_drift_is_measured_against_the_largest_logit() -> None:
    import torch

    from codex_ml.modeling.probe import TOLERANCE, compare, require_same

    one = torch.tensor([[[4.0, -8.0]]])
    assert compare(one, torch.tensor([[[4.0, -7.0]]])) == 0.125
    assert compare(torch.zeros(1), torch.ones(1)) == 1.0
    assert require_same(one, one, allowed=0.0) == 0.0
    assert TOLERANCE[torch.float32] < TOLERANCE[torch.float16] < TOLERANCE[torch.bfloat16]
    for other in (one + 1, one * float("nan")):
        with pytest.raises(CodexError) as caught:
            require_same(one, other, allowed=0.1)
        assert caught.value.code == "model.merge-drift"
