"""A package from outside, really installed: its parts are found, used, recorded, refused, and break alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
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
    words = ["pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([sys.executable, "-m", "uv", *words, site, source], check=True, capture_output=True)


def tool(*words: str | Path, cwd: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """``python -m words…`` in *cwd* with what is installed in *site*."""
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    env = os.environ | {"PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        cwd=cwd,
    )


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


@pytest.fixture(scope="session")
def cli_of(cli: Callable[..., Result]) -> Callable[..., Run]:
    """The program with *sites* on its path, in *home*, where ``runs/`` is too."""

    def made(*sites: Path, home: Path) -> Run:
        path = os.pathsep.join([*map(str, sites), *filter(None, [os.environ.get("PYTHONPATH")])])

        def call(*words: str | Path, **env: str) -> Result:
            return cli(home / "home", *words, env={"CODEX_HOME": str(home), "PYTHONPATH": path, **env})

        return call

    return made


def test_its_own_tests_pass(site: Path) -> None:
    words = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = tool(*words, site.parent / "source" / "tests", cwd=site.parent, site=site)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout


def test_every_part_is_listed_loads_and_conforms(call: Run) -> None:
    listed = call("plugins", "ls", "--json").json["plugins"]
    assert {f"{row['kind']}/{row['name']}" for row in listed} == {
        *("audit_rules/print-in-library", "callbacks/watch", "commands/count-lines"),
        *("config_groups/codex-example", "data_sources/numbered", "metrics/prefix_match"),
        *("reward_models/brevity", "trackers/lines"),
    }
    assert all((row["distribution"], row["version"]) == ("codex-example", "0.1.0") for row in listed)
    assert call("plugins", "doctor", "--json").json["broken"] == 0
    assert call("plugins", "check", "lines", "--json").json["failed"] == 0
    assert len(call("plugins", "info", "numbered", "--json").json["sha256"]) == 64


def given(room: Path) -> tuple[str]:
    """A folder of Python files, named as the data of a run."""
    folder = room / "given"
    folder.mkdir()
    for number in range(40):
        functions = (f"def f_{number}_{line}(value):\n    return value + {line}\n" for line in range(30))
        (folder / f"module_{number}.py").write_text("\n".join(functions))
    return (f"data.path='{folder}'",)


def test_a_run_uses_its_parts_and_records_them(
    call: Run, tmp_path: Path, site: Path, cli_of: Callable[..., Run]
) -> None:
    words = (
        *("train", *TINY, "name=mine", "data.source=numbered", "data.include=['**/*.py']", *given(tmp_path)),
        *("tracking.sinks=[ndjson,lines,callback:watch]", "train=patient"),
    )
    done = call(*words)
    assert done.code == 0, done.err
    run = tmp_path / "runs" / "mine"
    assert "loss" in (run / "lines.txt").read_text()
    record = json.loads((run / "run.json").read_text())
    jsonschema.validate(record, run_schema())
    assert record["config"]["train"]["lr"] == 1e-4
    named = {f"{row['kind']}/{row['name']}": row for row in record["provenance"]["plugins"]}
    assert sorted(named) == ["callbacks/watch", "data_sources/numbered", "trackers/lines"]
    assert {row["distribution"] for row in named.values()} == {"codex-example"}
    assert named["data_sources/numbered"]["version"] == "0.1.0"
    assert sorted(key for key in record["inputs"] if key.startswith("plugins.")) == [
        "plugins.data_sources/numbered"
    ]
    health = json.loads((run / "trackers.json").read_text())
    assert {name: health[name]["state"] for name in ("lines", "callback:watch")} == {
        "lines": "ok",
        "callback:watch": "ok",
    }
    for allowed in ("[]", "[other]"):
        refused = call(*words, f"plugins.allow={allowed}")
        assert (refused.code, refused.json["error"]["code"]) == (2, "config.plugin")
        assert "add codex-example to plugins.allow" in refused.err
    hidden = call("config", "validate", "data.source=numbered", "--json", CODEX_PLUGINS="none")
    assert (hidden.code, hidden.json["error"]["code"]) == (2, "registry.not-found")
    changed = tmp_path / "changed"
    shutil.copytree(site.parent / "source", changed)
    source = changed / "src" / "codex_example" / "source.py"
    source.write_text(source.read_text() + "# another byte\n")
    install(changed, tmp_path / "other")
    other = cli_of(tmp_path / "other", home=tmp_path)(*words)
    assert other.code == 2
    assert "inputs.plugins.data_sources/numbered" in other.err


def test_its_command_rule_and_options_are_those_of_the_program(call: Run, tmp_path: Path) -> None:
    (tmp_path / "three.txt").write_text("1\n2\n3\n")
    assert call("count-lines", "three.txt", "--json").json == {"three.txt": 3}
    assert "count-lines" in call("--help").out
    assert "print-in-library" in call("audit", "rules").out
    (tmp_path / "audited").mkdir()
    (tmp_path / "audited" / "library.py").write_text("def report(value):\n    print(value)\n")
    report = call("audit", "audited", "--format", "json", "--date", "2026-01-02")
    assert report.code == 0, report.err
    found = {row["rule"]: row["evidence"] for row in json.loads(report.out)["snapshot"]["findings"]}
    assert [(one["path"], one["line"]) for one in found["print-in-library"]] == [("library.py", 2)]
    without = call("audit", "audited", "--format", "json", "--date", "2026-01-02", CODEX_PLUGINS="none")
    assert "print-in-library" not in without.out
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
    "broken_call": (
        "[codex_ml.commands]\nbreaks = broken_call:command\n",
        "import click\n@click.command(help='Break.')\ndef command(): raise KeyError('by design')\n",
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
        *("audit_rules/print-in-library", "callbacks/watch", "commands/breaks", "commands/count-lines"),
        *("config_groups/codex-example", "data_sources/numbered", "metrics/prefix_match"),
        *("reward_models/brevity", "trackers/lines"),
    ]
    listing = call("--help")
    assert listing.code == 0
    assert "no-command" in listing.out
    assert call("count-lines", "--help").code == 0
    fault = call("breaks")
    assert (fault.code, "a fault of the plugin broken_call 1.0: KeyError: 'by design'" in fault.err) == (
        1,
        True,
    )
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


def test_components_by_path_train_under_their_names_and_are_recorded(call: Run, tmp_path: Path) -> None:
    named = {"CODEX_INTERFACES_CFG": str(ROOT / "src" / "codex_ml" / "configs" / "interfaces.example.yaml")}
    words = ("data.source=files-by-path", "data.include=['**/*.py']", *given(tmp_path), "name=mine")
    sinks = "tracking.sinks=[ndjson,tensorboard-by-path]"
    done = call("train", *TINY, *words, sinks, **named)
    assert done.code == 0, done.err
    run = tmp_path / "runs" / "mine"
    assert list((run / "tensorboard").glob("events.out.*"))
    record = json.loads((run / "run.json").read_text())
    jsonschema.validate(record, run_schema())
    rows = {row["name"]: (row["target"], row["distribution"]) for row in record["provenance"]["plugins"]}
    assert rows == {
        "files-by-path": ("codex_ml.data.sources.files:FilesSource", "(by path)"),
        "tensorboard-by-path": ("codex_ml.tracking.tensorboard_sink:TensorBoardTracker", "(by path)"),
    }
    assert "plugins.data_sources/files-by-path" in record["inputs"]
    assert call("train", *TINY, *words, sinks).json["error"]["code"] == "registry.not-found"
    other = {**named, "CODEX_DATA_SOURCE_PATH": "codex_example.source:NumberedSource"}
    assert call("config", "validate", *words, "data.source=custom", "--json", **other).code == 0


def test_variables_name_components_that_are_listed_loaded_and_checked(call: Run) -> None:
    named = {
        "CODEX_REWARD_PATH": "codex_example.reward:BrevityReward",
        "CODEX_REWARD_KWARGS": json.dumps({"free": 3}),
        "CODEX_TOKENIZER_PATH": "codex_ml.tokenization.hf_tokenizer:HFTokenizerAdapter",
        "CODEX_RL_PATH": "codex_ml.interfaces.agent:RLAgent",
    }
    listed = call("plugins", "ls", "--json", **named).json["plugins"]
    by_path = {row["kind"]: row["target"] for row in listed if row["name"] == "custom"}
    assert sorted(by_path) == ["reward_models", "rl_agents", "tokenizers"]
    assert by_path["reward_models"] == "codex_example.reward:BrevityReward"
    assert call("plugins", "doctor", "--json", **named).json["broken"] == 0
    assert call("plugins", "check", "reward_models/custom", "--json", **named).json["failed"] == 0
    wrong = {**named, "CODEX_REWARD_KWARGS": json.dumps({"fre": 3})}
    (row,) = [row for row in call("plugins", "doctor", "--json", **wrong).json["plugins"] if row["error"]]
    assert "registry.arguments" in row["error"]
    assert "'fre'" in row["error"]


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
    site = tmp_path / "installed"
    words = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests")
    tested = tool(*words, cwd=package, site=site)
    assert tested.returncode == 0, tested.stdout
    ruff = ("ruff", "check", "--isolated", "--line-length", "110", "--select", "E,F,I,B,UP,SIM,PT,RUF", ".")
    assert tool(*ruff, cwd=package, site=site).stdout.strip() == "All checks passed!"
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        "[mypy]\nstrict = true\nfollow_imports = silent\nmypy_path = src\n"
        "[mypy-torch.*,pydantic.*,hydra.*,omegaconf.*,transformers.*]\nfollow_imports = skip\n"
    )
    mypy = ("mypy", "--config-file", settings, "--cache-dir", os.devnull, "src", "tests")
    typed = tool(*mypy, cwd=package, site=tmp_path)
    assert typed.returncode == 0, typed.stdout


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


def test_the_wheel_holds_what_is_no_python(tmp_path: Path) -> None:
    """Templates, options and schemas, as the package has them here."""
    build = (
        "uv",
        "build",
        "--quiet",
        "--offline",
        "--no-build-isolation",
        "--wheel",
        "--out-dir",
        tmp_path,
        ROOT,
    )
    done = tool(*build, cwd=tmp_path, site=tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    patterns = ("scaffold/templates/*.txt", "configs/**/*.yaml", "**/*.schema.json", "**/*.css")
    wanted = [path for pattern in patterns for path in (source / "codex_ml").glob(pattern)]
    assert len(wanted) > 50
    assert {path.relative_to(source).as_posix() for path in wanted} <= held
