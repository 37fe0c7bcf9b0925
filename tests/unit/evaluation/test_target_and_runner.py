from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from codex_ml.errors import CheckpointLoadError, CodexError, IntegrityError, NotFoundError, UsageError

pytestmark = pytest.mark.needs("train")


def find(text: object, home: Any) -> Any:
    from codex_ml.evaluation.target import find_target

    return find_target(str(text), home=home)


def refused(text: object, home: Any, kind: type[CodexError] = UsageError) -> CodexError:
    with pytest.raises(kind) as caught:
        find(text, home)
    return caught.value


def export(directory: Any, target: Any, path: Path) -> Path:
    from codex_ml.core.publish import staged
    from codex_ml.modeling.export import write_export

    record = directory.read()
    facts = {
        "format": 1,
        "run": directory.name,
        "step": target.step,
        "weights_sha256": target.weights_sha256,
        **{name: record[name] for name in ("config", "resolved", "inputs")},
    }
    with staged(path, meta={}) as stage:
        write_export(
            stage,
            weights=target.weights,
            tokenizer=target.tokenizer,
            cfg=target.config.model,
            vocab_size=target.vocab_size,
            pad_id=1,
            end_id=0,
            facts=facts,
            card="# card",
            metadata={},
        )
    return path


# ---- what a target is ----------------------------------------------------------------------------


def test_a_run_its_directory_its_checkpoint_and_its_export_are_the_same_weights(
    make_run, home, tmp_path: Path, config_of
) -> None:
    import torch

    directory = make_run(steps=(10, 20))
    run = find("small", home)
    assert (run.kind, run.step, run.run_name, run.vocab_size) == ("run", 20, "small", 300)
    assert run.config == config_of("model.context=32", "tokenizer.vocab_size=300", "eval.batch_size=4")
    others = {
        "run": find(directory.path, home),
        "checkpoint": find(directory.checkpoints / "step-00000020", home),
        "export": find(export(directory, run, tmp_path / "export"), home),
    }
    tokens_BT = torch.arange(20)[None]
    with torch.no_grad():
        expected = run.load_model(device=torch.device("cpu"))(tokens_BT)
        for kind, other in others.items():
            assert (other.kind, other.step, other.weights_sha256) == (kind, 20, run.weights_sha256)
            assert torch.equal(other.load_model(device=torch.device("cpu"))(tokens_BT), expected)
            assert other.load_tokenizer().encode("def f") == run.load_tokenizer().encode("def f")
    earlier = find(directory.checkpoints / "step-00000010", home)
    assert earlier.step == 10 and earlier.weights_sha256 != run.weights_sha256
    assert not run.load_model(device=torch.device("cpu")).training


def test_what_is_no_target_is_told_with_the_nearest_run(make_run, home) -> None:
    make_run("small")
    error = refused("smal", home)
    assert error.code == "target.missing"
    assert "did you mean 'small'?" in str(error)
    assert refused("/nowhere/at/all", home).code == "target.missing"
    assert refused(home.runs / "small" / "checkpoints" / "step-00000099", home).code == "target.missing"


def test_a_run_without_checkpoints_is_not_there_yet(make_run, home) -> None:
    make_run("young", steps=())
    assert refused("young", home).code == "target.empty"


def test_a_lost_tokenizer_is_named(make_run, home) -> None:
    make_run()
    (home.root / ".codex").unlink()
    error = refused("small", home)
    assert error.code == "target.tokenizer"
    assert "tokenizers" in str(error)


def test_damaged_bytes_are_refused_and_a_run_falls_back(make_run, home, tmp_path: Path) -> None:
    directory = make_run(steps=(10, 20))
    path = export(directory, find("small", home), tmp_path / "export")
    (path / "README.md").write_text("# other")
    assert "README.md" in str(refused(path, home, IntegrityError))
    newest = directory.checkpoints / "step-00000020"
    (newest / "state.json").write_text("{}")
    assert refused(newest, home, CheckpointLoadError).code == "checkpoint.damaged"
    assert find("small", home).step == 10


def test_an_export_of_another_format_is_refused(make_run, home, tmp_path: Path) -> None:
    from codex_ml.core.publish import seal

    path = export(make_run(), find("small", home), tmp_path / "export")
    facts = json.loads((path / "codex_ml.json").read_text())
    (path / "codex_ml.json").write_text(json.dumps({**facts, "format": 2}))
    seal(path, {})
    assert refused(path, home, IntegrityError).code == "target.format"


# ---- the runner ----------------------------------------------------------------------------------


@pytest.fixture
def evaluate(prepared, make_run, home, tmp_path: Path):
    """Evaluate the run ``small`` on the task lm, with any argument replaced."""
    import torch

    from codex_ml.evaluation.runner import evaluate
    from codex_ml.interfaces.reporter import Silent

    make_run()
    target = find("small", home)

    def call(**changes: Any) -> Any:
        options = {
            "target": target,
            "dataset": prepared,
            "split": "validation",
            "tasks": ["lm"],
            "cfg": target.config.eval,
            "device": torch.device("cpu"),
            "keep_in": tmp_path / "eval",
            "reporter": Silent(),
        } | changes
        return evaluate(options.pop("target"), **options)

    call.target = target  # type: ignore[attr-defined]
    return call


class Unloadable:
    """The same target with weights that must not be touched."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        assert name not in ("load_model", "load_tokenizer", "weights"), "the stored answer was not used"
        return getattr(self._target, name)


def test_a_stored_question_is_answered_without_loading_the_model(evaluate, tmp_path: Path) -> None:
    first = evaluate()
    again = evaluate(target=Unloadable(evaluate.target))
    assert (first.fresh, again.fresh) == (True, False)
    assert again.metrics == first.metrics and again.question == first.question
    assert [path.name for path in (tmp_path / "eval").iterdir()] == [
        f"step-00000020-{first.question[:12]}.json"
    ]


def test_every_other_question_is_asked_anew(evaluate, tmp_path: Path) -> None:
    first = evaluate()
    cfg = evaluate.target.config.eval
    others = [
        {"split": "train"},
        {"tasks": []},
        {"cfg": dataclasses.replace(cfg, batch_size=cfg.batch_size + 1)},
        {"target": dataclasses.replace(evaluate.target, weights_sha256="0" * 64)},
        {"target": dataclasses.replace(evaluate.target, dtype="bfloat16")},
    ]
    questions = {first.question}
    for change in others:
        answer = evaluate(**change)
        assert answer.fresh
        questions.add(answer.question)
    assert len(questions) == 1 + len(others)


def test_without_a_place_nothing_is_kept(evaluate, tmp_path: Path) -> None:
    assert evaluate(keep_in=None).fresh and evaluate(keep_in=None).fresh
    assert not (tmp_path / "eval").exists()


def test_an_unknown_task_or_split_is_refused_by_name_and_nothing_is_kept(evaluate, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        evaluate(tasks=["lmm"])
    with pytest.raises(CodexError) as caught:
        evaluate(split="validatoin")
    assert "validation" in str(caught.value)
    assert not (tmp_path / "eval").exists()


def test_records_carry_what_was_measured_on_what(evaluate, prepared) -> None:
    answer = evaluate()
    records = answer.records(run_id="id", step=20)
    assert {record.metric: record.value for record in records} == answer.values()
    for record in records:
        assert (record.run_id, record.step, record.split, record.phase) == ("id", 20, "validation", "eval")
        assert record.dataset == prepared.digest
        assert record.n == answer.metrics[record.metric].n


def test_completing_text_repeats_and_names_the_weights(make_run, home) -> None:
    from codex_ml.evaluation.complete import complete_text

    make_run()
    options = {"prompt": "def ", "max_tokens": 8, "temperature": 1.0, "top_p": 0.9, "home": home}
    first, again, other = (complete_text("small", seed=seed, **options) for seed in (1, 1, 2))
    assert first == again
    assert first["text"] != other["text"]
    assert first["weights_sha256"] == find("small", home).weights_sha256
    shutil.rmtree(home.run("small") / "checkpoints")
    with pytest.raises(UsageError):
        complete_text("small", seed=1, **options)
