"""What a source yields: documents, what it had to leave out, and the inputs it read them from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from codex_ml.errors import DataError


@dataclass(frozen=True)
class Document:
    """One text. *id* is unique in its source and does not depend on where the source lies."""

    id: str
    group: str  # goes whole into one split
    path: str  # names the file, and so the language
    raw: bytes  # valid UTF-8, exactly as it was read

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8")


@dataclass(frozen=True)
class Dropped:
    """A document that is left out, and why: *reason* is a stable code."""

    id: str
    path: str
    bytes: int
    reason: str
    detail: str


@dataclass(frozen=True)
class InputFile:
    """One input with the digest of its bytes; an input that could not be read has no digest."""

    path: str
    size: int
    sha256: str


class Source(Protocol):
    """Where documents come from. Built from a `DataConfig`; reading starts with `inputs`."""

    @property
    def origin(self) -> dict[str, str]:
        """What else names the inputs, as the commit of a repository; part of the digest."""

    def inputs(self) -> list[InputFile]:
        """Every input, hashed, sorted by path. Raises DataError for a missing or unreadable one."""

    def documents(self) -> Iterator[Document | Dropped]:
        """The documents in a fixed order, streaming; what is left out is yielded as `Dropped`.

        Raises DataError for a document that cannot be read, unless ``data.on_error=skip``.
        """


def settle(error: DataError, *, skip: bool, id: str, path: str, size: int = 0) -> Dropped:  # noqa: A002
    """Raise *error*, or with *skip* make it the reason that a document is left out."""
    if not skip:
        raise error
    detail = error.what if error.got is None else f"{error.what}; {error.got}"
    return Dropped(id=id, path=path, bytes=size, reason=error.code, detail=detail)
