"""What a tokenizer must offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

Side = Literal["left", "right"]


class TokenBatch(Protocol):
    """Token ids and attention mask (1 = text, 0 = padding), both int64 of shape (batch, length)."""

    @property
    def ids(self) -> NDArray[Any]: ...
    @property
    def mask(self) -> NDArray[Any]: ...


@runtime_checkable
class TokenizerAdapter(Protocol):
    def encode(self, text: str) -> list[int]:
        """Ids of *text*; strings that look like special tokens are text."""

    def batch_encode(
        self,
        texts: Sequence[str],
        *,
        padding: Side | None = "right",
        max_length: int | None = None,
        truncation: Side = "right",
    ) -> TokenBatch:
        """Ids and mask of many texts; *truncation* is the side that is cut beyond *max_length*."""

    def decode(self, ids: Sequence[int]) -> str: ...

    @property
    def vocab_size(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def eos_id(self) -> int: ...
