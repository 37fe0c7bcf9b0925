"""What a directory of pretrained weights holds, checked before anything is loaded. No torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from codex_ml.core.digest import digest_bytes, digest_file
from codex_ml.core.publish import MANIFEST, verify_directory
from codex_ml.core.safetensors import damaged, read_header
from codex_ml.errors import IntegrityError, UsageError

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
TEMPLATE, ADAPTER_CONFIG = "chat_template.jinja", "adapter_config.json"
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8}


@dataclass(frozen=True)
class TensorInfo:
    """One row of a shard's table."""

    dtype: str
    shape: tuple[int, ...]
    file: str
    size: int


@dataclass(frozen=True)
class PretrainedFiles:
    """A sound directory: config, shards and the table of their tensors."""

    directory: Path
    config: dict[str, Any]
    shards: tuple[Path, ...]
    tensors: dict[str, TensorInfo]
    weights_bytes: int
    parameters: int
    vocab_size: int
    weights_sha256: str
    tokenizer_size: int | None
    chat_template: bool
    sealed: bool

    @property
    def family(self) -> str:
        """The class that the config names, else its model type."""
        named = self.config.get("architectures")
        return str(named[0] if isinstance(named, list) and named else self.config["model_type"])

    @property
    def dtypes(self) -> dict[str, int]:
        """How many parameters are kept in each dtype."""
        found: dict[str, int] = {}
        for row in self.tensors.values():
            found[row.dtype] = found.get(row.dtype, 0) + math.prod(row.shape)
        return found


def inspect_directory(path: Path) -> PretrainedFiles:
    """Read config, index and headers of *path* and hash its shards.

    Raises UsageError for what is no directory of usable weights, IntegrityError for files that are cut
    off, swapped or, where a manifest stands beside them, different from it. What was looked at in this
    process is not hashed again as long as names, sizes and times of its files are the same.
    """
    _require_directory(path)
    stamps = tuple(
        (file.name, file.stat().st_size, file.stat().st_mtime_ns, file.stat().st_ino)
        for file in sorted(path.iterdir())
        if file.is_file()
    )
    return _inspect(path, path.resolve(), stamps)


@lru_cache(maxsize=8)
def _inspect(path: Path, _place: Path, _stamps: tuple[tuple[str, int, int, int], ...]) -> PretrainedFiles:
    config = _read_config(path)
    sealed = verify_directory(path)["files"] if (path / MANIFEST).is_file() else {}
    shards, assigned = _shards(path)
    tensors = _tensors(shards)
    if assigned is not None:
        _check_index(path, tensors, assigned)
    known = {name: str(row["sha256"]) for name, row in sealed.items()}  # just verified: not read again
    hashes = sorted(known.get(shard.name) or digest_file(shard) for shard in shards)
    rows, entries = _vocabulary(config, tensors), _tokenizer_size(path)
    if entries is not None and entries > rows:
        raise UsageError(
            f"the tokenizer of {path} does not fit its weights",
            code="model.tokenizer-size",
            got=f"{entries} tokens",
            wanted=f"at most {rows}, the rows of the embedding",
            next_step="put the tokenizer that belongs to these weights beside them",
        )
    return PretrainedFiles(
        directory=path,
        config=config,
        shards=shards,
        tensors=tensors,
        weights_bytes=sum(row.size for row in tensors.values()),
        parameters=sum(math.prod(row.shape) for row in tensors.values()),
        vocab_size=rows,
        weights_sha256=digest_bytes("\n".join(hashes).encode()),
        tokenizer_size=entries,
        chat_template=_has_template(path),
        sealed=bool(sealed),
    )


def _require_directory(path: Path) -> None:
    if not path.is_dir():
        raise UsageError(
            f"there is no directory of weights at {path}",
            code="model.path",
            got="a file" if path.is_file() else "nothing",
            wanted="a Hugging Face directory, a .gguf file, a run or its export",
            next_step="nothing is fetched by name: fetch the directory first and give its path",
        )
    if (path / ADAPTER_CONFIG).is_file():
        raise UsageError(
            f"{path} is an adapter, not a model",
            code="model.adapter-as-base",
            next_step="give it as model.lora.path, and the base model as model.path",
        )


def _read_config(path: Path) -> dict[str, Any]:
    if not (path / CONFIG).is_file():
        raise _bad_config(path, f"no {CONFIG}", wanted="a directory that save_pretrained wrote")
    config = _read_object(path / CONFIG)
    if not isinstance(config.get("model_type"), str):
        raise _bad_config(path, f"a {CONFIG} without model_type")
    for name, content in ((CONFIG, config), (TOKENIZER_CONFIG, _read_object(path / TOKENIZER_CONFIG))):
        if content.get("auto_map"):
            raise UsageError(
                f"{path / name} asks for code of its own (auto_map)",
                code="model.remote-code",
                got=", ".join(sorted(content["auto_map"]))
                if isinstance(content["auto_map"], dict)
                else str(content["auto_map"]),
                wanted="an architecture that transformers has itself",
                next_step="if transformers knows this model_type, remove auto_map from the file",
            )
    if stored := config.get("quantization_config"):
        raise UsageError(
            f"the weights of {path} are stored quantised",
            code="model.quantized",
            got=str(stored.get("quant_method") if isinstance(stored, dict) else stored),
            wanted="plain float weights",
            next_step="take the unquantised model; model.quantize=nf4 quantises while loading",
        )
    return config


def _bad_config(path: Path, got: str, *, wanted: str | None = None) -> UsageError:
    return UsageError(
        f"{path} holds no usable model config",
        code="model.config",
        got=got,
        wanted=wanted,
        next_step="restore config.json from where the model came from",
    )


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in *path*, empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad_file(path, f"no JSON: {error}") from error
    if not isinstance(content, dict):
        raise _bad_file(path, "no object")
    return content


def _bad_file(path: Path, got: str) -> UsageError:
    return UsageError(
        f"{path} is no usable file of a model",
        code="model.tokenizer" if path.name == TOKENIZER else "model.config",
        got=got,
        next_step=f"restore {path.name} from where the model came from",
    )


def _shards(path: Path) -> tuple[tuple[Path, ...], dict[str, str] | None]:
    """The weight files, and which of them the index gives each tensor to."""
    if (path / WEIGHTS).is_file():  # transformers prefers it, too
        return (path / WEIGHTS,), None
    if not (path / INDEX).is_file():
        raise _no_weights(path)
    assigned = _read_object(path / INDEX).get("weight_map")
    if not isinstance(assigned, dict) or not assigned:
        raise _bad_index(path, f"{INDEX} assigns no tensors")
    names = sorted({str(name) for name in assigned.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise _bad_index(path, f"{name} is no file of this directory")
        if not (path / name).is_file():
            raise _bad_index(path, f"{name} is missing")
    return tuple(path / name for name in names), assigned


def _no_weights(path: Path) -> UsageError:
    pickles = sorted({file.name for pattern in _PICKLES for file in path.glob(pattern)})
    if not pickles:
        return UsageError(
            f"{path} holds no weights",
            code="model.weights",
            wanted=f"{WEIGHTS}, or shards with {INDEX}",
            next_step="fetch the safetensors files of the model",
        )
    convert = (
        "import torch, safetensors.torch as s; "
        f"s.save_file({{k: v.clone().contiguous() for k, v in torch.load('{pickles[0]}', "
        f"map_location='cpu', weights_only=True).items()}}, '{WEIGHTS}', metadata={{'format': 'pt'}})"
    )
    return UsageError(
        f"the weights of {path} are pickles, which can run code when they are loaded",
        code="model.pickle",
        got=", ".join(pickles[:4]),
        wanted=f"{WEIGHTS}, or shards with {INDEX}",
        next_step=f'convert them yourself, in that directory: python -c "{convert}"',
    )


def _tensors(shards: tuple[Path, ...]) -> dict[str, TensorInfo]:
    tensors: dict[str, TensorInfo] = {}
    for shard in shards:
        for name, row in read_header(shard)[0].items():
            size, shape = row["data_offsets"][1] - row["data_offsets"][0], tuple(row["shape"])
            bits = _BITS.get(row["dtype"])
            if bits is not None and size * 8 != math.prod(shape) * bits:
                raise damaged(shard, f"tensor {name} of shape {list(shape)} has {size} bytes")
            if name in tensors:
                raise _bad_index(shard.parent, f"{name} stands in {tensors[name].file} and in {shard.name}")
            tensors[name] = TensorInfo(row["dtype"], shape, shard.name, size)
    return tensors


def _check_index(path: Path, tensors: dict[str, TensorInfo], assigned: dict[str, str]) -> None:
    for name in sorted(set(assigned) | set(tensors)):
        wanted = assigned.get(name)
        found = tensors[name].file if name in tensors else None
        if wanted is None:
            raise _bad_index(path, f"{found} holds {name}, which the index does not know")
        if found != wanted:
            raise _bad_index(path, f"{wanted} lacks {name}" + (f", which {found} holds" if found else ""))


def _bad_index(path: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"the shards of {path} are not what its index says: {reason}",
        code="model.shards",
        next_step="fetch the missing or swapped file again",
    )


def _vocabulary(config: dict[str, Any], tensors: dict[str, TensorInfo]) -> int:
    rows = [row.shape[0] for name, row in tensors.items() if name.endswith(_EMBEDDINGS) and row.shape]
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        if isinstance(size := place.get("vocab_size"), int):
            rows = rows or [size]
    return max(rows, default=0)


def _tokenizer_size(path: Path) -> int | None:
    """One more than the highest id that the tokenizer gives, None without a ``tokenizer.json``."""
    if not (path / TOKENIZER).is_file():
        return None
    content = _read_object(path / TOKENIZER)
    try:
        vocabulary = (content.get("model") or {}).get("vocab") or {}
        ids = vocabulary.values() if isinstance(vocabulary, dict) else [len(vocabulary) - 1]
        added = [token["id"] for token in content.get("added_tokens") or []]
        return max((int(number) for number in (*ids, *added)), default=-1) + 1
    except KeyError as error:
        raise _bad_file(path / TOKENIZER, f"an added token without {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise _bad_file(path / TOKENIZER, f"no vocabulary of texts and numbers ({error})") from error


def _has_template(path: Path) -> bool:
    return (path / TEMPLATE).is_file() or bool(_read_object(path / TOKENIZER_CONFIG).get("chat_template"))
