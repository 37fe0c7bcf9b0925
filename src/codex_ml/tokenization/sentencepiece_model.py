"""A SentencePiece directory: find and load its model, read the special tokens of model and sidecar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.optional import require
from codex_ml.core.publish import read_json
from codex_ml.errors import ConfigError

MODEL = "spm.model"
SIDECAR = "special_tokens.json"
ROLES = ("eos_token", "pad_token")
_NORMALIZER = 3  # field of ModelProto that every trainer writes after the pieces


def find_model(path: Path) -> Path | None:
    """The model file that *path* is or holds: ours, else Llama's name, else the only ``*.model``.

    Raises ConfigError where a directory holds several and none has a known name.
    """
    if path.is_file() and path.suffix == ".model":
        return path
    for name in (MODEL, "tokenizer.model"):
        if (path / name).is_file():
            return path / name
    found = sorted(path.glob("*.model")) if path.is_dir() else []
    if len(found) > 1:
        raise ConfigError(
            f"{path} holds several SentencePiece models",
            code="tokenizer.path",
            got=", ".join(file.name for file in found),
            next_step="give the path of one of these files",
        )
    return found[0] if found else None


def load_model(path: Path) -> tuple[Any, Path]:
    """The library's processor for the model that *path* is or holds, and the file.

    Raises ConfigError where there is none, or one that is cut off or of another kind.
    """
    lib = require("sentencepiece", extra="train")
    file = find_model(path)
    if file is None:
        raise ConfigError(
            f"{path} holds no SentencePiece model",
            code="tokenizer.path",
            wanted=f"a *.model file, or a directory with {MODEL} or tokenizer.model in it",
            next_step="give the directory that SentencePieceAdapter.train wrote, or a model's own",
        )
    try:
        data = file.read_bytes()
    except OSError as error:
        raise _no_model(file, error.strerror or str(error)) from error
    try:
        # Empty bytes would give a processor without a model, which fails only when it is used.
        processor = lib.SentencePieceProcessor(model_proto=data) if data else None
    except RuntimeError as error:
        raise _no_model(file, "bytes that the library does not read") from error
    if processor is None or _NORMALIZER not in set(_fields(data)):
        # Cut exactly there it would load, with the library's default rules instead of its own.
        raise _no_model(file, f"a file cut off after {len(data)} bytes")
    return processor, file


def _no_model(file: Path, got: str) -> ConfigError:
    return ConfigError(
        f"{file} is no whole SentencePiece model",
        code="tokenizer.path",
        got=got,
        next_step="copy the file again from where it was trained, and compare the sizes",
    )


def _fields(data: bytes) -> Iterator[int]:
    """The numbers of the top-level fields of a protobuf message whose fields are all messages."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        length, place = _varint(data, place)
        place += length
        yield tag >> 3


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            break
    return value, place


@dataclass(frozen=True)
class SpecialTokens:
    """Special tokens by name; those with ids from *first_added* on stand after the model's vocabulary."""

    ids: dict[str, int]
    roles: dict[str, str]
    first_added: int

    @property
    def added(self) -> int:
        return sum(1 for token in self.ids.values() if token >= self.first_added)


def read_special(model: Any, sidecar: Path) -> SpecialTokens:
    """The control pieces of *model* and what *sidecar* (when there is one) names and adds.

    Raises ConfigError when the sidecar is of another shape, collides with the model, or leaves gaps.
    """
    size = int(model.vocab_size())
    own = {
        str(model.id_to_piece(token)): token
        for token in range(size)
        if model.is_control(token) or model.is_unknown(token)
    }
    content = read_json(sidecar) if sidecar.is_file() else {}
    tokens = _checked_shape(content, sidecar)
    for name, token in tokens.items():
        _check_place(model, sidecar, name=name, token=token, size=size)
    added = sorted(token for token in tokens.values() if token >= size)
    if len(set(tokens.values())) < len(tokens):
        raise _wrong(sidecar, "gives one id to two tokens", got=json.dumps(tokens))
    if added != list(range(size, size + len(added))):
        wanted = f"the ids {size} to {size + len(added) - 1}, right after the model's"
        raise _wrong(sidecar, "leaves gaps between its ids", got=str(added), wanted=wanted)
    special = own | tokens
    roles = {role: content[role] for role in ROLES if role in content}
    for role, name in roles.items():
        if name not in special:
            raise _wrong(sidecar, f"names a {role} that is no special token", got=repr(name))
    return SpecialTokens(ids=special, roles=roles, first_added=size)


def _checked_shape(content: Any, sidecar: Path) -> dict[str, int]:
    """The tokens of the sidecar's *content*; a key of another name would be a setting that does nothing."""
    wanted = '{"eos_token": NAME, "pad_token": NAME, "tokens": {NAME: ID}}, each of them optional'
    if not isinstance(content, dict) or set(content) - {*ROLES, "tokens"}:
        got = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise _wrong(sidecar, "has another shape", got=got, wanted=wanted)
    tokens = content.get("tokens", {})
    names_are_text = all(isinstance(content.get(role, ""), str) for role in ROLES)
    if (
        not names_are_text
        or not isinstance(tokens, dict)
        or not all(name and type(token) is int and token >= 0 for name, token in tokens.items())
    ):
        raise _wrong(sidecar, "has another shape", got=json.dumps(content)[:200], wanted=wanted)
    return tokens


def _check_place(model: Any, sidecar: Path, *, name: str, token: int, size: int) -> None:
    """A token is either the control piece of that id, or new to the model."""
    known = int(model.piece_to_id(name))
    taken = model.id_to_piece(known) == name
    if token >= size and taken:
        raise _wrong(sidecar, f"adds {name!r}, which the model has", got=f"id {token}", wanted=f"id {known}")
    if token < size and not (taken and known == token):
        raise _wrong(
            sidecar,
            f"gives {name!r} an id of the model's own",
            got=f"id {token}, which is {model.id_to_piece(token)!r}",
            wanted=f"an id from {size} on",
        )
    if token < size and not model.is_control(token) and not model.is_unknown(token):
        raise _wrong(sidecar, f"calls the ordinary piece {name!r} special", got=f"id {token}")


def _wrong(sidecar: Path, what: str, *, got: str, wanted: str | None = None) -> ConfigError:
    return ConfigError(
        f"{sidecar} {what}",
        code="tokenizer.sidecar",
        got=got,
        wanted=wanted,
        next_step=f"correct {SIDECAR}, or remove it to use the model's own special tokens",
    )
