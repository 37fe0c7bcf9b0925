"""What a sample is: a conversation, or a plain prompt with its completion, and which turns are trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from codex_ml.core.digest import canonical_json, digest_bytes, digest_json

ASSISTANT, SYSTEM = "assistant", "system"


@dataclass(frozen=True)
class Message:
    """One turn; *more* holds what else a template may read, as ``tool_calls``.

    An assistant turn without *trained* (weight 0 in the file) is read and not learned.
    """

    role: str
    content: str
    more: dict[str, Any] = field(default_factory=dict)
    trained: bool = True

    def record(self) -> dict[str, Any]:
        """The turn as a template sees it."""
        return {"role": self.role, "content": self.content, **self.more}


@dataclass(frozen=True)
class Sample:
    """A conversation, or with *plain* two texts that no template touches.

    Assistant turns from *first_answer* on are trained; the ones before belong to the prompt.
    """

    messages: tuple[Message, ...] = ()
    first_answer: int = 0
    tools: tuple[Any, ...] | None = None
    plain: tuple[str, str] | None = None

    @property
    def answers(self) -> list[int]:
        """The turns that are trained."""
        return [
            index
            for index, message in enumerate(self.messages)
            if message.role == ASSISTANT and message.trained and index >= self.first_answer
        ]

    def texts(self) -> Iterator[str]:
        """Every text that the file brought and that a template may write."""
        if self.plain is not None:
            yield from self.plain
        for message in self.messages:
            yield from strings_in(message.record())
        yield from strings_in(self.tools)

    @property
    def size(self) -> int:
        """UTF-8 bytes of what the turns say."""
        said = self.plain or tuple(message.content for message in self.messages)
        return sum(len(text.encode("utf-8")) for text in said)

    def digest(self) -> bytes:
        """sha256 of all of it: equal samples are equal here."""
        turns = [message.record() for message in self.messages]
        tools = None if self.tools is None else list(self.tools)
        plain = None if self.plain is None else list(self.plain)
        content = canonical_json([turns, self.answers, tools, plain])
        return bytes.fromhex(digest_bytes(content.encode("utf-8")))

    def prompt_group(self) -> str:
        """Names the prompt: samples that answer the same one belong to one split.

        A system message is no part of it where there is another: the same question under two of them is
        the same question.
        """
        if self.plain is not None:
            return f"sha256:{digest_json([self.plain[0]])}"
        asked = self.messages[: self.answers[0]]
        asked = tuple(message for message in asked if message.role != SYSTEM) or asked
        return f"sha256:{digest_json([message.record() for message in asked])}"


def strings_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield str(key)
            yield from strings_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings_in(part)
