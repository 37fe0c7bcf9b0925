"""Section ``runtime``: the machine's part; what "auto" became is stored as the resolved run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from codex_ml.config.schema.key import FORBID, key


@dataclass(frozen=True)
class RuntimeConfig:
    __pydantic_config__ = FORBID

    device: Annotated[str, key("auto, cpu, cuda or cuda:N", pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        key("precision of matrix products; what is trained is float32"),
    ]
    compile: Annotated[Literal["auto"] | bool, key("torch.compile: auto where a compiler works and it pays")]
    threads: Annotated[Literal["auto"] | int, key("CPU threads; auto: one per usable core")]
    determinism: Annotated[
        Literal["exact", "elastic", "fast"],
        key("exact: equal bits each time; elastic: also on any number of workers; fast: no promise"),
    ]
    shards: Annotated[int, key("micro-batches per step, over all workers; divides train.batch_size", ge=1)]
    sharding: Annotated[
        Literal["none", "fsdp2"], key("fsdp2: every worker holds a part of weights and optimizer state")
    ]
