"""Text with special tokens to ids, with the characters that each token covers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codex_ml.data.sft.template import special_tokens
from codex_ml.errors import ConfigError
from codex_ml.tokenization.hf_tokenizer import load_json, read_tokenizer_json

#: Names of tokens that are there to pad, the usual ones first.
_PADS = ("<|pad|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<|padding|>")
_SPARE = re.compile(r"pad|reserved|unused|extra_id|dummy", re.IGNORECASE)


Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Encoded:
    """The ids of a text, and for each where its characters start and stop."""

    ids: Ids
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


class SpecialEncoder:
    """A tokenizer of any kind; special tokens in a text are the tokens, so the text must be trusted."""

    def __init__(self, directory: Path) -> None:
        text = read_tokenizer_json(directory)
        self._whole = load_json(text, directory=directory)  # says what is wrong with it
        spec = json.loads(text)
        # What comes after encoding adds special tokens, which is not wanted here, and trims blanks off
        # the characters of a token, so that an answer's last line break would seem to lie outside.
        self._tokenizer = load_json(json.dumps(spec | {"post_processor": None}), directory=directory)
        self.special = {
            token["content"]: int(token["id"]) for token in spec.get("added_tokens", []) if token["special"]
        }
        self._named = special_tokens(directory)
        self._pattern = re.compile("|".join(map(re.escape, sorted(self.special, key=len, reverse=True))))
        self.ids_below: int = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.directory = directory

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Every text by itself."""
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [_encoded(one) for one in found]

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """As `encode`, faster: no characters are looked for, and what occurs twice is encoded once."""
        different = list(dict.fromkeys(texts))
        found = self._tokenizer.encode_batch_fast(different, add_special_tokens=False)
        known = {text: np.array(one.ids, dtype=np.int64) for text, one in zip(different, found, strict=True)}
        return [known[text] for text in texts]

    def leading(self) -> list[int]:
        """The ids that the tokenizer puts before every text, as a start token."""
        bare = self._whole.encode("a", add_special_tokens=False).ids
        full = self._whole.encode("a", add_special_tokens=True).ids
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return list(full[:start])
        return []

    def special_in(self, text: str) -> str | None:
        """A special token that *text* spells, None when it spells none."""
        found = self._pattern.search(text) if self.special else None
        return None if found is None else found.group()

    def padding(self, *, end_id: int) -> tuple[int, str]:
        """The id and the name of a token to pad with, never the end token.

        The tokenizer's own where it has one; else one that is there and stands for nothing. Raises
        ConfigError when every special token is the end token.
        """
        spare = [token for token in self.special if _SPARE.search(token)]
        names = [self._named.get("pad_token"), *_PADS, self._named.get("unk_token"), *spare]
        start = self._named.get("bos_token")
        names += [token for token in self.special if token != start]
        for name in names:
            found = None if name is None else self._tokenizer.token_to_id(name)
            if name is not None and found is not None and found != end_id:
                return int(found), name
        raise ConfigError(
            f"the tokenizer {self.directory} has no token to pad with",
            code="tokenizer.special",
            got="no special token but the end token",
            wanted="a pad_token of its own",
            next_step="add one to its tokenizer.json and name it in its tokenizer_config.json",
        )


def _encoded(one: Any) -> Encoded:
    places = np.array(one.offsets, dtype=np.int64).reshape(-1, 2)
    return Encoded(np.array(one.ids, dtype=np.int64), places[:, 0], places[:, 1])
