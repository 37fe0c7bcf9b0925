"""Train a SentencePiece model offline: equal texts give equal bytes, and every text comes back exactly."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from codex_ml.core.optional import require
from codex_ml.core.publish import staged, write_json
from codex_ml.errors import ConfigError, UsageError
from codex_ml.tokenization.sentencepiece_model import MODEL, SIDECAR

ModelType = Literal["bpe", "unigram"]
BASE = ("<pad>", "<unk>", "<s>", "</s>")  # their place is their id
_ROLES = ("pad", "unk", "bos", "eos")
SMALLEST = 256 + len(BASE)

_PART = 4096  # characters of a document that the library gets at once
# The library leaves out every part with one of these: NUL, and the mark it keeps for unknown text.
_RESERVED = {0x0000: None, 0x2585: None}
# A special token so named would take the place of a byte, or of an ordinary piece with a blank.
_UNFIT = re.compile(r"^<0x[0-9A-F]{2}>$|[\0\u2581]")


def train_sentencepiece(
    texts: Iterable[str],
    directory: Path,
    *,
    vocab_size: int,
    model_type: ModelType,
    character_coverage: float,
    special_tokens: Sequence[str],
    seed: int,
) -> None:
    """Train on *texts* and publish model, sidecar and manifest as *directory*.

    Every part of every text is used, so nothing is drawn at random: *seed* is recorded in the manifest
    and changes no byte of the model. Raises ConfigError for settings that cannot be met.
    """
    recipe = {
        "vocab_size": vocab_size,
        "model_type": model_type,
        "character_coverage": character_coverage,
        "special_tokens": list(special_tokens),
        "seed": seed,
    }
    _check(recipe, directory)
    lib = require("sentencepiece", extra="train")
    meta = {"kind": "tokenizer", "library": f"sentencepiece {lib.__version__}", "recipe": recipe}
    with staged(directory, meta=meta) as stage:
        (stage / MODEL).write_bytes(_train(lib, texts, recipe))
        numbered = {token: len(BASE) + index for index, token in enumerate(special_tokens)}
        sidecar = {"eos_token": BASE[3], "pad_token": BASE[0], "tokens": numbered}
        write_json(stage / SIDECAR, sidecar)


def _check(recipe: dict[str, Any], directory: Path) -> None:
    """Refuse before the texts are read what would fail after hours of training."""
    if directory.exists():
        raise ConfigError(
            f"{directory} exists already",
            code="tokenizer.exists",
            next_step="choose another directory, or move this one away",
        )
    smallest = SMALLEST + len(recipe["special_tokens"])
    if recipe["vocab_size"] < smallest:
        raise _vocab_error("vocab_size cannot hold every byte and the special tokens", recipe, smallest)
    if recipe["model_type"] not in get_args(ModelType):
        wanted = " or ".join(get_args(ModelType))
        raise _option_error("no such model_type", got=recipe["model_type"], wanted=wanted)
    if not 0.98 <= recipe["character_coverage"] <= 1.0:
        got = recipe["character_coverage"]
        raise _option_error("character_coverage is out of range", got=got, wanted="0.98 to 1.0")
    seen = set(BASE)
    for token in recipe["special_tokens"]:
        check_text(token)
        if not token or token in seen or _UNFIT.search(token):
            wanted = (
                f"different names, none of {', '.join(BASE)} and <0x00> to <0xFF>, without NUL and U+2581"
            )
            raise _option_error("a special token has no name of its own", got=repr(token), wanted=wanted)
        seen.add(token)


def _train(lib: Any, texts: Iterable[str], recipe: dict[str, Any]) -> bytes:
    failed: list[BaseException] = []
    model = io.BytesIO()
    try:
        lib.SentencePieceTrainer.train(
            sentence_iterator=_parts(texts, failed),
            model_writer=model,
            model_type=recipe["model_type"],
            vocab_size=recipe["vocab_size"],
            character_coverage=recipe["character_coverage"],
            control_symbols=recipe["special_tokens"],
            # Code must come back exactly: nothing is normalized, and what is unknown is spelt in bytes.
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            max_sentence_length=4 * _PART,  # bytes; longer ones would be left out in silence
            input_sentence_size=0,  # all of them, so that nothing is sampled
            num_threads=1,  # the number is written into the model, and sums depend on it
            minloglevel=2,
            **{f"{name}_id": index for index, name in enumerate(_ROLES)},
            **{f"{name}_piece": piece for name, piece in zip(_ROLES, BASE, strict=True)},
        )
    except RuntimeError as error:
        if failed:  # the library has turned an error of the texts into its own
            raise failed[0] from None
        raise _explained(str(error), recipe) from error
    return model.getvalue()


def _parts(texts: Iterable[str], failed: list[BaseException]) -> Iterator[str]:
    """The texts in parts of at most `_PART` characters, cut before a line end where there is one.

    The library strips line ends off the end of a part; at its beginning they are learned.
    """
    try:
        for text in texts:
            check_text(text)
            text = text.translate(_RESERVED)
            start = 0
            while start < len(text):
                end = start + _PART
                if end < len(text):
                    line = text.rfind("\n", start + 1, end)
                    end = line if line > 0 else end
                yield text[start:end]
                start = end
    except BaseException as error:
        failed.append(error)
        raise


def check_text(text: str) -> None:
    """Raise UsageError for *text* with lone surrogates, which no file holds."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError("the text is not valid UTF-8", code="tokenizer.text", got=error) from error


def _explained(message: str, recipe: dict[str, Any]) -> ConfigError:
    """The library's refusal, with the number that it names as the next step."""
    if "sentences_.empty()" in message:
        return ConfigError(
            "there is no text to train a tokenizer on", code="tokenizer.train-bytes", next_step="give texts"
        )
    if found := re.search(r"set it to a value <= (\d+)", message):
        return ConfigError(
            "the training text is too small for this vocabulary",
            code="tokenizer.vocab",
            got=f"{found[1]} possible entries",
            wanted=f"vocab_size={recipe['vocab_size']}",
            next_step=f"set vocab_size={found[1]} or less, or give more text",
        )
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return _vocab_error("vocab_size cannot hold every character of the text", recipe, int(found[1]))
    return _option_error("sentencepiece does not train with these settings", got=message, wanted=None)


def _vocab_error(what: str, recipe: dict[str, Any], smallest: int) -> ConfigError:
    return ConfigError(
        what,
        code="tokenizer.vocab",
        got=recipe["vocab_size"],
        wanted=f"at least {smallest}",
        next_step=f"set vocab_size={smallest} or more, or a smaller character_coverage",
    )


def _option_error(what: str, *, got: object, wanted: str | None) -> ConfigError:
    return ConfigError(what, code="tokenizer.option", got=got, wanted=wanted)
