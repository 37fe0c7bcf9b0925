"""Whether the tensors of a checkpoint are those that a model has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from codex_ml.errors import CheckpointLoadError

if TYPE_CHECKING:
    from torch import Tensor

    from codex_ml.modeling.decoder import Decoder
    from codex_ml.modeling.pretrained import Pretrained


def check_weights(model: Decoder | Pretrained, tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointLoadError, naming them, when names or shapes are not those of the model."""
    own = {name: tuple(value.shape) for name, value in model.tensors().items()}
    stored = {name: tuple(value.shape) for name, value in tensors.items()}
    if own != stored:
        odd = sorted(name for name in {*own, *stored} if own.get(name) != stored.get(name))
        raise CheckpointLoadError(
            "the checkpoint holds other weights than this model has",
            code="checkpoint.model",
            got=", ".join(f"{name} {stored.get(name)}" for name in odd[:4]),
            wanted=", ".join(f"{name} {own.get(name)}" for name in odd[:4]),
        )
