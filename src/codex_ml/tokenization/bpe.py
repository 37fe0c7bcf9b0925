"""Train a byte-level BPE tokenizer, deterministic and byte-lossless.

The shape of the result, and why it is trusted, is in `proper`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from codex_ml.core.optional import require
from codex_ml.errors import ConfigError, IntegrityError
from codex_ml.tokenization.proper import PATTERN, why_improper
from codex_ml.tokenization.special import SPECIAL_TOKENS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SMALLEST = 256 + len(SPECIAL_TOKENS)


def train_bpe(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Train on *texts* until the vocabulary has exactly *vocab_size* entries, special tokens included.

    Deterministic: the same texts give the same tokenizer. Raises ConfigError when the texts yield
    fewer entries, saying how many are possible.
    """
    if vocab_size < SMALLEST:
        raise ConfigError(
            "tokenizer.vocab_size cannot hold every byte and the special tokens",
            code="tokenizer.vocab",
            got=vocab_size,
            wanted=f"at least {SMALLEST}",
        )
    lib = require("tokenizers", extra="train")
    tokenizer: Tokenizer = lib.Tokenizer(lib.models.BPE())
    tokenizer.pre_tokenizer = lib.pre_tokenizers.Sequence(
        [
            lib.pre_tokenizers.Split(lib.Regex(PATTERN), "isolated"),
            lib.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = lib.decoders.ByteLevel()
    trainer = lib.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(lib.pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    _require_size(tokenizer.get_vocab_size(), vocab_size)
    reason = why_improper(json.loads(tokenizer.to_str()))
    if reason is not None:
        raise IntegrityError(f"the trained tokenizer is not proper: {reason}", code="tokenizer.improper")
    return tokenizer


def _require_size(possible: int, wanted: int) -> None:
    if possible != wanted:
        raise ConfigError(
            "the training text is too small for this vocabulary",
            code="tokenizer.vocab",
            got=f"{possible} possible entries",
            wanted=f"tokenizer.vocab_size={wanted}",
            next_step=f"set tokenizer.vocab_size={possible} or less, or give more text",
        )
