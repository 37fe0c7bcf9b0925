from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.paths import Home
from codex_ml.errors import CodexError, DataError, StorageError, TrainingError
from codex_ml.pipeline.plan import Plan, check_plan, checkpoint_bytes, make_plan, memory_bytes, plan_text
from corpora import write_packages

pytestmark = pytest.mark.needs("train", "report")


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"data.path={write_packages(tmp_path / 'code', packages=3)}"


@pytest.fixture
def plan(source: str, tmp_path: Path, config_of) -> Plan:
    return make_plan(config_of("data.source=files", source, "data.include=[]"), home=Home(tmp_path / "home"))


# ---- plan ----------------------------------------------------------------------------------------


def test_the_plan_counts_what_the_run_will_read_and_train(plan: Plan, tmp_path: Path, config_of) -> None:
    from codex_ml.modeling.size import model_size

    config = config_of()
    files = list((tmp_path / "code").rglob("*.py"))
    assert plan.source_files == len(files)
    assert plan.source_bytes == sum(file.stat().st_size for file in files)
    assert plan.train_tokens == 40 * 8 * 64
    assert plan.parameters == model_size(config.model, vocab_size=512).parameters
    assert plan.matmul_gflops > 0.1
    assert plan.train_seconds > 0
    assert plan.disk_bytes > 4 * plan.checkpoint_bytes
    assert not (tmp_path / "home").exists()
    check_plan(plan)
    text = plan_text(plan)
    assert f"{plan.parameters:,}" in text and f"{plan.train_tokens:,}" in text


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_checkpoint_takes_the_disk_that_was_planned(
    optimizer: str, config_of, decoder_of, tmp_path: Path
) -> None:
    import torch

    from codex_ml.checkpointing import CheckpointManager, Retention
    from codex_ml.modeling.size import model_size
    from codex_ml.training.optim import Optimizers

    config = config_of(f"train.optimizer.name={optimizer}")
    model = decoder_of("model.context=64", vocab=512)
    optimizers = Optimizers(model, cfg=config.train)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizers.step()
    policy = Retention(2, 0, keep_every=0, metric="loss", mode="min")
    saved = CheckpointManager(tmp_path, policy=policy).save(
        1, model=model.state_dict(), optimizer=optimizers.tensors(), state={}, metrics={}
    )
    assert saved is not None
    size = sum(file.stat().st_size for file in saved.path.iterdir())
    planned = checkpoint_bytes(config, model_size(config.model, vocab_size=512))
    assert planned == pytest.approx(size, rel=0.1)


def test_memory_falls_with_shards_and_with_recomputation(config_of) -> None:
    from codex_ml.modeling.size import model_size

    def needed(*words: str) -> int:
        config = config_of("model.layers=8", "train.batch_size=32", *words)
        return memory_bytes(config, model_size(config.model, vocab_size=512))

    assert needed("runtime.shards=4") < needed()
    assert needed("train.activation_checkpointing=true") < needed()


def test_what_memory_or_disk_cannot_hold_is_refused(plan: Plan) -> None:
    cases: list[tuple[dict[str, int], type[CodexError], str]] = [
        ({"memory_available": plan.memory_bytes - 1}, TrainingError, "plan.memory"),
        ({"disk_free": plan.disk_bytes - 1}, StorageError, "plan.disk"),
    ]
    for change, kind, code in cases:
        with pytest.raises(kind) as caught:
            check_plan(dataclasses.replace(plan, **change))
        assert caught.value.code == code
        assert caught.value.exit_code == 1
    check_plan(dataclasses.replace(plan, memory_available=plan.memory_bytes, disk_free=plan.disk_bytes))


def test_a_source_that_is_not_there_has_no_plan(config_of, tmp_path: Path) -> None:
    config = config_of("data.source=files", f"data.path={tmp_path / 'none'}", "data.include=[]")
    with pytest.raises(DataError):
        make_plan(config, home=Home(tmp_path))


# ---- doctor --------------------------------------------------------------------------------------


def examined(config: Any, home: Path) -> dict[str, Any]:
    from codex_ml.pipeline.doctor import examine

    found = examine(config, home=Home(home))
    named = {f"{item.topic}/{item.name}": item for item in found}
    assert len(named) == len(found), "a thing is told twice"
    return named


def test_a_sound_machine_has_nothing_harmful(config_of, tmp_path: Path) -> None:
    found = examined(config_of(), tmp_path / "home")
    assert [name for name, item in found.items() if item.harmful] == []
    assert found["packages/torch"].state == "ok" and found["packages/torch"].needed
    assert not found["packages/ruff"].needed
    assert found["components/models/decoder"].detail == "loads"
    assert not (tmp_path / "home").exists()


def test_what_the_config_asks_for_and_is_not_there_is_harmful(config_of, tmp_path: Path, monkeypatch) -> None:
    import torch

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    found = examined(config_of(), tmp_path)
    assert (found["machine/c++"].state, found["machine/c++"].harmful) == ("absent", False)
    found = examined(config_of("runtime.compile=true", "runtime.device=cuda"), tmp_path)
    assert found["machine/c++"].harmful
    assert found["machine/gpu"].harmful == (not torch.cuda.is_available())


def test_a_place_that_cannot_be_written_is_told(config_of, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (Path("/proc/codex"), Path("/sys/codex"), tmp_path / "file" / "inside"):
        found = examined(config_of(), place)
        assert found["workspace/runs"].harmful, place
        assert "CODEX_HOME" in found["workspace/runs"].detail


def test_an_absent_package_of_a_needed_extra_is_harmful_and_says_how_to_install_it(monkeypatch) -> None:
    from codex_ml.pipeline.doctor import _package

    absent = _package("codex-surely-absent", "train")
    assert absent.harmful and absent.state == "absent"
    assert 'pip install "codex-ml[train]"' in absent.detail
    assert not _package("codex-surely-absent", "dev").harmful
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    broken = _package("tiktoken", "train")
    assert broken.state != "ok" and broken.harmful
