"""A Llama-shaped decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU.

Parameter names and the rotary convention are those of transformers' LlamaForCausalLM, so that a
state dict is an export. Source: Touvron et al., "LLaMA", 2023; Ainslie et al., "GQA", 2023.

Shapes: B batch, T time, D model width, H query heads, K key/value heads, E head width, F feed-forward
width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from codex_ml.config.schema import ModelConfig
from codex_ml.modeling.attention import causal_attention
from codex_ml.modeling.cache import KeyValueCache


def fused_linear(x_BTD: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Several projections of one input as a single matrix product, in the dtype of the input."""
    joined = torch.cat([weight.to(x_BTD.dtype) for weight in weights])
    return torch.split(F.linear(x_BTD, joined), [weight.shape[0] for weight in weights], dim=-1)


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """One projection without bias, in the dtype of the input."""
    return F.linear(x, weight.to(x.dtype))


class RMSNorm(nn.Module):
    """Root-mean-square normalisation in float32 (Zhang & Sennrich, 2019)."""

    def __init__(self, dim: int, *, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        wide = x_BTD.float()
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps))


def rotate(x_BHTE: Tensor, cos_TE: Tensor, sin_TE: Tensor) -> Tensor:
    """Rotary position embedding, half-split convention (Su et al., 2021)."""
    first, second = x_BHTE.float().chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x_BHTE.float() * cos_TE + turned * sin_TE).to(x_BHTE.dtype)


class Attention(nn.Module):
    """Causal self-attention with grouped key/value heads."""

    def __init__(self, cfg: ModelConfig, *, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.kv_heads, self.width = cfg.heads, cfg.kv_heads, cfg.dim // cfg.heads
        kv_dim = self.kv_heads * self.width
        self.q_proj = nn.Linear(cfg.dim, cfg.dim, bias=False)
        self.k_proj = nn.Linear(cfg.dim, kv_dim, bias=False)
        self.v_proj = nn.Linear(cfg.dim, kv_dim, bias=False)
        self.o_proj = nn.Linear(cfg.dim, cfg.dim, bias=False)

    def forward(self, x_BTD: Tensor, cos_TE: Tensor, sin_TE: Tensor, cache: KeyValueCache | None) -> Tensor:
        batch, time, dim = x_BTD.shape
        q, k, v = fused_linear(x_BTD, (self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        q_BHTE = rotate(q.view(batch, time, self.heads, self.width).transpose(1, 2), cos_TE, sin_TE)
        k_BKTE = rotate(k.view(batch, time, self.kv_heads, self.width).transpose(1, 2), cos_TE, sin_TE)
        v_BKTE = v.view(batch, time, self.kv_heads, self.width).transpose(1, 2)
        mask = None
        if cache is not None:
            k_BKTE, v_BKTE, mask = cache.append(self.layer, k_BKTE, v_BKTE)
        groups = self.heads // self.kv_heads
        if groups > 1:
            k_BKTE = k_BKTE.repeat_interleave(groups, dim=1)
            v_BKTE = v_BKTE.repeat_interleave(groups, dim=1)
        if cache is None:
            out_BHTE = causal_attention(q_BHTE, k_BKTE, v_BKTE)
        else:
            out_BHTE = F.scaled_dot_product_attention(q_BHTE, k_BKTE, v_BKTE, attn_mask=mask)
        return linear(out_BHTE.transpose(1, 2).reshape(batch, time, dim), self.o_proj.weight)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer, 2020)."""

    def __init__(self, cfg: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(cfg.dim, cfg.ffn_dim, bias=False)
        self.up_proj = nn.Linear(cfg.dim, cfg.ffn_dim, bias=False)
        self.down_proj = nn.Linear(cfg.ffn_dim, cfg.dim, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        gate_BTF, up_BTF = fused_linear(x_BTD, (self.gate_proj.weight, self.up_proj.weight))
        return linear(F.silu(gate_BTF) * up_BTF, self.down_proj.weight)


class Block(nn.Module):
    """One transformer block, normalised before each part; the residual stream stays float32."""

    def __init__(self, cfg: ModelConfig, *, layer: int) -> None:
        super().__init__()
        self.dropout = cfg.dropout
        self.input_layernorm = RMSNorm(cfg.dim, eps=cfg.norm_eps)
        self.self_attn = Attention(cfg, layer=layer)
        self.post_attention_layernorm = RMSNorm(cfg.dim, eps=cfg.norm_eps)
        self.mlp = FeedForward(cfg)

    def forward(
        self,
        x_BTD: Tensor,
        cos_TE: Tensor,
        sin_TE: Tensor,
        dtype: torch.dtype,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        attended_BTD = self.self_attn(self.input_layernorm(x_BTD).to(dtype), cos_TE, sin_TE, cache)
        x_BTD = x_BTD + self._drop(attended_BTD)
        return x_BTD + self._drop(self.mlp(self.post_attention_layernorm(x_BTD).to(dtype)))

    def _drop(self, out_BTD: Tensor) -> Tensor:
        """Residual dropout in training; its draws come from the seed of the micro-batch."""
        if self.training and self.dropout:
            return F.dropout(out_BTD, self.dropout)
        return out_BTD


#: How one block is run: (block, x_BTD, cos_TE, sin_TE, dtype, cache) -> x_BTD
BlockRunner = Callable[..., Tensor]


def run_block(
    block: Block,
    x_BTD: Tensor,
    cos_TE: Tensor,
    sin_TE: Tensor,
    dtype: torch.dtype,
    cache: KeyValueCache | None,
) -> Tensor:
    """Run a block as it is."""
    return block(x_BTD, cos_TE, sin_TE, dtype, cache)  # type: ignore[no-any-return]


class Trunk(nn.Module):
    """Embedding, blocks and final norm; the name ``model`` in a Hugging Face state dict."""

    def __init__(self, cfg: ModelConfig, *, vocab_size: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, cfg.dim)
        self.layers = nn.ModuleList(Block(cfg, layer=layer) for layer in range(cfg.layers))
        self.norm = RMSNorm(cfg.dim, eps=cfg.norm_eps)


class Decoder(nn.Module):
    """The reference model.

    Weights are float32; matrix products run in ``compute_dtype``. Raises nothing at run time for
    sequences up to ``cfg.context``; longer ones are an error of the caller.
    """

    cos_TE: Tensor
    sin_TE: Tensor

    def __init__(self, cfg: ModelConfig, *, vocab_size: int, compute_dtype: torch.dtype) -> None:
        super().__init__()
        self.cfg = cfg
        self.vocab_size = vocab_size
        self.compute_dtype = compute_dtype
        self.recompute = False
        self.model = Trunk(cfg, vocab_size=vocab_size)
        if not cfg.tie_embeddings:
            self.lm_head = nn.Linear(cfg.dim, vocab_size, bias=False)
        cos_TE, sin_TE = rotary_tables(cfg)
        self.register_buffer("cos_TE", cos_TE, persistent=False)
        self.register_buffer("sin_TE", sin_TE, persistent=False)

    @property
    def context(self) -> int:
        """The longest sequence."""
        return self.cfg.context

    def tensors(self) -> dict[str, Tensor]:
        """Every weight by name; a sharded model gives its parts."""
        return self.state_dict()

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        self.load_state_dict(tensors)

    def decoding(self, *, batch: int) -> Callable[[Tensor], Tensor]:
        """A function from the next tokens of *batch* texts (B x T) to the logits after them (B x V)."""
        device = self.model.embed_tokens.weight.device
        cache = KeyValueCache(self.cfg, batch=batch, dtype=self.compute_dtype, device=device)

        def feed(tokens_BT: Tensor) -> Tensor:
            logits_BTV: Tensor = self(tokens_BT, cache=cache)
            cache.advance(tokens_BT.shape[1])
            return logits_BTV[:, -1]

        return feed

    def reset_positions(self, device: torch.device) -> None:
        """Compute the rotary tables anew; they are in no checkpoint."""
        self.cos_TE, self.sin_TE = (table.to(device) for table in rotary_tables(self.cfg))

    @property
    def output_weight(self) -> Tensor:
        """The V x D matrix of the output layer (the embedding when tied)."""
        return self.model.embed_tokens.weight if self.cfg.tie_embeddings else self.lm_head.weight

    def trunk(
        self, tokens_BT: Tensor, *, run_block: BlockRunner, cache: KeyValueCache | None = None
    ) -> Tensor:
        """The residual stream after the last block, B x T x D float32; *run_block* may be compiled."""
        start = 0 if cache is None else cache.length
        stop = start + tokens_BT.shape[1]
        cos_TE, sin_TE = self.cos_TE[start:stop], self.sin_TE[start:stop]
        x_BTD: Tensor = self.model.embed_tokens(tokens_BT).float()
        for block in self.model.layers:
            arguments = (block, x_BTD, cos_TE, sin_TE, self.compute_dtype, cache)
            if self.recompute and torch.is_grad_enabled():
                x_BTD = checkpoint(run_block, *arguments, use_reentrant=False)
            else:
                x_BTD = run_block(*arguments)
        return x_BTD

    def head(self, x_BTD: Tensor) -> Tensor:
        """Logits of the residual stream, B x T x V in the compute dtype."""
        return linear(self.model.norm(x_BTD).to(self.compute_dtype), self.output_weight)

    def forward(self, tokens_BT: Tensor, *, cache: KeyValueCache | None = None) -> Tensor:
        """Logits, shape B x T x V, in the compute dtype."""
        return self.head(self.trunk(tokens_BT, run_block=run_block, cache=cache))


def rotary_tables(cfg: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosine and sine for every position, each context x head width, float32."""
    width = cfg.dim // cfg.heads
    inverse = 1.0 / (cfg.rope_theta ** (torch.arange(0, width, 2, dtype=torch.float32) / width))
    angles = torch.outer(torch.arange(cfg.context, dtype=torch.float32), inverse)
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()
