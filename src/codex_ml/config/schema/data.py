"""Section ``data``: where documents come from, how they are cleaned, split and packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class SplitConfig:
    __pydantic_config__ = FORBID

    train: Annotated[float, key("share of groups in the train split", gt=0, le=1)]
    validation: Annotated[float, key("share of groups in the validation split", ge=0, lt=1)]
    test: Annotated[float, key("share of groups in the test split", ge=0, lt=1)]
    salt: Annotated[str, key("mixed into the hash that assigns a group to a split")]


@dataclass(frozen=True)
class DataConfig:
    __pydantic_config__ = FORBID

    source: Annotated[str, key("registered data source", min_length=1)]
    path: Annotated[
        str | None, key("file, folder or repository; null where the source needs none", role="operational")
    ]
    include: Annotated[tuple[str, ...], key("globs of files to take; empty takes every known code file")]
    exclude: Annotated[tuple[str, ...], key("globs of files to leave out")]
    revision: Annotated[str, key("commit, branch or tag for the source 'git'")]
    text_field: Annotated[str, key("column or key that holds the text in table sources", min_length=1)]
    group_field: Annotated[str | None, key("column that names a row's group; null: each row its own")]
    group_depth: Annotated[int, key("leading path parts that form the group of a file", ge=1)]
    on_error: Annotated[
        Literal["stop", "skip"], key("a document that cannot be read: stop, or skip and count")
    ]
    min_bytes: Annotated[int, key("shorter documents are dropped", ge=0)]
    max_bytes: Annotated[int, key("longer documents are dropped", ge=1)]
    max_line_bytes: Annotated[int, key("documents with a longer line are dropped (generated data)", ge=80)]
    min_text_share: Annotated[
        float, key("least share of letters, digits and blanks in a document", ge=0, le=1)
    ]
    dedup: Annotated[Literal["exact", "none"], key("remove documents of equal text")]
    split: SplitConfig
    format: Annotated[
        Literal["text", "auto", "chat", "prompt_completion", "alpaca", "sharegpt"],
        key("text: documents to predict whole; else samples of which answers alone are trained"),
    ]
    template: Annotated[
        str | None, key("Jinja file of a chat template; null: the tokenizer's own", role="operational")
    ]
    overlong: Annotated[
        Literal["error", "truncate", "drop"], key("a sample longer than model.context: refuse, cut or drop")
    ]
    packing: Annotated[
        Literal["best_fit", "none"],
        key("best_fit: several samples a row, each by itself; none: one a row"),
    ]
    shard_tokens: Annotated[int, key("tokens per shard file", role="operational", ge=1 << 10)]
