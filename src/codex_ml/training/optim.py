"""Optimizers over named parameters, with a state that is a flat table of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from codex_ml.config.schema import TrainConfig
from codex_ml.errors import CheckpointLoadError

#: What each optimizer keeps for each parameter; the closed world of the checkpoint.
_STATE_KEYS = {"AdamW": ("exp_avg", "exp_avg_sq", "step"), "Muon": ("momentum_buffer",)}
#: Steps of the Newton-Schulz iteration of Muon.
_NS_STEPS = 5


class Optimizers:
    """AdamW, or Muon for matrices with AdamW for the rest (Jordan et al., "Muon", 2024)."""

    def __init__(self, model: nn.Module, *, cfg: TrainConfig) -> None:
        named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        self._names: dict[Tensor, str] = {parameter: name for name, parameter in named}
        opt = cfg.optimizer
        matrices = [p for n, p in named if p.ndim == 2 and ".layers." in n]
        tables = [p for n, p in named if p.ndim == 2 and ".layers." not in n]
        vectors = [p for _, p in named if p.ndim != 2]
        self._parts: list[torch.optim.Optimizer] = []
        self._peak: list[list[float]] = []
        if opt.name == "muon":
            self._add(
                torch.optim.Muon(
                    matrices,
                    lr=opt.matrix_lr,
                    weight_decay=opt.weight_decay,
                    momentum=opt.momentum,
                    ns_steps=_NS_STEPS,
                )
            )
            matrices = []
        groups = [
            {"params": [*matrices, *tables], "weight_decay": opt.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        # fused: one pass over the parameters; it differs in bits from the other variants, so it is fixed.
        self._add(torch.optim.AdamW(groups, lr=cfg.lr, betas=(opt.beta1, opt.beta2), eps=opt.eps, fused=True))

    @property
    def parts(self) -> list[torch.optim.Optimizer]:
        """PyTorch's optimizers, each with some of the parameters."""
        return self._parts

    def _add(self, part: torch.optim.Optimizer) -> None:
        self._parts.append(part)
        self._peak.append([group["lr"] for group in part.param_groups])

    def set_scale(self, scale: float) -> None:
        """Set every learning rate to *scale* times its peak."""
        for part, peaks in zip(self._parts, self._peak, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                group["lr"] = peak * scale

    def step(self) -> None:
        for part in self._parts:
            part.step()

    def zero_grad(self) -> None:
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state: "<parameter>|<key>" -> tensor."""
        return {
            f"{self._names[parameter]}|{key}": values[key]
            for part in self._parts
            for parameter, values in part.state.items()
            for key in _STATE_KEYS[type(part).__name__]
        }

    def empty_tensors(self) -> dict[str, Tensor]:
        """A state of the right names and shapes to be filled."""
        return {
            f"{self._names[parameter]}|{key}": torch.zeros((), dtype=torch.float32)
            if key == "step"
            else torch.zeros_like(parameter)
            for part in self._parts
            for parameter in _parameters(part)
            for key in _STATE_KEYS[type(part).__name__]
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the state. Raises CheckpointLoadError when a key is missing or left over."""
        left = dict(tensors)
        for part in self._parts:
            for parameter in _parameters(part):
                name = self._names[parameter]
                part.state[parameter] = {
                    key: _take(left, f"{name}|{key}", shape=None if key == "step" else parameter.shape)
                    .clone()
                    .to(parameter.device)
                    for key in _STATE_KEYS[type(part).__name__]
                }
        if left:
            raise CheckpointLoadError(
                "the checkpoint holds optimizer state that this run does not have",
                code="checkpoint.optimizer",
                got=", ".join(sorted(left)[:4]),
            )


def _parameters(part: torch.optim.Optimizer) -> Iterable[nn.Parameter]:
    return (parameter for group in part.param_groups for parameter in group["params"])


def _take(tensors: dict[str, Tensor], key: str, *, shape: torch.Size | None) -> Tensor:
    if key not in tensors:
        raise CheckpointLoadError(
            "the checkpoint lacks optimizer state that this run needs",
            code="checkpoint.optimizer",
            wanted=key,
        )
    if shape is not None and tensors[key].shape != shape:
        raise CheckpointLoadError(
            f"the checkpoint's optimizer state {key} has another shape",
            code="checkpoint.optimizer",
            got=tuple(tensors[key].shape),
            wanted=tuple(shape),
        )
    return tensors.pop(key)
