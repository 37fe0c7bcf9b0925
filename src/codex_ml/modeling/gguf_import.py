"""A GGUF file as a clean Hugging Face directory: weights dequantised, tokenizer and template converted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from codex_ml.core.digest import digest_file, digest_json
from codex_ml.core.optional import require
from codex_ml.core.paths import Home
from codex_ml.core.publish import read_json, staged, write_json
from codex_ml.core.store import find_or_build
from codex_ml.errors import IntegrityError, UsageError
from codex_ml.modeling.device import DTYPES
from codex_ml.modeling.gguf_tokenizer import fix_pre_tokenizer
from codex_ml.modeling.golden import write_golden
from codex_ml.modeling.pretrained_files import CONFIG, TOKENIZER_CONFIG

#: Part of the store's key: a changed conversion makes new entries.
FORMAT = 1


def import_gguf(source: Path, target: Path, *, dtype: str = "float32") -> None:
    """Publish *target*, which must not exist, as the Hugging Face directory of the GGUF file *source*."""
    facts = read_gguf_facts(source)
    with staged(target, meta=_meta(source, dtype)) as stage:
        _convert(source, stage, dtype=dtype, facts=facts)


def import_into_store(source: Path, *, home: Home) -> Path:
    """The store's directory of *source*, converted the first time it is asked for."""
    facts = read_gguf_facts(source)
    meta = _meta(source, "float32")
    directory = home.store / "models" / digest_json(meta)[:32]

    def build(stage: Path, _meta: dict[str, Any]) -> None:
        _convert(source, stage, dtype="float32", facts=facts)

    find_or_build(directory, build=build, meta=meta)
    return directory


def _meta(source: Path, dtype: str) -> dict[str, Any]:
    return {"kind": "gguf-import", "format": FORMAT, "source_sha256": digest_file(source), "dtype": dtype}


def read_gguf_facts(source: Path) -> dict[str, Any]:
    """Metadata without the long lists. Raises UsageError or IntegrityError for what is no whole GGUF file."""
    gguf = require("gguf", extra="train")
    if not source.is_file():
        raise UsageError(
            f"there is no file {source}", code="model.path", wanted="a .gguf file", next_step="check the path"
        )
    try:
        reader = gguf.GGUFReader(str(source))
    except (ValueError, IndexError, KeyError, OSError, UnicodeDecodeError, MemoryError) as error:
        raise _broken(source, str(error)) from error
    end = max((int(one.data_offset) + int(one.n_bytes) for one in reader.tensors), default=0)
    if not reader.tensors or end > source.stat().st_size:
        raise _broken(source, f"{source.stat().st_size} bytes, where its tensors end at {end}")
    short = ("general.architecture", "general.name", "tokenizer.ggml.pre", "tokenizer.ggml.model")
    facts = {name: reader.fields[name].contents() for name in short if name in reader.fields}
    return facts | {"tensor_types": sorted({one.tensor_type.name for one in reader.tensors})}


def _broken(source: Path, got: str) -> IntegrityError:
    return IntegrityError(
        f"{source} is no whole GGUF file",
        code="model.gguf",
        got=got,
        next_step="fetch it again and compare its size and sha256",
    )


def _convert(source: Path, stage: Path, *, dtype: str, facts: dict[str, Any]) -> None:
    transformers = require("transformers", extra="train")
    _known(source, facts)
    options = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
    with torch.random.fork_rng(devices=[]):
        model, report = _unless_unknown(
            source,
            lambda: transformers.AutoModelForCausalLM.from_pretrained(
                str(source.parent), dtype=DTYPES[dtype], output_loading_info=True, **options
            ),
        )
    odd = sorted(map(str, [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]]))
    if odd:
        raise _broken(source, f"{len(odd)} weights do not fit: {', '.join(odd[:5])}")
    _forget_quantisation(model)
    model.save_pretrained(str(stage))
    tokenizer = _unless_unknown(
        source, lambda: transformers.AutoTokenizer.from_pretrained(str(source.parent), **options)
    )
    tokenizer.save_pretrained(str(stage))
    _tidy(stage)
    fix_pre_tokenizer(stage, facts)
    write_golden(stage, source=stage)
    write_json(stage / "codex_ml_import.json", facts)


def _known(source: Path, facts: dict[str, Any]) -> None:
    model = facts.get("tokenizer.ggml.model")
    if "general.architecture" not in facts or model is None:
        raise UsageError(
            f"{source} holds no language model with its tokenizer",
            code="model.gguf-family",
            got=facts.get("general.architecture", "no architecture"),
            next_step="take a file that llama.cpp runs by itself",
        )


def _unless_unknown(source: Path, load: Callable[[], Any]) -> Any:
    """Call *load*; what transformers cannot convert is the file's kind, not a fault of ours."""
    try:
        return load()
    except (ValueError, NotImplementedError, KeyError, OSError) as error:
        raise UsageError(
            f"transformers cannot convert {source.name}",
            code="model.gguf-family",
            got=" ".join(str(error).split())[:300],
            next_step="take the model's safetensors directory",
        ) from error


def _forget_quantisation(model: Any) -> None:
    """The weights are plain now; with these marks transformers neither saves nor loads them as such."""
    model.hf_quantizer = None
    for name in ("quantization_method", "is_quantized"):
        if name in model.__dict__:
            delattr(model, name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _tidy(stage: Path) -> None:
    """Remove what speaks of this machine or of the file that is gone."""
    for name, keys in (
        (CONFIG, ("quantization_config", "_name_or_path", "_model_name_or_path")),
        (TOKENIZER_CONFIG, ("local_files_only", "is_local", "gguf_file", "name_or_path")),
    ):
        content = read_json(stage / name)
        write_json(stage / name, {key: value for key, value in content.items() if key not in keys})
