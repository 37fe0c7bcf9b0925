"""What is evaluated or generated from: a run, a checkpoint directory or an export directory."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from codex_ml.checkpointing.fit import check_weights
from codex_ml.checkpointing.layout import MODEL, step_of
from codex_ml.checkpointing.reader import newest_good, open_checkpoint, read_tensors
from codex_ml.checkpointing.shards import consolidate
from codex_ml.config.schema import RunConfig
from codex_ml.config.validate import decode_saved
from codex_ml.core.paths import Home
from codex_ml.core.publish import read_json, verify_directory
from codex_ml.data.sft.encoder import SpecialEncoder
from codex_ml.errors import IntegrityError, UsageError, did_you_mean
from codex_ml.modeling.decoder import Decoder
from codex_ml.modeling.pretrained import Pretrained
from codex_ml.modeling.pretrained_load import load_pretrained
from codex_ml.provenance.facts import run_facts
from codex_ml.provenance.run_directory import RunDirectory, list_runs
from codex_ml.tokenization.hf_tokenizer import HFTokenizerAdapter

EXPORT_FACTS = "codex_ml.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """Trained weights with everything needed to use them; *facts* tell the code and data behind them."""

    kind: str
    path: Path
    run_name: str
    step: int
    weights: Path
    weights_sha256: str
    config: RunConfig
    tokenizer: Path
    vocab_size: int
    dataset_digest: str
    dtype: str
    base_sha256: str | None
    facts: Mapping[str, str]

    @property
    def pretrained(self) -> bool:
        """Whether the weights began as someone's model, which has its own way to begin a text."""
        return self.config.model.name == "pretrained"

    def load_model(self, *, device: torch.device) -> Decoder | Pretrained:
        """The model with its weights, in evaluation mode."""
        from safetensors.torch import load_file

        dtype = torch.bfloat16 if self.dtype == "bfloat16" else torch.float32
        if self.pretrained:
            return self._load_pretrained(device=device, dtype=dtype)
        model = Decoder(self.config.model, vocab_size=self.vocab_size, compute_dtype=dtype)
        model.load_state_dict(load_file(self.weights))
        return model.to(device).eval()

    def _load_pretrained(self, *, device: torch.device, dtype: torch.dtype) -> Pretrained:
        """An export stands alone; a checkpoint holds what was trained, over the base of its run.

        Where that base is gone, the export of the same run stands in. Raises UsageError where it cannot.
        """
        cfg, config = self.config.model, self.config
        adapter = bool(cfg.lora.r or cfg.lora.path)
        base, alone = self.path, self.kind == "export"
        if not alone:
            assert cfg.path is not None
            base = Path(cfg.path).expanduser()
            if not base.exists():
                gone, base, alone = base, self._stand_in(base, whole=adapter), True
                log.warning("%s, the base of the run %s, is gone; %s stands in", gone, self.run_name, base)
        if alone:
            cfg = dataclasses.replace(cfg, lora=dataclasses.replace(cfg.lora, r=0, path=None))
        loaded = load_pretrained(
            base,
            cfg=cfg,
            device=str(device),
            compute_dtype=dtype,
            seed=config.seed,
            expected=None if alone else self.base_sha256,
        )
        if self.kind != "export" and not (alone and adapter):
            tensors = read_tensors(self.weights)  # without an adapter: every weight
            check_weights(loaded.model, tensors)
            loaded.model.load_tensors(tensors)
        return loaded.model.eval()

    def _stand_in(self, gone: Path, *, whole: bool) -> Path:
        """The run's export: its shape, and with *whole* its weights too, which must be this checkpoint's."""
        export = self.path.parent.parent / "export"
        known = (export / EXPORT_FACTS).is_file()
        if known:
            verify_directory(export)
            if not whole or read_json(export / EXPORT_FACTS).get("weights_sha256") == self.weights_sha256:
                return export
        raise UsageError(
            f"the base of the run '{self.run_name}' is gone",
            code="target.base",
            got=f"nothing at {gone}",
            wanted=f"the weights {str(self.base_sha256)[:12]}",
            next_step="put the model back where it was"
            + (f", or use {export}, which is of another step" if known else ""),
        )

    def prompt_ids(self, text: str) -> list[int]:
        """The tokens of a prompt: documents of a model made here begin with the end token before."""
        tokenizer = self.load_tokenizer()
        if self.pretrained:  # as samples that are plain text begin
            return [*SpecialEncoder(self.tokenizer).leading(), *tokenizer.encode(text)]
        return [tokenizer.eos_id, *tokenizer.encode(text)]

    def load_tokenizer(self) -> HFTokenizerAdapter:
        return HFTokenizerAdapter(self.tokenizer)


def find_target(text: str, *, home: Home) -> Target:
    """Resolve a run name, a run directory, a checkpoint directory or an export directory.

    Raises UsageError when it is none of them; IntegrityError when its bytes are damaged.
    """
    path = Path(text).expanduser()
    if (path / EXPORT_FACTS).is_file():
        return _from_export(path)
    if step_of(path) is not None and path.is_dir():
        return _from_checkpoint(path, RunDirectory(path.parent.parent), home=home, kind="checkpoint")
    directory = RunDirectory(path if (path / "run.json").is_file() else home.run(text))
    if directory.manifest.is_file():
        return _from_run(directory, home=home)
    raise UsageError(
        f"'{text}' is no run, no checkpoint and no export",
        code="target.missing",
        got=str(home.runs),
        next_step=did_you_mean(text, list_runs(home.runs)),
    )


def _from_run(directory: RunDirectory, *, home: Home) -> Target:
    checkpoint = newest_good(directory.checkpoints, set_aside=False)
    if checkpoint is None:
        raise UsageError(
            f"the run '{directory.name}' has no checkpoint yet",
            code="target.empty",
            next_step="train it first, or wait for its first checkpoint",
        )
    return _from_checkpoint(checkpoint.path, directory, home=home, kind="run")


def _from_checkpoint(path: Path, directory: RunDirectory, *, home: Home, kind: str) -> Target:
    checkpoint, record = open_checkpoint(path), directory.read()
    tokenizer = home.store / "tokenizers" / str(record["inputs"]["tokenizer"])
    if not tokenizer.is_dir():
        raise UsageError(
            f"the tokenizer of the run '{directory.name}' is not in the store",
            code="target.tokenizer",
            got=tokenizer,
            next_step="run the command that trained it again, which prepares it",
        )
    weights = consolidate(checkpoint, home.weights_cache) if checkpoint.sharded else path / MODEL
    place = _Place(kind, path, directory.name, checkpoint.step, weights, tokenizer)
    return _target(place, record, weights_sha256=checkpoint.weights, facts=run_facts(record))


def _from_export(path: Path) -> Target:
    verify_directory(path)
    facts: dict[str, Any] = read_json(path / EXPORT_FACTS)
    if facts.get("format") != 1:
        raise IntegrityError(
            f"{path} is of another export format", code="target.format", got=facts.get("format")
        )
    place = _Place("export", path, str(facts["run"]), int(facts["step"]), path / "model.safetensors", path)
    digest = str(facts["weights_sha256"])
    return _target(place, facts, weights_sha256=digest, facts=facts.get("facts") or {})


@dataclass(frozen=True)
class _Place:
    """Where the files of a target lie."""

    kind: str
    path: Path
    run_name: str
    step: int
    weights: Path
    tokenizer: Path


def _target(
    place: _Place, record: dict[str, Any], *, weights_sha256: str, facts: Mapping[str, str]
) -> Target:
    inputs = record["inputs"]
    return Target(
        kind=place.kind,
        path=place.path,
        run_name=place.run_name,
        step=place.step,
        weights=place.weights,
        weights_sha256=weights_sha256,
        config=decode_saved(record["config"]),
        tokenizer=place.tokenizer,
        vocab_size=int(inputs["vocab_size"]),
        dataset_digest=str(inputs["dataset"]),
        dtype=str(record["resolved"]["dtype"]),
        base_sha256=inputs.get("base_weights"),
        facts=facts,
    )
