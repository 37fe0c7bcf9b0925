"""A pretrained model in the project's loop: trunk, head and loss over packed documents.

Any causal language model of transformers whose head is one linear layer over its trunk goes the short
way: logits exist for trained positions only, and never for all of them at once.

Shapes: B batch, T time, D model width, N trained positions, V vocabulary.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from codex_ml.errors import ConfigError, IntegrityError, TrainingError
from codex_ml.modeling.documents import document_slices
from codex_ml.modeling.lora import adapter_tensors, load_adapter_tensors


class Pretrained(nn.Module):
    """A loaded model (perhaps with an adapter) and how training calls it.

    Matrix products run in *compute_dtype*; weights keep the dtype they were loaded in.
    """

    def __init__(self, net: nn.Module, *, context: int, compute_dtype: torch.dtype, adapter: bool) -> None:
        super().__init__()
        self.net = net
        self.context = context
        self.compute_dtype = compute_dtype
        self.adapter = adapter
        self._compiled: dict[str, Any] = {}

    @property
    def causal(self) -> Any:
        """The transformers model itself; an adapter's layers are inside it."""
        return cast("Any", self.net).get_base_model() if self.adapter else self.net

    @property
    def recompute(self) -> bool:
        return bool(self.causal.is_activation_checkpointing)

    @recompute.setter
    def recompute(self, wanted: bool) -> None:
        if wanted:
            self.causal.activation_checkpointing_enable({"use_reentrant": False})
        else:
            self.causal.activation_checkpointing_disable()

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder layers."""
        lists = [item for item in self.causal.get_decoder().modules() if isinstance(item, nn.ModuleList)]
        return max(lists, key=len)

    def compile_layers(self) -> None:
        """Compile one layer, which serves all, for training alone: evaluation has other shapes."""
        for layer in self.layers:
            layer.compile(dynamic=False, fullgraph=True)
        self._compiled = {str(at): layer._compiled_call_impl for at, layer in enumerate(self.layers)}

    def train(self, mode: bool = True) -> Pretrained:
        """As usual; and training alone calls what was compiled."""
        super().train(mode)
        for at, layer in enumerate(self.layers):
            layer._compiled_call_impl = self._compiled.get(str(at)) if mode else None
        return self

    def trunk(self, inputs_BT: Tensor, positions_BT: Tensor | None, **options: Any) -> Tensor:
        """The hidden states under the head, B x T x D."""
        if positions_BT is not None:
            options |= {"position_ids": positions_BT, "document_positions": positions_BT}
        with self.precision():
            stream_BTD = self.causal.get_input_embeddings()(inputs_BT)
            if torch.is_grad_enabled() and not stream_BTD.requires_grad:
                # Every layer meets the same kind of input, so one compiled layer serves the first one too.
                stream_BTD.requires_grad_()
            found = self.causal.get_decoder()(inputs_embeds=stream_BTD, use_cache=False, **options)
        return cast("Tensor", found.last_hidden_state)

    def head(self, hidden: Tensor) -> Tensor:
        """Logits of hidden states."""
        with self.precision():
            return cast("Tensor", self.causal.get_output_embeddings()(hidden))

    def forward(self, inputs_BT: Tensor, positions_BT: Tensor | None = None) -> Tensor:
        """Logits, B x T x V."""
        return self.head(self.trunk(inputs_BT, positions_BT))

    def decoding(self, *, batch: int) -> Callable[[Tensor], Tensor]:
        """A function from the next tokens of *batch* texts (B x T) to the logits after them (B x V)."""
        from transformers import DynamicCache

        decoder = self.causal.get_decoder()
        known = inspect.signature(decoder.forward).parameters
        name = "cache" if "cache" in known else "past_key_values"
        cache = DynamicCache(config=self.causal.config)

        def feed(tokens_BT: Tensor) -> Tensor:
            assert len(tokens_BT) == batch
            with self.precision():
                found = decoder(tokens_BT, use_cache=True, **{name: cache})
            return self.head(found.last_hidden_state[:, -1])

        return feed

    @contextlib.contextmanager
    def precision(self) -> Iterator[None]:
        """Matrix products in the compute dtype, whatever dtype weights are kept in."""
        device = next(self.net.parameters()).device.type
        narrow = self.compute_dtype != torch.float32
        with torch.autocast(device, self.compute_dtype, enabled=narrow, cache_enabled=False):
            yield

    def tensors(self) -> dict[str, Tensor]:
        """What training changes, by name: the adapter's tensors, or every weight once."""
        if self.adapter:
            return adapter_tensors(self.net)
        return {name: value for name, value in self.net.named_parameters() if value.requires_grad}

    @torch.no_grad()
    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave; names and shapes were checked."""
        if self.adapter:
            load_adapter_tensors(self.net, tensors)
            return
        own = dict(self.net.named_parameters())
        for name, value in tensors.items():
            own[name].copy_(value)


@torch.no_grad()
def check_finite(net: nn.Module) -> None:
    """Raise IntegrityError for a weight that holds NaN or infinity; each is read once."""
    for name, weight in net.named_parameters():
        # A sum is finite only if all its terms are; it may overflow by itself, so that is looked at again.
        if not weight.is_floating_point() or bool(weight.sum(dtype=torch.float32).isfinite()):
            continue
        if odd := int((~weight.isfinite()).sum()):
            stored = name.removeprefix("base_model.model.").replace(".base_layer.", ".")  # as the file has it
            raise IntegrityError(
                f"the weights hold values that are not finite, in {stored}",
                code="model.not-finite",
                got=f"{odd} of {weight.numel()} values are NaN or infinite",
                wanted="numbers",
                next_step="fetch the weights again, or take an earlier checkpoint of what made them",
            )


@torch.no_grad()
def check_short_way(model: Pretrained, *, vocab_size: int) -> None:
    """Raise ConfigError where trunk and head are not all of the model (logits scaled or capped).

    IntegrityError where a weight is not finite, so that nothing can be compared or learned.
    """
    check_finite(model.net)
    probe_BT = _probe(model, vocab_size)
    model.eval()
    with model.precision():
        whole = model.causal(probe_BT, use_cache=False).logits
    short = model(probe_BT)
    model.train()
    if not torch.equal(whole, short):
        raise ConfigError(
            f"the logits of {type(model.causal).__name__} are more than a linear layer over its trunk",
            code="model.head",
            got=f"a difference of {float((whole.float() - short.float()).abs().max()):.3g}",
            next_step="such models cannot be trained here yet",
        )


@torch.no_grad()
def check_isolation(model: Pretrained, *, vocab_size: int) -> None:
    """Raise TrainingError where a document of a packed row changes another one's logits."""
    probe_BT = _probe(model, vocab_size)[:1]
    cut = probe_BT.shape[1] // 2
    positions_BT = torch.cat([torch.arange(cut), torch.arange(probe_BT.shape[1] - cut)])[None]
    positions_BT = positions_BT.to(probe_BT.device)
    other_BT = probe_BT.clone()
    other_BT[:, :cut] = (other_BT[:, :cut] + 1) % vocab_size
    model.eval()
    one, two = model(probe_BT, positions_BT), model(other_BT, positions_BT)
    model.train()
    assert len(list(document_slices(positions_BT))) == 2
    if not torch.equal(one[:, cut:], two[:, cut:]):
        raise TrainingError(
            f"{type(model.causal).__name__} lets a document see its neighbours in a packed row",
            code="train.leak",
            got="other logits after a change in another document",
            next_step="train with data.packing=none",
        )


def _probe(model: Pretrained, vocab_size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, vocab_size, (2, min(32, model.context)), generator=generator)
    return tokens.to(next(model.net.parameters()).device)
