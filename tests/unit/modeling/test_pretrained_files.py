"""A directory is judged before anything is loaded: what it holds, and every way in which it can be bad."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.publish import seal
from codex_ml.errors import CodexError

pytestmark = pytest.mark.needs("train")


def inspect(path: Path) -> Any:
    from codex_ml.modeling.pretrained_files import inspect_directory

    return inspect_directory(path)


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def refused(path: Path, code: str, *words: str) -> None:
    with pytest.raises(CodexError) as caught:
        inspect(path)
    assert caught.value.code == code, caught.value.line()
    for word in words:
        assert word in caught.value.line()


def test_a_sound_directory_is_described_without_loading_it(model_directory) -> None:
    from transformers import AutoModelForCausalLM

    from tiny_models import ROWS

    path = model_directory("llama", shards="20KB", dtype="bfloat16")
    found = inspect(path)
    model = AutoModelForCausalLM.from_pretrained(str(path), local_files_only=True)
    assert len(found.shards) > 2
    assert found.parameters == sum(value.numel() for value in model.parameters())
    assert found.weights_bytes == 2 * found.parameters
    assert found.dtypes == {"BF16": found.parameters}
    assert (found.family, found.vocab_size, found.tokenizer_size) == ("LlamaForCausalLM", ROWS, 280)
    assert found.chat_template and not found.sealed
    assert set(found.tensors) == set(model.state_dict())


def test_the_digest_depends_on_the_weights_alone(model_directory) -> None:
    one = inspect(model_directory("llama", name="one"))
    two = inspect(model_directory("llama", name="two"))
    other = inspect(model_directory("llama", name="other", seed=1))
    assert one.weights_sha256 == two.weights_sha256 != other.weights_sha256


def test_what_is_no_directory_of_a_model_is_refused(model_directory, tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "model.path", "nothing is fetched by name")
    path = model_directory()
    (path / "adapter_config.json").write_text("{}")
    refused(path, "model.adapter-as-base", "model.lora.path")


@pytest.mark.parametrize(
    ("text", "word"),
    [(None, "no config.json"), ("{", "config.json"), ("[]", "no object"), ("{}", "without model_type")],
)
def test_a_config_that_says_nothing_is_refused(model_directory, text: str | None, word: str) -> None:
    path = model_directory()
    (path / "config.json").unlink() if text is None else (path / "config.json").write_text(text)
    refused(path, "model.config", word)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_the_directory_never_runs(model_directory, name: str) -> None:
    path = model_directory()
    edit(path / name, auto_map={"AutoModelForCausalLM": "evil.Model"})
    refused(path, "model.remote-code", name, "AutoModelForCausalLM")


def test_quantised_weights_are_refused(model_directory) -> None:
    path = model_directory()
    for value in ({"quant_method": "gptq"}, "gptq"):
        edit(path / "config.json", quantization_config=value)
        refused(path, "model.quantized", "gptq")


def test_pickles_are_refused_with_a_conversion_that_works(model_directory, run) -> None:
    import shlex
    import sys

    import torch
    from safetensors.torch import load_file

    path = model_directory()
    tensors = load_file(path / "model.safetensors")
    torch.save(tensors, path / "pytorch_model.bin")
    (path / "model.safetensors").unlink()
    with pytest.raises(CodexError) as caught:
        inspect(path)
    assert caught.value.code == "model.pickle"
    words = shlex.split(str(caught.value.next_step).partition("directory: ")[2])
    assert words[:2] == ["python", "-c"]
    done = run(sys.executable, "-c", words[2], cwd=path)
    assert done.code == 0, done.err
    assert set(inspect(path).tensors) == set(tensors)


def test_no_weights_at_all_are_named(model_directory) -> None:
    path = model_directory()
    (path / "model.safetensors").unlink()
    refused(path, "model.weights", "model.safetensors.index.json")


def test_a_cut_off_shard_is_named(model_directory) -> None:
    path = model_directory("llama", shards="60KB")
    shard = sorted(path.glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-100])
    refused(path, "integrity.safetensors", shard.name)
    shard.write_bytes(b"\x10")
    refused(path, "integrity.safetensors", shard.name)


def test_a_size_that_does_not_fit_the_shape_is_named(model_directory) -> None:
    path = model_directory()
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"shape":[32]', b'"shape":[31]', 1))
    refused(path, "integrity.safetensors", "of shape [31] has 128 bytes")


def test_a_missing_shard_is_named(model_directory) -> None:
    path = model_directory("llama", shards="60KB")
    shard = sorted(path.glob("*.safetensors"))[0]
    shard.unlink()
    refused(path, "model.shards", shard.name, "missing")


def test_swapped_shards_are_noticed(model_directory) -> None:
    path = model_directory("llama", shards="60KB")
    one, two = sorted(path.glob("*.safetensors"))[:2]
    aside = path / "aside"
    shutil.move(one, aside)
    shutil.move(two, one)
    shutil.move(aside, two)
    refused(path, "model.shards", one.name, two.name)


def test_a_shard_of_another_model_is_noticed(model_directory) -> None:
    path = model_directory("llama", shards="60KB")
    other = model_directory("qwen2", name="other")
    shard = sorted(path.glob("*.safetensors"))[0]
    shutil.copyfile(other / "model.safetensors", shard)
    refused(path, "model.shards")


def test_an_index_that_leaves_the_directory_is_refused(model_directory) -> None:
    path = model_directory("llama", shards="60KB")
    index = path / "model.safetensors.index.json"
    first = next(iter(json.loads(index.read_text())["weight_map"]))
    edit(index, weight_map={first: "../other.safetensors"})
    refused(path, "model.shards", "../other.safetensors")
    edit(index, weight_map={})
    refused(path, "model.shards", "assigns no tensors")


def test_a_flipped_bit_under_a_manifest_is_found_and_named(model_directory) -> None:
    path = model_directory()
    seal(path, {"kind": "model"})
    assert inspect(path).sealed
    file = path / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-7] ^= 1
    file.write_bytes(raw)
    refused(path, "integrity.damaged", "model.safetensors")


def test_the_digest_under_a_manifest_is_the_same(model_directory) -> None:
    path = model_directory("llama", shards="60KB")
    before = inspect(path).weights_sha256
    seal(path, {"kind": "model"})
    assert inspect(path).weights_sha256 == before


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(model_directory) -> None:
    path = model_directory("llama", vocab_size=279)
    refused(path, "model.tokenizer-size", "280 tokens", "at most 279")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (lambda text: text[:-50], "no JSON"),
        (lambda text: '{"model": 3}', "no vocabulary"),
        (lambda text: '{"model": {"vocab": {"a": "b"}}}', "no vocabulary"),
        (lambda text: '{"added_tokens": [{"content": "x"}]}', "an added token without 'id'"),
        (lambda text: "[]", "no object"),
    ],
)
def test_a_tokenizer_that_is_none_is_named_by_its_file(model_directory, text: Any, word: str) -> None:
    path = model_directory()
    file = path / "tokenizer.json"
    file.write_text(text(file.read_text()))
    refused(path, "model.tokenizer", word, "restore tokenizer.json", str(file))


def test_odd_values_in_a_config_are_no_fault_of_ours(model_directory) -> None:
    path = model_directory()
    edit(path / "config.json", architectures="LlamaForCausalLM", text_config="x", vocab_size="many")
    assert inspect(path).family == "llama"
    edit(path / "config.json", auto_map="x.Y")
    refused(path, "model.remote-code", "x.Y")
