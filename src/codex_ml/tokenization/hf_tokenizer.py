"""A Hugging Face tokenizer directory as a `TokenizerAdapter`, without importing transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codex_ml.core.optional import require
from codex_ml.core.publish import read_json
from codex_ml.errors import ConfigError, UsageError
from codex_ml.interfaces.tokenizer import Side
from codex_ml.tokenization.batching import EncodedBatch, make_batch
from codex_ml.tokenization.special import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX

TOKENIZER_JSON = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"


def read_tokenizer_json(directory: Path) -> str:
    """The text of ``tokenizer.json``. Raises ConfigError where *directory* has none."""
    try:
        return (directory / TOKENIZER_JSON).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{directory} is no tokenizer directory",
            code="tokenizer.path",
            got=str(error),
            wanted=f"a directory with {TOKENIZER_JSON} in it",
            next_step="give the directory that `codex-ml tokenizer train` or save_pretrained wrote",
        ) from error


def load_json(text: str, *, directory: Path) -> Any:
    """The library's tokenizer for the content *text* of *directory*, padding and truncation off."""
    lib = require("tokenizers", extra="train")
    try:
        tokenizer = lib.Tokenizer.from_str(text)
    except BaseException as error:
        if type(error) is not Exception:  # the library raises exactly that class for bad content
            raise
        raise ConfigError(
            f"{directory / TOKENIZER_JSON} does not load",
            code="tokenizer.path",
            got=str(error),
            next_step="save it again with a current version of the tokenizers package",
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class HFTokenizerAdapter:
    """Fast tokenizer over a directory with ``tokenizer.json``; adds no tokens of its own."""

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        text = read_tokenizer_json(self.directory)
        self._plain = load_json(text, directory=self.directory)
        self._special = load_json(text, directory=self.directory)
        self._plain.encode_special_tokens = True
        self._named = _special_names(self.directory)

    @property
    def vocab_size(self) -> int:
        return int(self._plain.get_vocab_size(with_added_tokens=True))

    @property
    def eos_id(self) -> int:
        return self._id_of("eos_token")

    @property
    def pad_id(self) -> int:
        """Id of the padding token, never the end token: a mask over padding must not hide ends."""
        pad = self._id_of("pad_token")
        if pad == self.eos_id:
            raise _special_error(self.directory, "pads with its end token", "a padding token of its own")
        return pad

    def token_id(self, token: str) -> int | None:
        """The id of *token*, None when the vocabulary lacks it."""
        found: int | None = self._plain.token_to_id(token)
        return found

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Ids of *text*. Strings that look like special tokens are text unless *allow_special*."""
        tokenizer = self._special if allow_special else self._plain
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UsageError("the text is not valid UTF-8", code="tokenizer.text", got=error) from error
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_fim(self, prefix: str, suffix: str) -> list[int]:
        """Fill-in-the-middle prompt; special strings inside *prefix* or *suffix* stay text."""
        marks = [self.token_id(token) for token in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE)]
        if None in marks:
            raise _special_error(self.directory, "lacks the fill-in-the-middle tokens", FIM_PREFIX)
        first, second, third = (int(mark) for mark in marks if mark is not None)
        return [first, *self.encode(prefix), second, *self.encode(suffix), third]

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
        rows = [row.ids for row in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]
        return make_batch(
            rows, padding=padding, max_length=max_length, truncation=truncation, pad_id=lambda: self.pad_id
        )

    def decode(self, ids: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of *ids*; exact for ids that come from `encode`."""
        return str(self._plain.decode([int(i) for i in ids], skip_special_tokens=skip_special))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The text of each token by itself; bytes that are no whole character show as U+FFFD."""
        return [self.decode([token]) for token in ids]

    def _id_of(self, role: str) -> int:
        token = self._named.get(role)
        found = None if token is None else self.token_id(token)
        if found is None:
            raise _special_error(self.directory, f"has no {role}", f"{role} in {TOKENIZER_CONFIG}")
        return found


def _special_names(directory: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for file in ("special_tokens_map.json", TOKENIZER_CONFIG):
        path = directory / file
        content: dict[str, Any] = read_json(path) if path.is_file() else {}
        for role in ("eos_token", "pad_token"):
            token = content.get(role)
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                names[role] = token
    return names


def _special_error(directory: Path, what: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"the tokenizer {directory} {what}",
        code="tokenizer.special",
        wanted=wanted,
        next_step=f"edit its {TOKENIZER_CONFIG}, or train one with `codex-ml tokenizer train`",
    )
