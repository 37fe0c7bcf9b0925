"""Write a Llama-family model as one GGUF file, which is read again and compared before it is published."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codex_ml.core.digest import digest_file
from codex_ml.core.optional import require
from codex_ml.core.publish import fsync_path, read_json, writing
from codex_ml.errors import UsageError
from codex_ml.modeling.codex_model_loader import read_weights
from codex_ml.modeling.export_model import require_new
from codex_ml.modeling.gguf_tokenizer import name_of
from codex_ml.modeling.pretrained_files import TEMPLATE, TOKENIZER, TOKENIZER_CONFIG, inspect_directory
from codex_ml.modeling.probe import TOLERANCE, probe_batch, probe_logits, require_same

#: dtype -> (GGUF's name of it, torch's)
KINDS = {
    "float32": ("F32", torch.float32),
    "float16": ("F16", torch.float16),
    "bfloat16": ("BF16", torch.bfloat16),
}
_NORMAL, _CONTROL, _USER, _UNUSED = 1, 3, 4, 5


def export_gguf(directory: Path, out: Path, *, dtype: str = "float16") -> dict[str, Any]:
    """Write the Hugging Face directory *directory* to the file *out*; size, sha256 and drift of it.

    Raises UsageError for another family or a tokenizer that GGUF cannot name, IntegrityError when the
    file computes something else.
    """
    require_new(out)
    files = inspect_directory(directory)
    config = _require_llama(directory, files.config)
    tokenizer = _tokenizer(directory, rows=files.vocab_size)
    if dtype not in KINDS:
        raise UsageError("no such dtype", code="config.dtype", got=dtype, wanted=", ".join(KINDS))
    model: Any = read_weights(files, dtype="float32").eval()
    before = probe_logits(model, probe_batch(files.vocab_size))
    temporary = out.with_name(f".tmp-{out.stem}-{uuid.uuid4().hex[:8]}.gguf")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(temporary, model.state_dict(), config=config, tokenizer=tokenizer, dtype=dtype)
            del model
            again = _reload(temporary)
            drift = require_same(
                before,
                probe_logits(again, probe_batch(files.vocab_size)),
                allowed=0.0 if dtype == "float32" else TOLERANCE[KINDS[dtype][1]],
            )
            fsync_path(temporary)
            temporary.rename(out)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_path(out.parent)
    return {"size": out.stat().st_size, "sha256": digest_file(out), "dtype": dtype, "drift": drift}


def _require_llama(directory: Path, config: dict[str, Any]) -> dict[str, Any]:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    odd = None
    if config.get("architectures") != ["LlamaForCausalLM"]:
        odd = f"architectures {config.get('architectures')}"
    elif rope.get("rope_type", rope.get("type", "default")) != "default":
        odd = f"rotary positions of type {rope.get('rope_type', rope.get('type'))}"
    elif config.get("attention_bias") or config.get("mlp_bias"):
        odd = "layers with a bias"
    elif config.get("hidden_act", "silu") != "silu":
        odd = f"activation {config['hidden_act']}"
    if odd is None:
        return config | {"rope_theta": rope.get("rope_theta", config.get("rope_theta", 10000.0))}
    raise UsageError(
        f"{directory} is no plain Llama, and only those are written as GGUF",
        code="model.gguf-family",
        got=odd,
        wanted="LlamaForCausalLM with default rotary positions and no biases",
        next_step="use --format merged and convert that with llama.cpp's own convert_hf_to_gguf.py",
    )


def _tokenizer(directory: Path, *, rows: int) -> dict[str, Any]:
    """Every ``tokenizer.ggml`` list and id, the vocabulary filled up to the rows of the embedding."""
    path = directory / TOKENIZER
    if not path.is_file():
        raise UsageError(
            f"{directory} has no {TOKENIZER}",
            code="model.gguf-tokenizer",
            next_step="put the model's tokenizer beside it",
        )
    content, settings = read_json(path), read_json(directory / TOKENIZER_CONFIG)
    pre, tokens, kinds = name_of(content), [f"[PAD{row}]" for row in range(rows)], [_UNUSED] * rows
    for token, row in content["model"]["vocab"].items():
        tokens[row], kinds[row] = token, _NORMAL
    for added in content.get("added_tokens") or []:
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = _CONTROL if added["special"] else _USER
    merges = [one if isinstance(one, str) else " ".join(one) for one in content["model"]["merges"]]
    ids = {token: row for row, token in enumerate(tokens)}
    special = {}
    for role in ("bos", "eos", "unk", "pad"):
        token = settings.get(f"{role}_token")
        token = token.get("content") if isinstance(token, dict) else token
        if token in ids:
            special[role] = ids[token]
    template = directory / TEMPLATE
    return {
        "pre": pre,
        "tokens": tokens,
        "kinds": kinds,
        "merges": merges,
        "special": special,
        "template": template.read_text(encoding="utf-8")
        if template.is_file()
        else settings.get("chat_template"),
        "bos_first": _adds_bos(content, special.get("bos")),
    }


def _adds_bos(content: dict[str, Any], bos: int | None) -> bool:
    """Whether the tokenizer puts its beginning token before every text."""
    single = str((content.get("post_processor") or {}).get("single") or "")
    listed = (content.get("post_processor") or {}).get("special_tokens") or {}
    return any(bos in row.get("ids", []) and f"'{name}'" in single for name, row in listed.items())


def _write(
    path: Path, state: dict[str, Tensor], *, config: dict[str, Any], tokenizer: dict[str, Any], dtype: str
) -> None:
    gguf = require("gguf", extra="train")
    writer = gguf.GGUFWriter(str(path), "llama")
    kind = gguf.GGMLQuantizationType[KINDS[dtype][0]]
    _write_config(writer, config, file_type=gguf.LlamaFileType[_FILE_TYPES[dtype]])
    _write_tokenizer(writer, tokenizer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, int(config["num_hidden_layers"]))
    for name, values in _tensors(state, config):
        # llama.cpp keeps vectors in float32 whatever the file's dtype.
        own = gguf.GGMLQuantizationType.F32 if values.ndim == 1 else kind
        target = names.get_name(name, try_suffixes=(".weight",))
        writer.add_tensor(target, gguf.quantize(values, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


_FILE_TYPES = {"float32": "ALL_F32", "float16": "MOSTLY_F16", "bfloat16": "MOSTLY_BF16"}


def _write_config(writer: Any, config: dict[str, Any], *, file_type: int) -> None:
    heads = int(config["num_attention_heads"])
    writer.add_name(str(config.get("name") or "model"))
    writer.add_file_type(file_type)
    writer.add_vocab_size(int(config["vocab_size"]))
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_rope_freq_base(float(config["rope_theta"]))
    width = int(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_rope_dimension_count(width)
    writer.add_key_length(width)
    writer.add_value_length(width)


def _write_tokenizer(writer: Any, tokenizer: dict[str, Any]) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokenizer["pre"])
    writer.add_token_list(tokenizer["tokens"])
    writer.add_token_types(tokenizer["kinds"])
    writer.add_token_merges(tokenizer["merges"])
    add = {
        "bos": writer.add_bos_token_id,
        "eos": writer.add_eos_token_id,
        "unk": writer.add_unk_token_id,
        "pad": writer.add_pad_token_id,
    }
    for role, row in tokenizer["special"].items():
        add[role](row)
    writer.add_add_bos_token(tokenizer["bos_first"])
    writer.add_add_space_prefix(False)
    if tokenizer["template"]:
        writer.add_chat_template(tokenizer["template"])


def _tensors(state: dict[str, Tensor], config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Every weight once, float32; query and key rows in llama.cpp's order of rotary pairs."""
    heads = int(config["num_attention_heads"])
    groups = {"q_proj": heads, "k_proj": int(config.get("num_key_value_heads") or heads)}
    for name, value in state.items():
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        part = name.split(".")[-2]
        if part in groups:
            value = interleave(value, heads=groups[part])
        yield name, np.ascontiguousarray(value.float().numpy())


def interleave(weight: Tensor, *, heads: int) -> Tensor:
    """Rows of a rotary projection from halves (x0 x1 … y0 y1 …) to pairs (x0 y0 x1 y1 …), head by head."""
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, half, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def _reload(path: Path) -> Any:
    transformers = require("transformers", extra="train")
    with torch.random.fork_rng(devices=[]):
        return transformers.AutoModelForCausalLM.from_pretrained(
            str(path.parent),
            gguf_file=path.name,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
        ).eval()
