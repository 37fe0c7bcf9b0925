"""A package from outside, really installed: its parts are found, used, recorded, refused, and break alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from codex_ml.provenance.schema import run_schema
from conftest import Result

pytestmark = pytest.mark.needs("train", "report")
ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., Result]
TINY = (
    *("experiment=tiny", "tokenizer.vocab_size=300", "data.group_depth=1", "train.steps=4", "--json"),
    *("train.schedule.warmup_steps=1", "checkpoint.every=2", "eval.every=4", "eval.max_rows=8"),
)


def install(source: Path, site: Path) -> None:
    """As pip would, without a network: built by the backend that is here."""
    words = [
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(site),
        str(source),
    ]
    subprocess.run([sys.executable, "-m", "uv", *words], check=True, capture_output=True)


def distribution(site: Path, name: str, points: str, source: str) -> None:
    """A package of one module, as an installer leaves it."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    (site / f"{name}.py").write_text(source)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of this repository, copied, built and installed beside everything else."""
    room = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "examples" / "plugin", room / "source")
    install(room / "source", room / "installed")
    return room / "installed"


@pytest.fixture
def call(cli_of: Callable[..., Run], site: Path, tmp_path: Path) -> Run:
    return cli_of(site, home=tmp_path)


@pytest.fixture(scope="module")
def cli_of() -> Callable[..., Run]:
    from conftest import run_program

    def made(*sites: Path, home: Path) -> Run:
        path = os.pathsep.join([*map(str, sites), *filter(None, [os.environ.get("PYTHONPATH")])])

        def call(*words: str | Path, **env: str) -> Result:
            merged = {"CODEX_HOME": str(home), "PYTHONPATH": path, **env}
            return run_program(sys.executable, "-m", "codex_ml", *words, cwd=home, env=merged)

        return call

    return made


def test_its_own_tests_pass(site: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        str(site.parent / "source" / "tests"),
    ]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env, cwd=site.parent)
    assert done.returncode == 0, done.stdout
    assert "11 passed" in done.stdout


def test_every_part_is_listed_loads_and_conforms(call: Run) -> None:
    listed = call("plugins", "ls", "--json").json["plugins"]
    assert {f"{row['kind']}/{row['name']}" for row in listed} == {
        *("audit_rules/print-in-library", "commands/count-lines", "config_groups/codex-example"),
        *("data_sources/numbered", "metrics/prefix_match", "reward_models/brevity", "trackers/lines"),
    }
    assert all((row["distribution"], row["version"]) == ("codex-example", "0.1.0") for row in listed)
    assert call("plugins", "doctor", "--json").json["broken"] == 0
    assert call("plugins", "check", "lines", "--json").json["failed"] == 0
    assert len(call("plugins", "info", "numbered", "--json").json["sha256"]) == 64


def test_a_run_uses_its_parts_and_records_them(
    call: Run, tmp_path: Path, site: Path, cli_of: Callable[..., Run]
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    for number in range(40):
        body = "\n".join(
            f"def function_{number}_{line}(value):\n    return value + {line}\n" for line in range(30)
        )
        (folder / f"module_{number}.py").write_text(body)
    words = (
        "train",
        *TINY,
        "data.source=numbered",
        "data.include=['**/*.py']",
        f"data.path='{folder}'",
        "tracking.sinks=[ndjson,lines]",
        "train=patient",
    )
    done = call(*words, "name=mine")
    assert done.code == 0, done.err
    run = tmp_path / "runs" / "mine"
    assert "loss" in (run / "lines.txt").read_text()
    record = json.loads((run / "run.json").read_text())
    jsonschema.validate(record, run_schema())
    assert record["config"]["train"]["lr"] == 1e-4
    named = {f"{row['kind']}/{row['name']}": row for row in record["provenance"]["plugins"]}
    assert sorted(named) == ["data_sources/numbered", "trackers/lines"]
    assert named["data_sources/numbered"]["version"] == "0.1.0"
    assert sorted(key for key in record["inputs"] if key.startswith("plugins.")) == [
        "plugins.data_sources/numbered"
    ]
    refused = call(*words, "name=mine", "plugins.allow=[other]")
    assert (refused.code, refused.json["error"]["code"]) == (2, "config.plugin")
    hidden = call("config", "validate", "data.source=numbered", "--json", CODEX_PLUGINS="none")
    assert (hidden.code, hidden.json["error"]["code"]) == (2, "registry.not-found")
    changed = tmp_path / "changed"
    shutil.copytree(site.parent / "source", changed)
    source = changed / "src" / "codex_example" / "source.py"
    source.write_text(source.read_text() + "# another byte\n")
    install(changed, tmp_path / "other")
    other = cli_of(tmp_path / "other", home=tmp_path)(*words, "name=mine")
    assert other.code == 2
    assert "inputs.plugins.data_sources/numbered" in other.err


def test_its_command_rule_and_options_are_those_of_the_program(call: Run, tmp_path: Path) -> None:
    (tmp_path / "three.txt").write_text("1\n2\n3\n")
    assert call("count-lines", "three.txt", "--json").json == {"three.txt": 3}
    assert "count-lines" in call("--help").out
    assert "print-in-library" in call("audit", "rules").out
    assert call("config", "validate", "train=patient", "--json").code == 0
    assert "patient" in call("config", "validate", "train=patint").err


#: module -> (entry points, source).
BROKEN = {
    "broken_import": (
        "[codex_ml.trackers]\nbroken = broken_import:Any\n",
        "raise RuntimeError('by design')\n",
    ),
    "broken_version": (
        "[codex_ml.metrics]\nold = broken_version:old\n",
        "CODEX_ML_CONTRACT = 99\ndef old(): pass\n",
    ),
    "broken_kind": ("[codex_ml.commands]\nno-command = broken_kind:value\n", "value = 3\n"),
    "broken_nowhere": ("[codex_ml.callbacks]\nlost = broken_nowhere:absent\n", ""),
    "broken_group": ("[codex_ml.trakers]\nlost = broken_group:absent\n", ""),
    "broken_name": (
        "[codex_ml.trackers]\ncsv = broken_name:Csv\n[codex_ml.commands]\ntrain = broken_name:Csv\n",
        "class Csv: pass\n",
    ),
    "broken_options": ("[codex_ml.config_groups]\ngone = broken_options.nothing\n", ""),
}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    for name, (points, source) in BROKEN.items():
        distribution(tmp_path / "broken", name, points, source)
    return tmp_path / "broken"


def test_broken_plugins_are_named_and_harm_nothing_else(
    broken: Path, site: Path, cli_of: Callable[..., Run], tmp_path: Path
) -> None:
    call = cli_of(broken, site, home=tmp_path)
    found = call("plugins", "doctor", "--json")
    assert found.code == 1
    errors: dict[str, Any] = {f"{row['kind']}/{row['name']}": row["error"] for row in found.json["plugins"]}
    assert "by design" in errors["trackers/broken"]
    assert "another version" in errors["metrics/old"]
    assert "no-command" in errors["commands/no-command"]
    assert "no attribute 'absent'" in errors["callbacks/lost"]
    assert "built in" in errors["trackers/csv"]
    assert "broken_name" in errors["trackers/csv"]
    assert "built in" in errors["commands/train"]
    assert errors["config_groups/gone"] is not None
    assert found.json["unknown"] == ["codex_ml.trakers: lost = broken_group:absent"]
    assert [name for name, error in errors.items() if error is None] == [
        *("audit_rules/print-in-library", "commands/count-lines", "config_groups/codex-example"),
        *("data_sources/numbered", "metrics/prefix_match", "reward_models/brevity", "trackers/lines"),
    ]
    listing = call("--help")
    assert listing.code == 0
    assert "no-command" in listing.out
    failed = call("no-command", "--json")
    assert failed.code == 2
    assert "Traceback" not in failed.err
    refused = call("config", "validate", "train=patient", "--json")
    assert "'csv' among the trackers is claimed more than once" in refused.err
    some = {"CODEX_PLUGINS": "codex-example, broken_import, broken_options"}
    assert call("config", "validate", "train=patient", "--json", **some).code == 0


def test_two_plugins_with_one_option_are_refused_by_both_files(
    site: Path, cli_of: Callable[..., Run], tmp_path: Path
) -> None:
    clash = tmp_path / "clash"
    distribution(clash, "clashing", "[codex_ml.config_groups]\nclashing = clash_configs\n", "")
    (clash / "clash_configs" / "train").mkdir(parents=True)
    (clash / "clash_configs" / "__init__.py").write_text("")
    (clash / "clash_configs" / "train" / "patient.yaml").write_text("lr: 1.0\n")
    done = cli_of(clash, site, home=tmp_path)("config", "validate", "experiment=tiny", "--json")
    assert done.code == 2
    assert "clash_configs/train/patient.yaml" in done.err
    assert "codex_example/configs/train/patient.yaml" in done.err


def test_components_by_path_are_used_under_their_names(call: Run, tmp_path: Path) -> None:
    example = ROOT / "src" / "codex_ml" / "configs" / "interfaces.example.yaml"
    words = ("config", "validate", "experiment=tiny", "data.source=files-by-path", "data.path=.", "--json")
    assert call(*words, "tracking.sinks=[ndjson,csv-by-path]", CODEX_INTERFACES_CFG=str(example)).code == 0
    assert call(*words).code == 2
    path, kwargs = "codex_example.tracker:LinesTracker", json.dumps({"a": 1})
    named = {"CODEX_TRACKER_PATH": path, "CODEX_TRACKER_KWARGS": kwargs}
    assert (
        call(
            "config", "validate", "experiment=tiny", "tracking.sinks=[ndjson,custom]", "--json", **named
        ).code
        == 0
    )
    for wrong in ({"CODEX_RL_PATH": "nothing"}, {"CODEX_REWARD_PATH": path, "CODEX_REWARD_KWARGS": "{"}):
        done = call("config", "validate", "experiment=tiny", "--json", **wrong)
        assert done.code == 2
        assert "config.interfaces" in done.err


KINDS = ("tokenizer", "metric", "model", "data-source", "reward", "agent", "tracker", "callback", "rule")


def test_every_kind_of_scaffold_is_code_that_works_and_a_test_that_passes(
    cli_of: Callable[..., Run], tmp_path: Path
) -> None:
    plain = cli_of(home=tmp_path)
    assert plain("scaffold", "plugin", "my-parts", "--json").code == 0
    for kind in KINDS:
        shown = plain("scaffold", kind, f"my-{kind}", "--dir", "my-parts", "--dry-run")
        assert f'+my-{kind} = "my_parts.my_{kind.replace("-", "_")}:' in shown.out
        done = plain("scaffold", kind, f"my-{kind}", "--dir", "my-parts", "--json")
        assert done.code == 0, done.err
    package = tmp_path / "my-parts"
    assert len(list((package / "tests").iterdir())) == len(KINDS)
    assert plain("scaffold", "--check", "--dir", "my-parts", "--json").json["drift"] == []
    install(package, tmp_path / "installed")
    call = cli_of(tmp_path / "installed", home=tmp_path)
    found = call("plugins", "doctor", "--json").json
    assert (len(found["plugins"]), found["broken"]) == (len(KINDS), 0)
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "installed"), os.environ.get("PYTHONPATH", "")])
    }
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        str(package / "tests"),
    ]
    tested = subprocess.run(words, capture_output=True, text=True, check=False, env=env, cwd=package)
    assert tested.returncode == 0, tested.stdout
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "110", "."]
    linted = subprocess.run(ruff, capture_output=True, text=True, check=False, cwd=package)
    assert linted.stdout.strip() == "All checks passed!"


def test_nothing_is_overwritten_and_drift_is_told(cli_of: Callable[..., Run], tmp_path: Path) -> None:
    call = cli_of(home=tmp_path)
    call("scaffold", "plugin", "my-parts")
    assert call("scaffold", "metric", "exact", "--dir", "my-parts").code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "my-parts").rglob("*") if path.is_file()}
    for words in (("metric", "exact"), ("tracker", "exact")):
        done = call("scaffold", *words, "--dir", "my-parts")
        assert done.code == 2
        assert "scaffold.exists" in done.err
    assert call("scaffold", "plugin", "my-parts").code == 2
    assert call("scaffold", "metric", "1st", "--dir", "my-parts").code == 2
    assert call("scaffold", "metric", "class", "--dir", "my-parts").code == 2
    assert call("scaffold", "metric", "mine", "--dir", ".").code == 2
    assert {
        path: path.read_bytes() for path in (tmp_path / "my-parts").rglob("*") if path.is_file()
    } == before
    module = tmp_path / "my-parts" / "src" / "my_parts" / "exact.py"
    module.write_text(module.read_text() + "# mine\n")
    edited = call("scaffold", "--check", "--dir", "my-parts", "--json")
    assert edited.code == 0
    assert [row["what"] for row in edited.json["drift"]] == ["src/my_parts/exact.py was edited"]
    module.unlink()
    project = tmp_path / "my-parts" / "pyproject.toml"
    gone = call("scaffold", "--check", "--dir", "my-parts", "--json")
    assert gone.code == 3
    assert {row["what"] for row in gone.json["drift"]} == {
        "src/my_parts/exact.py is gone",
        "my_parts.exact:exact leads nowhere",
    }
    project.write_text(project.read_text().replace("codex_ml.metrics", "codex_ml.metriks"))
    told = " ".join(
        row["what"] for row in call("scaffold", "--check", "--dir", "my-parts", "--json").json["drift"]
    )
    assert "does not register it in codex_ml.metrics" in told
    assert "there is no such group" in told
