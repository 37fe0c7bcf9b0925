from __future__ import annotations

import math

import pytest

pytestmark = pytest.mark.needs("train")


def test_the_loss_is_the_sum_over_counted_labels_of_a_double_precision_reference() -> None:
    import torch

    from codex_ml.core.labels import IGNORE
    from codex_ml.objectives.lm import lm_loss

    generator = torch.Generator().manual_seed(0)
    logits_BTV = 3 * torch.randn(3, 5, 11, generator=generator)
    labels_BT = torch.randint(0, 11, (3, 5), generator=generator)
    labels_BT[0, 2:] = IGNORE
    labels_BT[2, 0] = IGNORE
    expected = 0.0
    for b in range(3):
        for t in range(5):
            if labels_BT[b, t] != IGNORE:
                row = logits_BTV[b, t].double()
                expected += float(torch.logsumexp(row, 0) - row[labels_BT[b, t]])
    loss = lm_loss(logits_BTV, labels_BT)
    assert loss.dtype == torch.float32 and loss.shape == ()
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_ignored_labels_change_neither_loss_nor_gradient() -> None:
    import torch

    from codex_ml.core.labels import IGNORE
    from codex_ml.objectives.lm import lm_loss

    logits = torch.randn(1, 4, 7, generator=torch.Generator().manual_seed(1), requires_grad=True)
    labels = torch.tensor([[1, IGNORE, 3, IGNORE]])
    lm_loss(logits, labels).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad[0, 1], torch.zeros(7)) and torch.equal(logits.grad[0, 3], torch.zeros(7))
    assert bool((logits.grad[0, [0, 2]] != 0).all())
    shorter, whole = lm_loss(logits[:, [0, 2]], labels[:, [0, 2]]), lm_loss(logits, labels)
    assert shorter.item() == pytest.approx(whole.item())


def test_nothing_counted_costs_nothing_and_a_uniform_guess_costs_its_entropy() -> None:
    import torch

    from codex_ml.core.labels import IGNORE
    from codex_ml.objectives.lm import lm_loss

    assert float(lm_loss(torch.randn(2, 3, 5), torch.full((2, 3), IGNORE))) == 0.0
    assert float(lm_loss(torch.zeros(2, 3, 16), torch.zeros(2, 3, dtype=torch.int64))) == pytest.approx(
        6 * math.log(16)
    )


def test_logits_in_half_precision_are_summed_in_full() -> None:
    import torch

    from codex_ml.objectives.lm import lm_loss

    loss = lm_loss(torch.zeros(64, 100, 16, dtype=torch.bfloat16), torch.zeros(64, 100, dtype=torch.int64))
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(6400 * math.log(16), rel=1e-5)
