"""Adapters: peft's own numbers, every target as asked, one base each, and a merge that computes the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.errors import CodexError

pytestmark = pytest.mark.needs("train")
VARIANTS = ("lora", "rslora", "dora")
FAMILIES = ("llama", "qwen2", "gpt2")


def load(path: Any, **options: Any) -> Any:
    from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora

    return load_model_with_optional_lora(path, **({"device": "cpu", "dtype": "float32"} | options))


def logits(model: Any) -> Any:
    from codex_ml.modeling.probe import probe_logits

    return probe_logits(model)


def refused(code: str, *words: str, path: Any, **options: Any) -> None:
    with pytest.raises(CodexError) as caught:
        load(path, **options)
    assert caught.value.code == code, caught.value.line()
    for word in words:
        assert word in caught.value.line()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_is_pefts_own(model_directory, trained_adapter, family: str, variant: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = model_directory(family)
    directory = trained_adapter(base, lora_variant=variant)
    ours = load(base, lora_path=directory, trainable=False)
    plain = AutoModelForCausalLM.from_pretrained(str(base), local_files_only=True)
    theirs = PeftModel.from_pretrained(plain, str(directory))
    assert torch.equal(logits(ours.model), logits(theirs))
    config = ours.model.peft_config["default"]
    assert (config.use_rslora, config.use_dora) == (variant == "rslora", variant == "dora")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_new_adapter_is_float32_on_a_frozen_base(model_directory, variant: str, dtype: str) -> None:
    import torch

    loaded = load(model_directory(), dtype=dtype, lora_enabled=True, lora_variant=variant)
    for name, parameter in loaded.model.named_parameters():
        assert parameter.requires_grad == ("lora_" in name), name
        assert parameter.dtype == (torch.float32 if "lora_" in name else getattr(torch, dtype)), name


def test_the_first_values_depend_on_the_seed_alone(model_directory) -> None:
    import torch

    from codex_ml.modeling.lora import adapter_tensors

    base = model_directory()
    one = adapter_tensors(load(base, lora_enabled=True, seed=3).model)
    torch.manual_seed(99)
    two = adapter_tensors(load(base, lora_enabled=True, seed=3).model)
    other = adapter_tensors(load(base, lora_enabled=True, seed=4).model)
    assert list(one) == sorted(one) == list(two)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if "lora_A" in name)


@pytest.mark.parametrize(
    ("family", "targets", "leaves"),
    [
        ("llama", None, {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
        (
            "llama",
            "all-linear",
            {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
        ),
        ("llama", ("q_proj", "self_attn.v_proj"), {"q_proj", "v_proj"}),
        ("llama", r"regex:.*\.1\.mlp\.(up|down)_proj", {"up_proj", "down_proj"}),
        ("gpt2", ("c_attn",), {"c_attn"}),
        ("gpt2", None, {"c_attn", "c_proj", "c_fc"}),
    ],
)
def test_the_targets_are_those_asked_for(
    model_directory, family: str, targets: Any, leaves: set[str]
) -> None:
    from codex_ml.modeling.lora import adapter_tensors

    loaded = load(model_directory(family), lora_enabled=True, lora_target_modules=targets)
    names = list(adapter_tensors(loaded.model))
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in names} == leaves
    if targets is not None and str(targets).startswith("regex:"):
        assert all(".layers.1." in name for name in names)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (("q_pro",), ("did you mean 'q_proj'?", "down_proj")),
        (("mlp",), ("is no linear layer", "gate_proj")),
        (("embed_tokens",), ("is no linear layer",)),
        (("lm_head",), ("is no linear layer",)),
        (("regex:.*zzz",), ("regex:.*zzz",)),
        (("regex:(",), ("does not parse",)),
        (("all-linear", "q_proj"), ("stand alone",)),
    ],
)
def test_a_wrong_target_names_those_that_exist(model_directory, targets: Any, words: tuple[str, ...]) -> None:
    base = model_directory()
    refused("model.lora-targets", *words, path=base, lora_enabled=True, lora_target_modules=targets)


def test_an_unknown_kind_is_refused(model_directory) -> None:
    refused("model.lora-variant", "lora", path=model_directory(), lora_enabled=True, lora_variant="loha")


def test_training_goes_on_from_an_existing_adapter(model_directory, trained_adapter) -> None:
    import torch

    from codex_ml.modeling.lora import adapter_tensors

    base = model_directory()
    directory = trained_adapter(base, lora_r=4, lora_target_modules=("q_proj", "v_proj"))
    from safetensors.torch import load_file

    loaded = load(base, lora_path=directory, lora_r=64)
    stored, own = load_file(directory / "adapter_model.safetensors"), adapter_tensors(loaded.model)
    assert set(stored) == set(own) and all(torch.equal(stored[name], own[name]) for name in stored)
    assert all(value.requires_grad for name, value in loaded.model.named_parameters() if "lora_" in name)
    assert "own settings count" in loaded.reasons["adapter"]


def test_an_adapter_of_another_base_is_refused_by_digest_and_by_shape(
    model_directory, trained_adapter
) -> None:
    base = model_directory()
    other = model_directory(name="other", seed=1)
    wider = model_directory(name="wider", intermediate_size=64)
    directory = trained_adapter(base)
    refused("model.adapter-base", "made for weights", path=other, lora_path=directory)
    (directory / "codex_ml.json").unlink()
    load(other, lora_path=directory)  # nothing says that it is another's, and the shapes fit
    refused("model.adapter-base", "has shape", path=wider, lora_path=directory)
    refused("model.adapter-base", path=model_directory("gpt2", name="gpt"), lora_path=directory)


@pytest.mark.parametrize("change", ["missing", "renamed"])
def test_every_tensor_of_an_adapter_must_land(model_directory, trained_adapter, change: str) -> None:
    from safetensors.torch import load_file, save_file

    base = model_directory()
    directory = trained_adapter(base)
    tensors = load_file(directory / "adapter_model.safetensors")
    name = sorted(tensors)[0]
    value = tensors.pop(name)
    if change == "renamed":
        tensors[name.replace("model.layers", "layers")] = value
    save_file(tensors, directory / "adapter_model.safetensors")
    refused("model.adapter-tensors", "layers.0", path=base, lora_path=directory)


def test_what_is_no_adapter_is_refused(model_directory, tmp_path: Path, trained_adapter) -> None:
    base = model_directory()
    refused("model.adapter-path", "adapter_config.json", path=base, lora_path=tmp_path / "none")
    directory = trained_adapter(base)
    config = json.loads((directory / "adapter_config.json").read_text())
    (directory / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "LOHA"}))
    refused("model.adapter-kind", "LOHA", path=base, lora_path=directory)


def test_a_saved_adapter_is_the_same_bytes_each_time(model_directory, trained_adapter) -> None:
    base = model_directory()
    one, two = trained_adapter(base, name="one"), trained_adapter(base, name="two")
    for file in one.iterdir():
        assert file.read_bytes() == (two / file.name).read_bytes(), file.name
    assert not json.loads((one / "adapter_config.json").read_text())["base_model_name_or_path"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_values_put_back_count_at_once(model_directory, trained_adapter, variant: str) -> None:
    import torch

    from codex_ml.modeling.lora import adapter_tensors, load_adapter_tensors

    base = model_directory()
    trained = load(base, lora_path=trained_adapter(base, lora_variant=variant), trainable=False)
    fresh = load(base, lora_enabled=True, lora_variant=variant, trainable=False)
    logits(fresh.model)  # DoRA remembers norms from now on
    load_adapter_tensors(fresh.model, adapter_tensors(trained.model))
    assert torch.equal(logits(fresh.model), logits(trained.model))
    with pytest.raises(CodexError) as caught:
        load_adapter_tensors(fresh.model, {})
    assert caught.value.code == "model.adapter-tensors"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_float32_merge_is_pefts(model_directory, trained_adapter, family: str, variant: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from codex_ml.modeling.lora import merge
    from codex_ml.modeling.probe import compare

    base = model_directory(family)
    directory = trained_adapter(base, lora_variant=variant)
    adapted = load(base, lora_path=directory, trainable=False).model
    merged = merge(adapted)
    plain = AutoModelForCausalLM.from_pretrained(str(base), local_files_only=True)
    oracle = PeftModel.from_pretrained(plain, str(directory)).merge_and_unload(safe_merge=True)
    wanted = oracle.state_dict()
    assert set(wanted) == set(merged.state_dict())
    assert all(torch.equal(value, wanted[name]) for name, value in merged.state_dict().items())
    drift = compare(logits(adapted), logits(merged))
    assert 0 < drift < 1e-4
    assert type(merged) is type(plain)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_bfloat16_merge_rounds_once(model_directory, trained_adapter, variant: str) -> None:
    import torch

    from codex_ml.modeling.lora import merge
    from codex_ml.modeling.probe import compare

    base = model_directory("llama", dtype="bfloat16")
    directory = trained_adapter(base, lora_variant=variant, scale=0.05)
    adapted = load(base, lora_path=directory, trainable=False).model
    exact = merge(adapted)
    narrow = load(base, lora_path=directory, trainable=False, dtype="bfloat16").model
    merged = merge(narrow)
    for name, value in merged.state_dict().items():
        assert value.dtype == torch.bfloat16
        assert torch.equal(value, exact.state_dict()[name].bfloat16()), name
    # In float32 only the rounding shows; bfloat16 arithmetic by itself moves logits further than that.
    assert 0 < compare(logits(adapted), logits(merged.float())) < 3e-2


def test_a_merge_leaves_the_adapted_model_alone_unless_told(model_directory, trained_adapter) -> None:
    import torch

    from codex_ml.modeling.lora import adapter_tensors, merge

    base = model_directory()
    adapted = load(base, lora_path=trained_adapter(base), trainable=False).model
    before = logits(adapted)
    merged = merge(adapted)
    assert torch.equal(logits(adapted), before) and adapter_tensors(adapted)
    assert torch.equal(logits(merge(adapted, in_place=True)), logits(merged))


def test_a_merge_that_is_not_finite_is_refused(model_directory, trained_adapter) -> None:
    from codex_ml.modeling.lora import adapter_tensors, merge

    base = model_directory()
    adapted = load(base, lora_path=trained_adapter(base), trainable=False).model
    next(iter(adapter_tensors(adapted).values())).fill_(float("nan"))
    with pytest.raises(CodexError) as caught:
        merge(adapted)
    assert caught.value.code == "model.merge-nan"


@pytest.mark.parametrize(
    ("name", "value"), [("r", "x"), ("r", 0), ("lora_alpha", "x"), ("target_modules", 3)]
)
def test_settings_that_make_no_adapter_are_named(
    model_directory, trained_adapter, name: str, value: Any
) -> None:
    base = model_directory()
    adapter = trained_adapter(base)
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    refused("model.adapter-config", str(file), path=base, lora_path=adapter)
