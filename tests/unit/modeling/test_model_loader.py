"""Loading: bit for bit what transformers computes, from every source, or an error before it starts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.paths import Home
from codex_ml.errors import CodexError

pytestmark = pytest.mark.needs("train")
FAMILIES = ("llama", "qwen2", "gpt2")


def load(path: Any, **options: Any) -> Any:
    from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora

    return load_model_with_optional_lora(path, **({"device": "cpu", "dtype": "float32"} | options))


def plain_logits(path: Path, **options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    from codex_ml.modeling.probe import probe_logits

    return probe_logits(AutoModelForCausalLM.from_pretrained(str(path), local_files_only=True, **options))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_those_of_plain_transformers(model_directory, family: str, tied: bool) -> None:
    import torch

    from codex_ml.modeling.probe import probe_logits

    path = model_directory(family, shards="60KB", tie_word_embeddings=tied)
    loaded = load(path)
    assert torch.equal(probe_logits(loaded.model), plain_logits(path))
    assert (loaded.device, loaded.dtype) == ("cpu", "float32")
    assert loaded.weights_sha256 == loaded.files.weights_sha256
    assert loaded.model.training and all(value.requires_grad for value in loaded.model.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_dtype_is_what_transformers_makes_of_it(model_directory, dtype: str) -> None:
    import torch

    from codex_ml.modeling.probe import probe_logits

    path = model_directory("llama", dtype="bfloat16")
    wanted = plain_logits(path, dtype=getattr(torch, dtype))
    loaded = load(path, dtype=dtype, trainable=False)
    assert {value.dtype for value in loaded.model.parameters()} == {getattr(torch, dtype)}
    assert torch.equal(probe_logits(loaded.model), wanted)
    assert not loaded.model.training and not any(value.requires_grad for value in loaded.model.parameters())


def test_loading_moves_no_random_state(model_directory) -> None:
    import torch

    path = model_directory()
    before = torch.random.get_rng_state()
    load(path, lora_enabled=True)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_do_not_change_with_the_file(model_directory) -> None:
    import torch

    path = model_directory()
    loaded = load(path)
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    with (path / "model.safetensors").open("r+b") as stream:
        stream.write(bytes((path / "model.safetensors").stat().st_size))
    assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ({"dtype": "float16"}, "config.dtype", "float32 or bfloat16"),
        ({"dtype": "int8"}, "config.dtype", "float32"),
        ({"device": "cuda:7"}, "config.device", "cpu"),
        ({"device": "mps:3"}, "config.device", "cpu"),
        ({"device": "tpu"}, "config.device", "cpu"),
        ({"quantize": "nf4"}, "model.quantize", "CUDA"),
    ],
)
def test_what_is_impossible_here_is_refused_before_anything_is_read(
    options: dict[str, str], code: str, word: str
) -> None:
    with pytest.raises(CodexError) as caught:
        load("/no/such/directory", **options)
    assert caught.value.code == code
    assert word in caught.value.line()


def test_auto_names_its_reasons(model_directory) -> None:
    from codex_ml.modeling.device import cpu_has_bf16

    loaded = load(model_directory(), dtype="auto")
    assert loaded.dtype == ("bfloat16" if cpu_has_bf16() else "float32")
    assert "bfloat16" in loaded.reasons["dtype"]
    assert loaded.reasons["device"] == "asked for"


@pytest.mark.parametrize("kind", ["missing", "left over", "misshapen"])
def test_weights_that_are_not_the_configs_are_listed(model_directory, kind: str) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = model_directory()
    tensors = load_file(path / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    if kind == "missing":
        del tensors[name]
    elif kind == "left over":
        name = "model.layers.7.mlp.up_proj.weight"
        tensors[name] = torch.zeros(48, 32)
    else:
        tensors[name] = torch.zeros(47, 32)
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CodexError) as caught:
        load(path)
    assert caught.value.code == "model.misfit"
    assert name in caught.value.line()


def test_a_model_that_writes_no_text_is_refused(model_directory) -> None:
    path = model_directory()
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"model_type": "vit"}))
    with pytest.raises(CodexError) as caught:
        load(path)
    assert caught.value.code == "model.family"


def test_a_model_type_that_transformers_lacks_is_refused(model_directory) -> None:
    path = model_directory()
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"model_type": "llama9"}))
    with pytest.raises(CodexError) as caught:
        load(path)
    assert caught.value.code == "model.family"


def test_a_run_stands_for_its_export(model_directory, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    with pytest.raises(CodexError) as caught:
        load(run)
    assert caught.value.code == "model.no-export"
    model_directory(name="run/export")
    assert load(run).files.directory == run / "export"


def test_a_gguf_file_is_imported_once(model_directory, tmp_path: Path) -> None:
    import torch

    from codex_ml.modeling.export_gguf import export_gguf
    from codex_ml.modeling.probe import probe_logits

    path = model_directory()
    export_gguf(path, tmp_path / "m.gguf", dtype="float32")
    home = Home(tmp_path / "home")
    one = load(tmp_path / "m.gguf", home=home)
    entries = list((home.store / "models").iterdir())
    assert entries == [one.files.directory]
    changed = one.files.directory.stat().st_mtime_ns
    two = load(tmp_path / "m.gguf", home=home)
    assert two.files.directory.stat().st_mtime_ns == changed
    assert torch.equal(probe_logits(one.model), plain_logits(path))


PEAK = """
import re, sys
import torch, transformers.models.llama.modeling_llama, transformers.modeling_utils
from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora
# Not ru_maxrss: a child inherits that of the process that forked it.
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
before = peak()
loaded = load_model_with_optional_lora(sys.argv[1], device="cpu", dtype=sys.argv[2])
size = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
print((peak() - before) / size)
"""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_peak_memory_stays_below_thirteen_tenths_of_the_weights(model_directory, run, dtype: str) -> None:
    wide = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 11, "vocab_size": 8000}
    path = model_directory("llama", dtype="bfloat16", shards="110MB", num_attention_heads=16, **wide)
    assert len(list(path.glob("*.safetensors"))) == 3
    done = run(sys.executable, "-c", PEAK, path, dtype, env={"COVERAGE_PROCESS_CONFIG": None})
    assert done.code == 0, done.err
    assert 0.9 < float(done.out) < 1.3


@pytest.mark.parametrize("value", ["four", 5, 0])
def test_a_config_that_describes_no_model_is_named(model_directory, value: Any) -> None:
    from codex_ml.modeling.describe import describe

    path = model_directory()
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"num_attention_heads": value}))
    for use in (load, describe):
        with pytest.raises(CodexError) as caught:
            use(path)
        assert caught.value.code == "model.config", caught.value.line()
        assert str(path / "config.json") in caught.value.what


def test_a_model_that_writes_no_text_is_described_by_an_error_too(model_directory) -> None:
    from codex_ml.modeling.describe import describe

    path = model_directory()
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"model_type": "wav2vec2"}))
    with pytest.raises(CodexError) as caught:
        describe(path)
    assert caught.value.code == "model.family"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("adapter", [False, True])
def test_a_weight_that_is_not_finite_is_named(model_directory, value: float, adapter: bool) -> None:
    import torch

    from codex_ml.modeling.pretrained import check_finite

    model = load(model_directory(), lora_enabled=adapter).model
    check_finite(model)
    with torch.no_grad():
        (weight,) = (
            weight
            for name, weight in model.named_parameters()
            if "1.mlp.up_proj" in name and "lora" not in name
        )
        weight[0, :2] = torch.finfo(torch.float32).max  # a sum that overflows is no fault
        check_finite(model)
        weight[3, 1] = value
    with pytest.raises(CodexError) as caught:
        check_finite(model)
    assert caught.value.code == "model.not-finite"
    assert caught.value.what.endswith(" model.layers.1.mlp.up_proj.weight")
