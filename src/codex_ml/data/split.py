"""Assign a group to a split by its name alone, so that new documents move no old one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from codex_ml.config.schema.data import SplitConfig
from codex_ml.core.digest import canonical_json
from codex_ml.core.publish import MANIFEST, read_json
from codex_ml.errors import ConfigError, DataError, did_you_mean

SPLITS = ("train", "validation", "test")


def open_manifest(directory: Path, split: str) -> dict[str, Any]:
    """The manifest of a verified dataset that has *split*. Raises DataError for an unknown name."""
    manifest: dict[str, Any] = read_json(directory / MANIFEST)
    if split not in manifest["splits"]:
        raise DataError(
            f"the dataset has no split '{split}'",
            code="data.split-name",
            next_step=did_you_mean(split, manifest["splits"]),
        )
    return manifest


def shares(cfg: SplitConfig) -> dict[str, float]:
    """The share of each split. Raises ConfigError unless they add up to 1."""
    found = {"train": cfg.train, "validation": cfg.validation, "test": cfg.test}
    total = sum(found.values())
    if abs(total - 1) > 1e-6:
        raise ConfigError(
            "the shares of data.split do not add up to 1",
            code="data.split",
            got=f"{cfg.train} + {cfg.validation} + {cfg.test} = {total:g}",
            wanted=1,
            next_step="change data.split.train, data.split.validation or data.split.test",
        )
    return found


def assign(group: str, *, cfg: SplitConfig) -> str:
    """The split of the group named *group*: its hash as a number in [0, 1) against the shares.

    Test takes the low end and validation the high one, so that a changed share of either moves groups
    only between it and train.
    """
    text = canonical_json(["codex-split/1", cfg.salt, group])
    point = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") / 2**64
    if point < cfg.test:
        return "test"
    return "validation" if point >= 1 - cfg.validation else "train"
