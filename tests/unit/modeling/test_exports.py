"""What is written computes and encodes the same when others read it, and nothing is ever overwritten."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.publish import verify_directory
from codex_ml.errors import CodexError

pytestmark = pytest.mark.needs("train")


def logits(model: Any) -> Any:
    from codex_ml.modeling.probe import probe_logits

    return probe_logits(model)


def load(path: Any, **options: Any) -> Any:
    from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora

    options = {"device": "cpu", "dtype": "float32", "trainable": False} | options
    return load_model_with_optional_lora(path, **options).model


def plain(path: Path, **options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(path), local_files_only=True, **options)


def merged(*args: Any, **options: Any) -> Any:
    from codex_ml.modeling.export_model import export_merged

    return export_merged(*args, **options)


def gguf(*args: Any, **options: Any) -> Any:
    from codex_ml.modeling.export_gguf import export_gguf

    return export_gguf(*args, **options)


def refused(code: str, act: Any, *args: Any, **options: Any) -> CodexError:
    with pytest.raises(CodexError) as caught:
        act(*args, **options)
    assert caught.value.code == code, caught.value.line()
    return caught.value


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])
def test_a_merged_directory_is_plain_and_computes_the_same(
    model_directory, trained_adapter, tmp_path: Path, family: str
) -> None:
    from peft import PeftModel

    from codex_ml.modeling.probe import compare, logit_digest

    base = model_directory(family)
    adapter, out = trained_adapter(base), tmp_path / "out"
    report = merged(base, adapter, out)
    found = logits(plain(out))
    assert logit_digest(found) == report.logits_sha256
    assert compare(logits(PeftModel.from_pretrained(plain(base), str(adapter))), found) < 1e-4
    assert report.effect > 1e-2 and 0 < report.drift < 1e-4
    config = json.loads((out / "config.json").read_text())
    assert not {"quantization_config", "_name_or_path", "auto_map"} & set(config)
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] == 2
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (base / name).read_bytes()
    assert verify_directory(out)["merge"]["base_sha256"] == report.base_sha256
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_narrow_base_stays_narrow(model_directory, trained_adapter, tmp_path: Path) -> None:
    import torch

    base = model_directory("llama", dtype="bfloat16")
    report = merged(base, trained_adapter(base), tmp_path / "out")
    assert (report.dtype, report.drift < 1e-4 < report.rounding < 3e-2) == ("bfloat16", True)
    found = plain(tmp_path / "out")
    assert {value.dtype for value in found.parameters()} == {torch.bfloat16}


def test_an_adapter_that_does_nothing_is_not_exported(
    model_directory, trained_adapter, tmp_path: Path
) -> None:
    base = model_directory()
    adapter = trained_adapter(base, scale=0.0)
    refused("model.no-op", merged, base, adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(model_directory, trained_adapter, tmp_path: Path) -> None:
    from codex_ml.modeling.export_model import export_adapter
    from codex_ml.modeling.gguf_import import import_gguf

    base = model_directory()
    (tmp_path / "out").write_text("mine")
    for act, args in ((merged, (base, None)), (gguf, (base,)), (export_adapter, (base, base))):
        refused("model.exists", act, *args, tmp_path / "out")
    gguf(base, tmp_path / "m.gguf")
    refused("storage.write", import_gguf, tmp_path / "m.gguf", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_large_weights_are_sharded(model_directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from codex_ml.modeling import export_model

    monkeypatch.setattr(export_model, "SHARD", "60KB")
    base = model_directory()
    merged(base, None, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors.index.json").is_file()
    assert torch.equal(logits(load(tmp_path / "out")), logits(load(base)))


def test_an_export_is_refused_when_its_tokenizer_says_other_things(model_directory, tmp_path: Path) -> None:
    base = model_directory()
    out = tmp_path / "out"
    merged(base, None, out)
    golden = json.loads((out / "golden.json").read_text())
    assert len(golden["ids"]) > 20 and golden["chat"] and ["", []] in golden["ids"]
    load(out)
    (out / "MANIFEST.json").unlink()
    tokenizer = json.loads((out / "tokenizer.json").read_text())
    del tokenizer["model"]["merges"][0]
    (out / "tokenizer.json").write_text(json.dumps(tokenizer))
    refused("model.golden", load, out)
    tokenizer["pre_tokenizer"] = {"type": "Sideways"}
    (out / "tokenizer.json").write_text(json.dumps(tokenizer))
    refused("tokenizer.path", load, out)


def test_a_changed_chat_template_is_noticed(model_directory, tmp_path: Path) -> None:
    out = tmp_path / "out"
    merged(model_directory(), None, out)
    (out / "MANIFEST.json").unlink()
    (out / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert "chat" in refused("model.golden", load, out).line()


def test_an_exported_adapter_is_read_by_peft(model_directory, trained_adapter, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel

    from codex_ml.modeling.export_model import export_adapter

    base = model_directory()
    adapter = trained_adapter(base)
    digest = export_adapter(base, adapter, tmp_path / "out")
    assert verify_directory(tmp_path / "out")["base_sha256"] == digest
    one = PeftModel.from_pretrained(plain(base), str(tmp_path / "out"))
    assert torch.equal(logits(one), logits(load(base, lora_path=adapter)))
    other = model_directory(name="other", seed=1)
    refused("model.adapter-base", export_adapter, other, adapter, tmp_path / "new")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_file_goes_there_and_back(model_directory, tmp_path: Path, dtype: str, tied: bool) -> None:
    import torch
    from transformers import AutoTokenizer

    from codex_ml.modeling.gguf_import import import_gguf
    from codex_ml.modeling.gguf_tokenizer import name_of
    from codex_ml.modeling.golden import golden_of
    from codex_ml.modeling.probe import TOLERANCE, compare

    base = model_directory("llama", tie_word_embeddings=tied)
    facts = gguf(base, tmp_path / "m.gguf", dtype=dtype)
    assert facts["size"] == (tmp_path / "m.gguf").stat().st_size
    import_gguf(tmp_path / "m.gguf", tmp_path / "back")
    wanted, found = logits(plain(base)), logits(plain(tmp_path / "back"))
    assert compare(wanted, found) <= TOLERANCE[getattr(torch, dtype)]
    assert torch.equal(wanted, found) == (dtype == "float32")
    assert golden_of(tmp_path / "back") == golden_of(base)
    # transformers alone would cut "12" as GPT-2 does; this tokenizer wants one digit at a time.
    assert name_of(json.loads((tmp_path / "back" / "tokenizer.json").read_text())) == "smollm"
    one, two = (
        AutoTokenizer.from_pretrained(str(path), local_files_only=True) for path in (base, tmp_path / "back")
    )
    assert one.chat_template == two.chat_template
    for role in ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"):
        assert getattr(one, role) == getattr(two, role)
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    assert "quantization_config" not in config and config["architectures"] == ["LlamaForCausalLM"]
    assert verify_directory(tmp_path / "back")["source_sha256"] == facts["sha256"]


def test_query_rows_are_paired_as_llama_cpp_wants_them() -> None:
    import torch

    from codex_ml.modeling.export_gguf import interleave

    rows = torch.arange(8).reshape(8, 1)  # two heads of two pairs: x0 x1 y0 y1 | …
    assert interleave(rows, heads=2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_other_families_are_no_gguf(model_directory, tmp_path: Path) -> None:
    refused("model.gguf-family", gguf, model_directory("gpt2"), tmp_path / "m.gguf")
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    base = model_directory("llama", name="scaled", rope_parameters=scaled)
    refused("model.gguf-family", gguf, base, tmp_path / "m.gguf")
    assert not list(tmp_path.glob("*.gguf"))


def test_a_tokenizer_that_gguf_cannot_name_is_refused(model_directory, tmp_path: Path) -> None:
    base = model_directory()
    content = json.loads((base / "tokenizer.json").read_text())
    split = {"type": "Split", "pattern": {"Regex": "x|y"}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
    (base / "tokenizer.json").write_text(json.dumps(content))
    refused("model.gguf-tokenizer", gguf, base, tmp_path / "m.gguf")


def test_a_cut_off_gguf_file_is_refused(model_directory, tmp_path: Path) -> None:
    from codex_ml.modeling.gguf_import import import_gguf

    gguf(model_directory(), tmp_path / "m.gguf")
    raw = (tmp_path / "m.gguf").read_bytes()
    for size in (0, 3, 20, 200, len(raw) // 2, len(raw) - 4000):
        (tmp_path / "cut.gguf").write_bytes(raw[:size])
        refused("model.gguf", import_gguf, tmp_path / "cut.gguf", tmp_path / "out")
    (tmp_path / "cut.gguf").write_bytes(b"not a model at all, " * 100)
    refused("model.gguf", import_gguf, tmp_path / "cut.gguf", tmp_path / "out")
    refused("model.path", import_gguf, tmp_path / "none.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_gguf_file_that_cuts_text_unknown_is_refused(tmp_path: Path, model_directory) -> None:
    from codex_ml.modeling.gguf_tokenizer import fix_pre_tokenizer

    base = model_directory()
    before = (base / "tokenizer.json").read_bytes()
    facts = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "klingon"}
    refused("model.gguf-tokenizer", fix_pre_tokenizer, base, facts)
    fix_pre_tokenizer(base, {"tokenizer.ggml.model": "llama"})
    assert (base / "tokenizer.json").read_bytes() == before


def test_the_command_line_does_all_of_it(
    model_directory, trained_adapter, workspace: Path, cli, run_cli
) -> None:
    call = functools.partial(cli, workspace, cwd=workspace)
    base = model_directory()
    adapter = trained_adapter(base)
    facts = call("model", "inspect", base, "--json")
    assert facts.code == 0, facts.err
    assert facts.json["lora_targets"][:2] == ["q_proj", "k_proj"]
    assert facts.json["memory"]["lora_parameters"] > 0
    done = call("model", "merge", base, adapter, "--out", "merged", "--json")
    assert done.code == 0 and done.json["effect"] > 0, done.err
    again = call("model", "merge", base, adapter, "--out", "merged")
    assert (again.code, "[model.exists]" in again.err) == (2, True)
    done = call("model", "export", base, "--format", "gguf", "--adapter", adapter, "--out", "m.gguf")
    assert done.code == 0, done.err
    # A process of its own: bars are switched off before the libraries are imported.
    done = run_cli("model", "import", "m.gguf", "--out", "back", "--json", "--quiet")
    assert done.code == 0 and done.json["family"] == "LlamaForCausalLM", done.err
    assert "it/s" not in done.err
    done = call("model", "export", base, "--format", "adapter", "--adapter", adapter, "--out", "adapter2")
    assert done.code == 0, done.err
    assert call("model", "export", base, "--format", "adapter", "--out", "adapter3").code == 2
    text = call("model", "inspect", "back")
    assert "manifest verified" in text.out and "q_proj" in text.out
    assert not list(workspace.glob(".tmp-*"))
