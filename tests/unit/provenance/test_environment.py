"""What is recorded of the environment: complete, without secrets, the same while nothing changes."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codex_ml.config.keys import flatten
from codex_ml.core.digest import canonical_json
from codex_ml.errors import IntegrityError
from codex_ml.provenance import machine
from codex_ml.provenance.env_compare import compare_environments
from codex_ml.provenance.environment import (
    ALLOWED_VARIABLES,
    capture_env,
    cpu_name,
    environment_digest,
    recorded_variables,
    usable_cores,
)
from codex_ml.provenance.pseudonyms import pseudonyms


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """The environment of these tests."""
    return capture_env()


def test_the_record_is_json_with_the_facts_of_this_machine(tmp_path: Path) -> None:
    record = capture_env(tmp_path / "not" / "yet")
    assert json.loads(canonical_json(record)) == record
    assert record["python"]["version"] == sys.version.split()[0]
    assert record["packages"]["numpy"]["version"] == __import__("numpy").__version__
    assert record["cpu"]["cores"] == usable_cores() >= 1
    assert record["cpu"]["name"] == cpu_name() != ""
    assert record["memory_bytes"] > 1 << 28
    assert record["moment"]["disk"]["free_bytes"] > 0


def test_capture_takes_no_longer_than_a_start_may_take() -> None:
    started = time.perf_counter()
    capture_env()
    assert time.perf_counter() - started < 1.5


def test_no_value_of_another_variable_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = "hunter2-" + "x" * 20
    names = (
        "AWS_SECRET_ACCESS_KEY",
        "CODEX_NAME",
        "HF_TOKEN",
        "LD_PRELOAD_NOTE",
        "TORCH_API_KEY",
        "HF_HUB_TOKEN",
    )
    for name in names:
        monkeypatch.setenv(name, planted)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    record = capture_env()
    assert planted not in json.dumps(record)
    assert record["variables"]["recorded"]["OMP_NUM_THREADS"] == "3"
    assert record["variables"]["others"] >= 4


def test_the_allow_list_takes_what_computes_and_nothing_that_names_places() -> None:
    taken = (
        *("OMP_NUM_THREADS", "MKL_CBWR", "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "NCCL_ALGO"),
        *("CUDA_VISIBLE_DEVICES", "TORCHINDUCTOR_MAX_AUTOTUNE", "PYTHONHASHSEED", "HF_HUB_OFFLINE"),
        *("SLURM_JOB_ID", "MALLOC_ARENA_MAX", "LANG"),
    )
    left = (
        "HOME",
        "USER",
        "PATH",
        "PYTHONPATH",
        "HF_TOKEN",
        "HF_HOME",
        "SLURM_NODELIST",
        "SSH_AUTH_SOCK",
        "HOSTNAME",
    )
    assert [name for name in taken if not ALLOWED_VARIABLES.fullmatch(name)] == []
    assert [name for name in left if ALLOWED_VARIABLES.fullmatch(name)] == []
    assert recorded_variables(dict.fromkeys((*taken, *left), "1"))["others"] == len(left)


def test_a_machine_without_proc_has_gaps_and_no_error(tmp_path: Path) -> None:
    record = capture_env(tmp_path, root=tmp_path)
    assert (record["cpu"]["flags_sha256"], record["cpu"]["isa"], record["cpu"]["vendor"]) == (None, [], None)
    assert record["cgroup"] == {"version": None, "memory_bytes": None, "cpus": None, "cpuset": None}
    assert record["moment"]["boot_id"] is None
    assert record["moment"]["disk"]["filesystem"] is None
    assert record["memory_bytes"] is not None  # the C library still knows
    assert record["system"]["distribution"] is None


def test_torch_is_described_only_when_it_is_loaded_or_asked_for(run) -> None:
    program = (
        "import sys, json; from codex_ml.provenance.environment import capture_env\n"
        "first = capture_env(); assert 'torch' not in sys.modules and first['torch'] is None\n"
        "sys.modules['torch'] = None; print(json.dumps(capture_env(load_torch=True)['torch']))"
    )
    done = run(sys.executable, "-c", program)
    assert done.code == 0, done.err
    assert done.json is None


@pytest.mark.needs("train")
def test_torch_is_described_by_build_and_capability() -> None:
    import torch

    found = capture_env(load_torch=True)["torch"]
    assert found["version"] == torch.__version__
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert found["commit"] == torch.version.git_version
    assert found["config"]["TORCH_VERSION"] in torch.__version__


def test_a_torch_that_fails_to_import_is_a_fact(tmp_path: Path, run) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so: cannot open')")
    program = (
        f"import sys, json; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from codex_ml.provenance.torch_build import torch_build; print(json.dumps(torch_build(load=True)))"
    )
    assert run(sys.executable, "-c", program).json == {"error": "OSError: libcudart.so: cannot open"}


# ---- the digest ----------------------------------------------------------------------------------


def test_the_digest_stays_while_only_the_moment_changes(monkeypatch) -> None:
    first = capture_env()
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    monkeypatch.setattr(machine, "boot_id", lambda _root: "another")
    second = {**capture_env(), "host": "other", "user": "other"}
    assert first != second
    assert environment_digest(first) == environment_digest(second)
    assert {row.effect for row in compare_environments(first, second)} == {"moment"}


@pytest.mark.parametrize(
    ("key", "effect"),
    [
        ("locks.uv.lock", "recorded"),
        ("packages.numpy.record_sha256", "bits"),
        ("packages.click.version", "recorded"),
        ("cpu.flags_sha256", "bits"),
        ("torch.version", "bits"),
        ("python.version", "bits"),
        ("system.kernel", "recorded"),
        ("variables.recorded.OMP_NUM_THREADS", "bits"),
    ],
)
def test_each_fact_changes_the_digest_and_is_told_by_what_it_can_do(
    key: str, effect: str, record: dict[str, Any]
) -> None:
    changed = json.loads(json.dumps(record))
    *path, last = key.split(".") if not key.startswith("locks.") else ("locks", key.removeprefix("locks."))
    place = changed
    for name in path:
        place[name] = place.get(name) or {}
        place = place[name]
    place[last] = "another"
    assert environment_digest(changed) != environment_digest(record)
    (row,) = [row for row in compare_environments(record, changed) if row.key == key]
    assert (row.effect, row.right) == (effect, "another")


def test_a_lock_file_of_the_working_directory_is_in_the_digest(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = capture_env()
    lock = tmp_path / "uv.lock"
    lock.write_text("numpy 2\n")
    with_lock = capture_env()
    lock.write_text("numpy 3\n")
    changed = capture_env()
    assert len({environment_digest(one) for one in (before, with_lock, changed)}) == 3
    assert [row.key for row in compare_environments(with_lock, changed) if row.effect != "moment"] == [
        "locks.uv.lock"
    ]


# ---- names ---------------------------------------------------------------------------------------


@pytest.fixture
def someone(monkeypatch, tmp_path: Path) -> Path:
    """A machine and user with telling names."""
    home = tmp_path / "home" / "ada.lovelace"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("getpass.getuser", lambda: "ada.lovelace")
    monkeypatch.setattr("platform.node", lambda: "analytical-engine")
    monkeypatch.chdir(home)
    return home


def test_host_user_and_home_have_stable_pseudonyms(someone: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(someone / "cache"))
    record = capture_env()
    text = json.dumps(record)
    for name in ("ada.lovelace", "analytical-engine", str(someone)):
        assert name not in text
    assert record["variables"]["recorded"]["TORCH_HOME"] == "~/cache"
    again = capture_env()
    assert (record["host"], record["user"]) == (again["host"], again["user"])
    assert record["host"].startswith("host-")
    assert record["user"].startswith("user-")


def test_names_are_recorded_as_they_are_when_asked(someone: Path, monkeypatch) -> None:
    monkeypatch.setenv("CODEX_NAMES", "plain")
    record = capture_env()
    assert (record["host"], record["user"]) == ("analytical-engine", "ada.lovelace")
    assert pseudonyms(plain=True).text(str(someone)) == str(someone)


def test_another_machine_has_other_pseudonyms(tmp_path: Path) -> None:
    seen = set()
    for number, content in enumerate(("a" * 32, "b" * 32)):
        root = tmp_path / str(number)
        (root / "etc").mkdir(parents=True)
        (root / "etc" / "machine-id").write_text(content)
        seen.add(pseudonyms(plain=False, root=root).host)
    assert len(seen) == 2


def test_words_that_contain_a_name_stay(someone: Path) -> None:
    names = pseudonyms(plain=False)
    kept = f"{someone}x/y analytical-engines /data/ada.lovelaces an ada.lovelace"
    assert names.text(kept) == kept
    assert names.text(f"cp {someone}/x /data/ada.lovelace/y") == f"cp ~/x /data/{names.user}/y"
    assert flatten(names.value({"a": [str(someone)]})) == {"a": ["~"]}


def test_what_a_run_sets_itself_and_how_a_new_package_is_told() -> None:
    def environment(variables: dict[str, str], packages: dict[str, str]) -> dict[str, object]:
        rows = {
            name: {"version": text, "origin": "index", "record_sha256": "ab"}
            for name, text in packages.items()
        }
        return {"variables": {"recorded": variables}, "packages": rows}

    run = environment({"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "OMP_NUM_THREADS": "2"}, {"numpy": "2.4.6"})
    here = environment({"OMP_NUM_THREADS": "1"}, {"numpy": "2.4.6", "rich": "15.0"})
    found = [(row.key, row.effect) for row in compare_environments(run, here)]
    assert found == [
        ("variables.recorded.OMP_NUM_THREADS", "bits"),
        ("packages.rich", "recorded"),
        ("variables.recorded.CUBLAS_WORKSPACE_CONFIG", "moment"),
    ]
    other = environment({"CUBLAS_WORKSPACE_CONFIG": ":0:0", "OMP_NUM_THREADS": "2"}, {"numpy": "2.4.6"})
    assert [row.effect for row in compare_environments(run, other)] == ["bits"]


@pytest.mark.parametrize("damaged", [{"packages": [1], "machine": "x"}, [], "x", None])
def test_what_is_no_record_of_an_environment_is_named(damaged: Any, record: dict[str, Any]) -> None:
    for pair in ((damaged, record), (record, damaged)):
        with pytest.raises(IntegrityError) as caught:
            compare_environments(*pair)
        assert caught.value.code == "run.damaged"
