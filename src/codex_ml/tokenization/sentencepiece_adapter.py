"""A SentencePiece model as a `TokenizerAdapter`: one trained here, or a plain ``tokenizer.model``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from codex_ml.errors import ConfigError, DataError
from codex_ml.interfaces.tokenizer import Side
from codex_ml.tokenization.batching import EncodedBatch, make_batch
from codex_ml.tokenization.sentencepiece_model import SIDECAR, load_model, read_special
from codex_ml.tokenization.sentencepiece_train import ModelType, check_text, train_sentencepiece
from codex_ml.tokenization.special import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX

BLANK = "\u2581"  # the library's sign for a blank


class SentencePieceAdapter:
    """SentencePiece over a ``*.model`` file or its directory, with the special tokens of a sidecar.

    A model trained by `train` gives back every text exactly. A model from elsewhere follows its own
    rules: it may normalize, and its user-defined pieces are found in any text.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self._model, file = load_model(self.directory)
        self._sidecar = file.parent / SIDECAR
        self._special = read_special(self._model, self._sidecar)
        self._names = {token: name for name, token in self._special.ids.items()}
        # Longest first: of two tokens that begin alike, the longer one is meant.
        ordered = sorted(self._special.ids, key=lambda name: (-len(name), name))
        self._pattern = re.compile(f"({'|'.join(map(re.escape, ordered))})")
        self._blank_bytes = _blank_bytes(self._model)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        directory: Path | str,
        *,
        vocab_size: int = 32000,
        model_type: ModelType = "bpe",
        character_coverage: float = 0.9995,
        special_tokens: Sequence[str] = (FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX),
        seed: int,
    ) -> SentencePieceAdapter:
        """Train offline and publish *directory*; the same texts give the same bytes.

        Ids: pad 0, unk 1, bos 2, eos 3, then *special_tokens*; *vocab_size* counts them all. Training
        draws nothing at random: *seed* is only recorded. Raises ConfigError.
        """
        train_sentencepiece(
            texts,
            Path(directory),
            vocab_size=vocab_size,
            model_type=model_type,
            character_coverage=character_coverage,
            special_tokens=special_tokens,
            seed=seed,
        )
        return cls(directory)

    @property
    def vocab_size(self) -> int:
        return self._special.first_added + self._special.added

    @property
    def eos_id(self) -> int:
        return self._id_of("eos_token", int(self._model.eos_id()))

    @property
    def pad_id(self) -> int:
        """Id of the padding token, never the end token: a mask over padding must not hide ends."""
        pad = self._id_of("pad_token", int(self._model.pad_id()))
        if pad == self.eos_id:
            raise self._role_error("pads with its end token", "pad_token")
        return pad

    def token_id(self, token: str) -> int | None:
        """The id of *token*, None when the vocabulary lacks it."""
        if token in self._special.ids:
            return self._special.ids[token]
        found = int(self._model.piece_to_id(token))
        return found if self._model.id_to_piece(found) == token else None

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Ids of *text*. Strings that look like special tokens are text unless *allow_special*."""
        check_text(text)
        if not allow_special:
            return self._encode_text(text)
        ids: list[int] = []
        for index, part in enumerate(self._pattern.split(text)):  # every second part is a special token
            ids += [self._special.ids[part]] if index % 2 else self._encode_text(part)
        return ids

    def batch_encode(
        self,
        texts: Sequence[str],
        *,
        padding: Side | None = "right",
        max_length: int | None = None,
        truncation: Side = "right",
    ) -> EncodedBatch:
        """Ids and mask of many texts.

        Texts beyond *max_length* tokens lose their *truncation* side. Without padding all must have
        equal length, else UsageError.
        """
        return make_batch(
            [self.encode(text) for text in texts],
            padding=padding,
            max_length=max_length,
            truncation=truncation,
            pad_id=lambda: self.pad_id,
        )

    def decode(self, ids: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of *ids*; exact for ids that a model trained here gave. Raises DataError."""
        parts: list[str] = []
        for special, run in groupby(map(self._known, ids), key=self._names.__contains__):
            if not special:
                parts.append(str(self._model.decode(list(run))))
            elif not skip_special:
                parts += [self._names[token] for token in run]
        return "".join(parts)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The text of each token by itself; bytes that are no whole character show as U+FFFD."""
        return [self._text_of(self._known(token)) for token in ids]

    def _encode_text(self, text: str) -> list[int]:
        if self._blank_bytes is None or BLANK not in text:
            return [int(token) for token in self._model.encode(text)]
        # The library cannot tell this sign from a blank; spelt in bytes it comes back as itself.
        first, *rest = (self._model.encode(part) for part in text.split(BLANK))
        ids = [int(token) for token in first]
        for row in rest:
            ids += [*self._blank_bytes, *map(int, row)]
        return ids

    def _text_of(self, token: int) -> str:
        if token in self._names:
            return self._names[token]
        if self._model.is_byte(token):
            return bytes([int(self._model.id_to_piece(token)[3:5], 16)]).decode("utf-8", errors="replace")
        return str(self._model.id_to_piece(token)).replace(BLANK, " ")

    def _known(self, token: int) -> int:
        if not 0 <= token < self.vocab_size:
            wanted = f"0 to {self.vocab_size - 1}"
            raise DataError("there is no such token", code="tokenizer.id", got=token, wanted=wanted)
        return int(token)

    def _id_of(self, role: str, own: int) -> int:
        """The token that the sidecar names for *role*, else the model's *own* (-1 for none)."""
        if role in self._special.roles:
            return self._special.ids[self._special.roles[role]]
        if own < 0:
            raise self._role_error(f"has no {role}", role)
        return own

    def _role_error(self, what: str, role: str) -> ConfigError:
        """Say which line of the sidecar adds a token for *role* after the vocabulary."""
        stem = role.removesuffix("_token")
        names = [f"<{stem}>", f"<|{stem}|>", f"<|added_{stem}|>"]
        name = next((one for one in names if self.token_id(one) is None), names[-1])
        tokens = {
            one: token for one, token in self._special.ids.items() if token >= self._special.first_added
        }
        line = {**self._special.roles, role: name, "tokens": {**tokens, name: self.vocab_size}}
        return ConfigError(
            f"the tokenizer {self.directory} {what}",
            code="tokenizer.special",
            wanted=f"a {role} of its own",
            next_step=f"write {json.dumps(line, ensure_ascii=False)} to {self._sidecar}",
        )


def _blank_bytes(model: Any) -> list[int] | None:
    """The byte pieces that spell the sign for a blank; None where a text may not be cut to insert them.

    A model that puts a blank before each text, or squeezes blanks, would do so at every cut.
    """
    if model.normalize(" a\t  b ") != " a\t  b ".replace(" ", BLANK):
        return None
    ids = [int(model.piece_to_id(f"<0x{byte:02X}>")) for byte in BLANK.encode("utf-8")]
    return ids if all(model.is_byte(token) for token in ids) else None
