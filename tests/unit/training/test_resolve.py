from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from codex_ml.errors import ConfigError

pytestmark = pytest.mark.needs("train")
LONG = "train.steps=100000000"


def test_a_device_that_is_not_there_is_refused(config_of) -> None:
    import torch

    from codex_ml.training.resolve import resolve, resolve_device

    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ConfigError) as caught:
        resolve(config_of(f"runtime.device={absent}"), vocab_size=512, before=None)
    assert caught.value.code == "config.device"
    assert f"runtime.device={absent}" in str(caught.value)
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


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

    from codex_ml.provenance.environment import usable_cores
    from codex_ml.training.resolve import cpu_has_bf16, resolve

    words = ("runtime.device=cpu", "runtime.dtype=auto", "runtime.threads=auto", "runtime.compile=auto")
    run = resolve(config_of(*words), vocab_size=512, before=None)
    assert run.threads == usable_cores()
    assert run.dtype == ("bfloat16" if cpu_has_bf16() else "float32")
    assert ("no native" in run.dtype_reason) == (not cpu_has_bf16())
    assert run.torch_dtype == (torch.bfloat16 if cpu_has_bf16() else torch.float32)
    assert run.compile is False
    assert "too short" in run.compile_reason


def test_emulated_bfloat16_is_run_and_warned_about(config_of, caplog: pytest.LogCaptureFixture) -> None:
    from codex_ml.training.resolve import cpu_has_bf16, resolve

    run = resolve(config_of("runtime.device=cpu", "runtime.dtype=bfloat16"), vocab_size=512, before=None)
    assert run.dtype == "bfloat16"
    assert ("emulated" in caplog.text) == (not cpu_has_bf16())


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
