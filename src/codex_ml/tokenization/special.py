"""The special tokens of every tokenizer trained here, in their fixed order (= their ids)."""

from __future__ import annotations

END = "<|endoftext|>"  # parts documents; also the end-of-sequence token
PAD = "<|pad|>"
FIM_PREFIX = "<|fim_prefix|>"
FIM_MIDDLE = "<|fim_middle|>"
FIM_SUFFIX = "<|fim_suffix|>"

SPECIAL_TOKENS = (END, PAD, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX)


def fim_prompt(prefix: str, suffix: str) -> str:
    """Fill-in-the-middle prompt, prefix first: the model writes what stands between the two.

    For trusted text only: encoded with special tokens allowed, a special string inside *prefix* would
    count as one. `HFTokenizerAdapter.encode_fim` builds the same ids without that risk.
    """
    return f"{FIM_PREFIX}{prefix}{FIM_SUFFIX}{suffix}{FIM_MIDDLE}"
