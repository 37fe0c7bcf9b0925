"""A fine-tuned model from data to export: what comes out is what was trained, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.paths import Home
from codex_ml.errors import CodexError
from tuning import journal, tuner, write_base

pytestmark = pytest.mark.needs("train", "report")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("fine-tuning")
    return path


@pytest.fixture(scope="module")
def tuned(home: Path) -> Any:
    return tuner(home)("tuned", whole=True)


def logits(model: Any) -> Any:
    from codex_ml.modeling.probe import probe_logits

    return probe_logits(model.eval())


def test_the_export_computes_in_transformers_what_base_and_adapter_do_in_peft(home: Path, tuned: Any) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    export, base = tuned.directory.export, write_base(home)
    merged = logits(AutoModelForCausalLM.from_pretrained(str(export)))
    plain = logits(AutoModelForCausalLM.from_pretrained(str(base)))
    adapted = logits(
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(str(base)), str(export / "adapter"))
    )
    assert (merged - adapted).abs().max() <= 1e-5 * adapted.abs().max()
    assert (adapted - plain).abs().max() > 1e-3 * plain.abs().max()
    asked = [{"role": "user", "content": "hello"}]
    tokenizer = AutoTokenizer.from_pretrained(str(export))
    assert tokenizer.apply_chat_template(asked, tokenize=False).startswith("<|im_start|>user\nhello")


def test_the_export_says_what_it_was_made_of_and_what_was_proved(home: Path, tuned: Any) -> None:
    from codex_ml.modeling.pretrained_files import inspect_directory

    record = tuned.directory.read()
    facts = json.loads((tuned.directory.export / "codex_ml.json").read_text())
    base = inspect_directory(write_base(home)).weights_sha256
    assert record["inputs"]["base_weights"] == facts["inputs"]["base_weights"] == base
    probe = facts["probe"]
    assert probe["merged"] == probe["export"]
    assert probe["rounding"] == 0.0
    assert len({probe["base"], probe["adapter"], probe["merged"]}) == 3
    assert probe["effect"] > 1e-3
    assert probe["drift"] < 1e-5
    card = (tuned.directory.export / "README.md").read_text()
    assert base in card
    assert "fine-tuned" in card


def test_every_weights_file_of_the_export_names_the_code_and_the_run(home: Path, tuned: Any) -> None:
    from codex_ml.core.safetensors_metadata import read_metadata
    from codex_ml.provenance.facts import as_metadata, run_facts

    files = sorted(tuned.directory.export.rglob("*.safetensors"))
    assert {file.parent.name for file in files} == {"export", "adapter"}
    wanted = as_metadata(run_facts(tuned.directory.read()))
    assert all(wanted.items() <= read_metadata(file).items() for file in files)


def test_the_run_is_verified_with_its_base_and_trained_again_with_the_same_bits(
    home: Path, tuned: Any
) -> None:
    from codex_ml.interfaces.reporter import Silent
    from codex_ml.pipeline.reproduce import reproduce
    from codex_ml.pipeline.verify import verify_run

    checks = verify_run(tuned.directory, home=Home(home))
    assert [check for check in checks if check.fault] == []
    assert any(check.what.startswith("base weights") and check.note is None for check in checks)
    again = reproduce(tuned.directory, home=Home(home), from_step=3, steps=4, reporter=Silent())
    assert again.divergence is None
    assert again.steps == 4


def test_verify_sees_another_base(home: Path, tmp_path: Path) -> None:
    import shutil

    from codex_ml.pipeline.verify import verify_run

    base = tmp_path / "moving-base"
    shutil.copytree(write_base(home), base)
    work = tuner(home)("moved", f"model.path={base}", "train.steps=4")
    file = base / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    (fault,) = [check for check in verify_run(work.directory, home=Home(home)) if check.fault]
    assert fault.what.startswith("base weights")
    with pytest.raises(CodexError) as caught:
        tuner(home)("moved", f"model.path={base}", "train.steps=4")
    assert caught.value.code == "run.identity"
    assert "inputs.base_weights" in str(caught.value)


def test_a_run_its_checkpoint_and_its_export_give_the_same_figures_and_texts(home: Path, tuned: Any) -> None:
    from codex_ml.evaluation.complete import complete_text
    from codex_ml.evaluation.session import evaluate_target
    from codex_ml.interfaces.reporter import Silent

    newest = tuned.outcome.checkpoint.path
    found = []
    for target in ("tuned", str(newest), str(tuned.directory.export)):
        result, _ = evaluate_target(
            target, home=Home(home), split="validation", tasks=(), data_path=None, out=None, reporter=Silent()
        )
        options = {"max_tokens": 8, "temperature": 0.0, "top_p": 1.0, "seed": 1, "home": Home(home)}
        text = complete_text(target, prompt="def f(x):", **options)["text"]
        answer = complete_text(target, prompt="hello", chat=True, **options)["text"]
        found.append((result.values()["loss"], text, answer))
    assert found[0][0] == pytest.approx(found[2][0], rel=1e-5)
    assert found[0] == found[1]
    assert {row[1:] for row in found} == {found[0][1:]}
    with pytest.raises(CodexError, match="special token"):
        complete_text("tuned", prompt="<|im_end|>", chat=True, **options)


def test_an_adapter_goes_on_and_an_export_is_a_base(home: Path, tuned: Any) -> None:
    tune, export = tuner(home), tuned.directory.export
    on = tune("went-on", f"model.lora.path={export / 'adapter'}", "train.steps=4")
    anew = tune("from-export", f"model.path={export}", "train.steps=4")
    last, first = journal(tuned)[-1]["loss"], journal(tuned)[0]["loss"]
    for work in (on, anew):
        assert journal(work)[0]["loss"] < (first + last) / 2
    kept = Path(on.config.model.lora.path)
    assert kept.parent == Home(home).store / "adapters"


def test_another_base_under_a_run_is_refused_wherever_it_is_used(home: Path, tmp_path: Path) -> None:
    import shutil

    from codex_ml.evaluation.complete import complete_text
    from codex_ml.pipeline.verify import verify_run

    base = tmp_path / "swapped-base"
    shutil.copytree(write_base(home), base)
    work = tuner(home)("swapped", f"model.path={base}", "train.steps=2", "train.schedule.warmup_steps=1")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    (fault,) = [check for check in verify_run(work.directory, home=Home(home)) if check.fault]
    assert "config.json" in str(fault.fault)
    with pytest.raises(CodexError) as caught:
        tuner(home)("swapped", f"model.path={base}", "train.steps=2", "train.schedule.warmup_steps=1")
    assert "inputs.base_config" in str(caught.value)
    shutil.rmtree(base)
    from tiny_models import build

    build("llama", seed=9).save_pretrained(str(base))
    options = {"max_tokens": 2, "temperature": 0.0, "top_p": 1.0, "seed": 1, "home": Home(home)}
    with pytest.raises(CodexError) as caught:
        complete_text("swapped", prompt="def", **options)
    assert caught.value.code == "model.base-changed"


def test_a_bfloat16_base_is_exported_in_bfloat16_and_proved_in_float32(home: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from tiny_models import build, write_tokenizer

    build("llama").to(torch.bfloat16).save_pretrained(str(tmp_path / "narrow"))
    write_tokenizer(tmp_path / "narrow")
    work = tuner(home)("narrow", f"model.path={tmp_path / 'narrow'}", whole=True)
    tensors = load_file(work.directory.export / "model.safetensors")
    assert {value.dtype for value in tensors.values()} == {torch.bfloat16}
    probe = json.loads((work.directory.export / "codex_ml.json").read_text())["probe"]
    assert probe["drift"] < 1e-5 < probe["rounding"]


def test_every_weight_trained_in_float32_with_products_in_bfloat16(home: Path) -> None:
    words = ("model.lora.r=0", "train.lr=0.001", "train.steps=2", "train.schedule.warmup_steps=1")
    work = tuner(home)("mixed", "runtime.dtype=bfloat16", *words, whole=True)
    assert {str(value.dtype) for value in work.outcome.checkpoint.model_tensors().values()} == {
        "torch.float32"
    }


def test_the_export_carries_the_template_that_was_trained_under(home: Path, tmp_path: Path) -> None:
    template = tmp_path / "own.jinja"
    text = (
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    template.write_text(text)
    words = (f"data.template={template}", "train.steps=2", "train.schedule.warmup_steps=1")
    work = tuner(home)("own-template", *words)
    template.write_text("changed since")
    assert (work.dataset.directory / "chat_template.jinja").read_text() == text


def test_runs_of_the_other_engine_are_not_run_again_by_this_one(home: Path) -> None:
    from codex_ml.interfaces.reporter import Silent
    from codex_ml.pipeline.reproduce import reproduce

    work = tuner(home)("other", "train.engine=hf", "train.steps=2", "train.schedule.warmup_steps=1")
    with pytest.raises(CodexError) as caught:
        reproduce(work.directory, home=Home(home), from_step=None, steps=None, reporter=Silent())
    assert caught.value.code == "reproduce.engine"


def test_every_weight_trained_is_exported_and_proved_too(home: Path) -> None:
    work = tuner(home)("whole", "model.lora.r=0", "train.lr=0.001", "train.steps=4", whole=True)
    facts = json.loads((work.directory.export / "codex_ml.json").read_text())
    assert facts["probe"]["effect"] > 0
    assert facts["probe"]["rounding"] == 0.0
    assert not (work.directory.export / "adapter").exists()


def test_an_adapter_that_learned_nothing_is_no_export(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from codex_ml.training.optim import Optimizers

    monkeypatch.setattr(Optimizers, "step", lambda self: None)
    monkeypatch.setattr(Optimizers, "tensors", lambda self: {})
    with pytest.raises(CodexError) as caught:
        tuner(home)("idle", "train.steps=1", "train.schedule.name=constant")
    assert caught.value.code == "model.no-op"


def test_documents_are_learned_by_a_pretrained_model_too(home: Path) -> None:
    from codex_ml.pipeline.kept import kept_lines
    from corpora import write_packages

    code = write_packages(home / "code", packages=8, modules=2)
    words = ("data=files", f"data.path={code}", "data.include=[]", "objective=lm", "data.min_bytes=1")
    work = tuner(home)("documents", *words, "tokenizer.path=null")
    (line,) = kept_lines(work.dataset)
    assert line.startswith("documents: ") and " kept" in line
    assert journal(work)[-1]["loss"] < journal(work)[0]["loss"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("model.lora.targets=[q_prj]",), "model.lora-targets"),
        (("model.path=/nowhere",), "model.path"),
        (("model.lora.path=/nowhere",), "lora.path"),
        (("model.context=512",), "model.context"),
        (("model.quantize=nf4",), "model.quantize"),
        (("objective=lm",), "config.format"),
        (("model.layers=3",), "config.pretrained-shape"),
        (("train=muon",), "config.lora-muon"),
        (("train.init_from=tuned",), "config.pretrained-init"),
        (("runtime.sharding=fsdp2",), "config.pretrained-sharding"),
        (("train.engine=hf", "train.guard.action=skip"), "config.engine"),
        (("model.lora.targets=[all-linear,q_proj]",), "config.lora-targets"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(
    home: Path, words: tuple[str, ...], code: str
) -> None:
    with pytest.raises(CodexError) as caught:
        tuner(home)("refused", *words)
    assert caught.value.code == code
    assert not (home / "runs" / "refused" / "journal.jsonl").exists()


def test_the_plan_counts_the_logits_that_the_other_engine_holds(home: Path) -> None:
    from codex_ml.config.compose import compose
    from codex_ml.modeling.size import model_size
    from codex_ml.pipeline.plan import memory_bytes
    from tuning import CONTEXT, tuning_words

    native, hf = (
        compose(tuning_words(home, f"train.engine={name}"), environ={}).config for name in ("native", "hf")
    )
    size = model_size(native.model, vocab_size=0)
    assert size.trained < size.parameters
    positions = CONTEXT * native.train.batch_size // native.runtime.shards
    assert memory_bytes(hf, size) - memory_bytes(native, size) == positions * size.vocab * (2 + 4 + 4)


def test_a_run_begun_with_a_relative_path_goes_on_and_is_used_from_elsewhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.evaluation.complete import complete_text

    base, short = write_base(home), ("train.steps=4", "model.lora.r=2")
    monkeypatch.chdir(home)
    first = tuner(home)("relative", f"model.path={base.name}", *short)
    monkeypatch.chdir(tmp_path)
    options = {"max_tokens": 2, "temperature": 0.0, "top_p": 1.0, "seed": 1, "home": Home(home)}
    assert first.directory.read()["config"]["model"]["path"] == str(base)
    complete_text("relative", prompt="def", **options)
    again = tuner(home)("relative", f"model.path={base}", *short)
    assert again.directory.read()["run_id"] == first.directory.read()["run_id"]
    assert journal(again) == journal(first)


@pytest.mark.parametrize("rank", [0, 4])
def test_without_its_base_a_run_is_used_through_its_export(home: Path, tmp_path: Path, rank: int) -> None:
    import shutil

    from codex_ml.evaluation.complete import complete_text

    base, name = tmp_path / "base", f"orphan-{rank}"
    shutil.copytree(write_base(home), base)
    words = (f"model.path={base}", f"model.lora.r={rank}", "train.lr=0.005", "train.steps=4")
    work = tuner(home)(name, *words, "checkpoint.every=2", "checkpoint.keep_last=3", whole=True)
    options = {"max_tokens": 6, "temperature": 0.0, "top_p": 1.0, "seed": 1, "home": Home(home)}
    before = complete_text(name, prompt="def f(x):", **options)["text"]
    shutil.rmtree(base)
    assert complete_text(name, prompt="def f(x):", **options)["text"] == before
    early = str(work.directory.checkpoints / "step-00000002")
    if rank == 0:  # a checkpoint holds every weight, so the export gives it its shape alone
        complete_text(early, prompt="def", **options)
    else:
        with pytest.raises(CodexError) as caught:
            complete_text(early, prompt="def", **options)
        assert caught.value.code == "target.base"
        assert str(work.directory.export) in str(caught.value.next_step)
    shutil.rmtree(work.directory.export)
    with pytest.raises(CodexError) as caught:
        complete_text(name, prompt="def", **options)
    assert caught.value.code == "target.base"


def test_a_bad_adapter_is_named_as_it_was_typed(home: Path, tuned: Any, tmp_path: Path) -> None:
    import shutil

    good = tuned.directory.export / "adapter"
    for name, file, text in (
        ("cut", "adapter_model.safetensors", None),
        ("syntax", "adapter_config.json", "{"),
        ("other", "codex_ml.json", json.dumps({"base_weights_sha256": "0" * 64})),
    ):
        adapter = tmp_path / name
        shutil.copytree(good, adapter)
        raw = (adapter / file).read_bytes()
        (adapter / file).write_bytes(raw[:-40] if text is None else text.encode())
        with pytest.raises(CodexError) as caught:
            tuner(home)("bad-adapter", f"model.lora.path={adapter}")
        assert str(adapter) in caught.value.line(), name
