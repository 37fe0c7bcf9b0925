from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from codex_ml.errors import ConfigError

pytestmark = pytest.mark.needs("train")
LONG = "train.steps=100000000"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def among(monkeypatch: pytest.MonkeyPatch, workers: int, *, here: int | None = None) -> None:
    """This process is the last of *workers*, of which *here* share its machine."""
    values = {
        "RANK": workers - 1,
        "WORLD_SIZE": workers,
        "LOCAL_RANK": 0,
        "LOCAL_WORLD_SIZE": here or workers,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


def test_a_device_that_is_not_there_is_refused(config_of) -> None:
    import torch

    from codex_ml.modeling.device import choose_device
    from codex_ml.training.resolve import resolve

    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ConfigError) as caught:
        resolve(config_of(f"runtime.device={absent}"), vocab_size=512, before=None)
    assert caught.value.code == "config.device"
    assert f"the device {absent} is not there" in str(caught.value)
    assert choose_device("cpu")[0] == "cpu"
    assert choose_device("auto")[0] == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_what_is_asked_for_is_what_runs_and_says_so(config_of) -> None:
    import torch

    from codex_ml.training.resolve import resolve

    words = ("runtime.device=cpu", "runtime.dtype=float32", "runtime.compile=false", "runtime.threads=3")
    run = resolve(config_of(*words), vocab_size=512, before=None)
    assert (run.device, run.dtype, run.compile, run.threads) == ("cpu", "float32", False, 3)
    assert (run.dtype_reason, run.compile_reason) == ("asked for", "asked for")
    assert run.torch_dtype == torch.float32
    assert run.torch_build == torch.__version__
    assert json.loads(json.dumps(run.as_dict()))["cpu_capability"] == run.cpu_capability


def test_auto_takes_what_this_machine_has_and_gives_its_reason(config_of) -> None:
    import torch

    from codex_ml.modeling.device import cpu_has_bf16
    from codex_ml.provenance.environment import usable_cores
    from codex_ml.training.resolve import resolve

    words = ("runtime.device=cpu", "runtime.dtype=auto", "runtime.threads=auto", "runtime.compile=auto")
    run = resolve(config_of(*words), vocab_size=512, before=None)
    assert run.threads == usable_cores()
    assert run.dtype == ("bfloat16" if cpu_has_bf16() else "float32")
    assert ("no native" in run.dtype_reason) == (not cpu_has_bf16())
    assert run.torch_dtype == (torch.bfloat16 if cpu_has_bf16() else torch.float32)
    assert run.compile is False
    assert "too short" in run.compile_reason


def test_emulated_bfloat16_is_run_and_said_to_be_slow(config_of) -> None:
    from codex_ml.modeling.device import cpu_has_bf16
    from codex_ml.training.resolve import resolve

    run = resolve(config_of("runtime.device=cpu", "runtime.dtype=bfloat16"), vocab_size=512, before=None)
    assert run.dtype == "bfloat16"
    assert ("emulated" in run.dtype_reason) == (not cpu_has_bf16())


# ---- several workers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("determinism", "workers"),
    [
        *[("exact", workers) for workers in (1, 2, 4, 8)],
        *[("elastic", workers) for workers in (1, 2, 4, 8)],
        *[("fast", workers) for workers in (1, 2, 4, 8)],
    ],
)
def test_workers_that_share_the_shards_evenly_are_taken(determinism: str, workers: int, config_of) -> None:
    from codex_ml.training.resolve import check_workers

    config = config_of(f"runtime.determinism={determinism}", "runtime.shards=8", "train.batch_size=24")
    check_workers(config, workers)


@pytest.mark.parametrize(
    ("determinism", "shards", "workers"),
    [("exact", 8, 3), ("fast", 8, 5), ("elastic", 8, 16), ("elastic", 8, 3), ("exact", 1, 2)],
)
def test_workers_that_cannot_share_the_shards_are_refused(
    determinism: str, shards: int, workers: int, config_of
) -> None:
    from codex_ml.training.resolve import check_workers

    words = (f"runtime.determinism={determinism}", f"runtime.shards={shards}", "train.batch_size=24")
    with pytest.raises(ConfigError) as caught:
        check_workers(config_of(*words), workers)
    assert caught.value.code == "config.workers"
    assert f"runtime.shards={shards}, {workers} workers" in str(caught.value)


def test_exact_workers_that_the_tree_cannot_add_up_are_refused(config_of) -> None:
    """Recursive doubling pairs ranks: with three workers the last one has no partner."""
    from codex_ml.training.resolve import check_workers

    words = ("runtime.shards=6", "train.batch_size=24")
    with pytest.raises(ConfigError) as caught:
        check_workers(config_of("runtime.determinism=exact", *words), 3)
    assert caught.value.code == "config.workers"
    check_workers(config_of("runtime.determinism=fast", *words), 3)


def test_the_number_of_workers_is_resolved_and_checked(config_of, monkeypatch: pytest.MonkeyPatch) -> None:
    from codex_ml.training.resolve import resolve

    words = ("runtime.device=cpu", "runtime.shards=4", "train.batch_size=8")
    assert resolve(config_of(*words), vocab_size=512, before=None).workers == 1
    among(monkeypatch, 4)
    assert resolve(config_of(*words), vocab_size=512, before=None).workers == 4
    among(monkeypatch, 8)
    with pytest.raises(ConfigError) as caught:
        resolve(config_of(*words), vocab_size=512, before=None)
    assert caught.value.code == "config.workers"


def test_elastic_runs_take_one_thread_and_others_share_the_cores_of_their_machine(
    config_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.training import resolve as module

    monkeypatch.setattr(module, "usable_cores", lambda: 12)
    elastic, exact = (
        config_of(f"runtime.determinism={name}", "runtime.threads=auto") for name in ("elastic", "exact")
    )
    found = []
    for workers, here in ((1, 1), (2, 2), (8, 4), (32, 32)):
        among(monkeypatch, workers, here=here)
        found.append((module.resolve_threads(elastic), module.resolve_threads(exact)))
    assert found == [(1, 12), (1, 6), (1, 3), (1, 1)]


def test_threads_that_are_asked_for_are_those_of_every_worker(
    config_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.training.resolve import resolve_threads

    for workers in (1, 4):
        among(monkeypatch, workers)
        for name in ("elastic", "exact", "fast"):
            assert resolve_threads(config_of(f"runtime.determinism={name}", "runtime.threads=3")) == 3


PROGRAM = """
import json, sys
from codex_ml.config.compose import compose
from codex_ml.errors import ConfigError
from codex_ml.training.resolve import resolve
found = []
for words in json.loads(sys.argv[1]):
    try:
        config = compose(["experiment=tiny", "runtime.device=cpu", *words], environ={}).config
        run = resolve(config, vocab_size=512, before=None)
        found.append([run.compile, run.compile_reason])
    except ConfigError as error:
        found.append([error.code, str(error)])
print(json.dumps(found))
"""


def test_without_a_compiler_auto_runs_eagerly_and_true_is_refused(tmp_path: Path, run) -> None:
    asked = [["runtime.compile=auto", LONG], ["runtime.compile=true"], ["runtime.compile=false"]]
    env = {
        "PATH": str(tmp_path),
        "CXX": str(tmp_path / "g++"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = run(sys.executable, "-c", PROGRAM, json.dumps(asked), env=env)
    assert done.code == 0, done.err
    auto, true, false = json.loads(done.out)
    assert auto[0] is False
    assert "no compiler works here" in auto[1]
    assert true[0] == "config.compile"
    assert "g++" in true[1] and len(true[1].splitlines()) == 1
    assert false == [False, "asked for"]
