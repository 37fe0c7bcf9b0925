"""One run in a repository full of secrets: none leaves a trace, and its facts are where they belong."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from codex_ml.core.paths import Home
from codex_ml.core.safetensors_metadata import read_metadata
from codex_ml.provenance.facts import METADATA_PREFIX, run_facts
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.provenance.schema import run_schema
from conftest import THREADS, Result, run_program
from planted import PLANTED, TOKENS, UNDER_KEYS, Planted

pytestmark = pytest.mark.needs("train", "report")

TINY = (
    *(
        "experiment=tiny",
        "tokenizer.vocab_size=300",
        "data.source=files",
        "data.include=['**/*.py']",
        "data.group_depth=1",
    ),
    *(
        "train.steps=6",
        "train.schedule.warmup_steps=1",
        "checkpoint.every=3",
        "eval.every=3",
        "eval.max_rows=8",
    ),
)
#: Each secret stands in one place alone, so that no other net covers for a hole.
ENVIRONMENT, DIFF = TOKENS[:5] + UNDER_KEYS[:5], TOKENS[5:25] + UNDER_KEYS[5:12]
UNTRACKED, LOG = TOKENS[25:32] + UNDER_KEYS[12:14], TOKENS[32:38] + UNDER_KEYS[14:16]
#: A password of this process that stands in the change and the log only encoded, within other text.
SHORT = Planted("S3cr3t!9", "")
SHORT_FORMS = tuple(
    base64.b64encode(before + b"S3cr3t!9").decode().rstrip("=") for before in (b"", b"x", b"yz")
)
REMOTES, CALL = TOKENS[38:] + UNDER_KEYS[16:17], UNDER_KEYS[17:]


def git(directory: Path, *words: str) -> None:
    options = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(directory), *options, *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Place:
    """The project that a run was made in, with its workspace and what the commands said."""

    project: Path
    env: dict[str, str | None]
    said: list[Result]

    @property
    def home(self) -> Home:
        return Home(self.project / "workspace")

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.home.run("tiny"))

    def call(self, *words: str, **env: str) -> Result:
        done = run_program(sys.executable, "-m", "codex_ml", *words, env=self.env | env, cwd=self.project)
        self.said.append(done)
        return done


def corpus(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(40):
        body = "\n".join(
            f"def function_{number}_{line}(value):\n    return value + {line}\n" for line in range(30)
        )
        (folder / f"module_{number}.py").write_text(body)


def plant(project: Path) -> None:
    """Commit a file, then put secrets into remotes, a change and files of no commit."""
    git(project, "init", "-q", "-b", "trunk")
    (project / "settings.py").write_text("first = 1\n")
    (project / ".gitignore").write_text("workspace/\nartifacts/\n")
    (project / "requirements.lock").write_text("numpy==2.3.5\n")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "first")
    git(project, "tag", "v0.9")
    git(project, "checkout", "-q", "--detach")
    for number, planted in enumerate(REMOTES):
        git(project, "remote", "add", f"r{number}", f"https://me:{planted.secret}@git.example/{number}.git")
    (project / "settings.py").write_text("first = 2\n" + "\n".join(planted.text for planted in DIFF))
    with (project / "settings.py").open("a") as stream:
        stream.writelines(f"\n# {form}" for form in (*SHORT_FORMS, quote(SHORT.secret, safe="")))
    for number, planted in enumerate(UNTRACKED):
        name = planted.secret if planted in TOKENS[:38] else f"notes{number}"
        (project / f"{name}.txt").write_text(planted.text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    project = tmp_path_factory.mktemp("project")
    plant(project)
    data = tmp_path_factory.mktemp("corpus") / f"data?access_token={CALL[0].secret}"
    corpus(data)
    config = project / "config" / "tracking"
    config.mkdir(parents=True)
    address = f"postgresql://trainer:{CALL[1].secret}@db.internal/runs"
    (config / "mine.yaml").write_text(f"defaults: [local]\nmlflow: {{uri: '{address}'}}\n")
    env: dict[str, str | None] = {
        "CODEX_HOME": str(project / "workspace"),
        **{f"PLANTED_{number}_TOKEN": planted.secret for number, planted in enumerate(ENVIRONMENT[1:])},
        "TORCH_API_KEY": ENVIRONMENT[0].secret,
        "DB_PASSWORD": SHORT.secret,
    }
    found = Place(project, env, [])
    words = (
        "--config-dir",
        "config",
        "tracking=mine",
        f"data.path='{data}'",
        f"wandb_token={CALL[2].secret}",
    )
    done = found.call("pipeline", "run", *TINY, *words[:4], "--json")
    assert done.code == 0, done.err
    refused = found.call("train", *TINY, *words, "--json")  # the word of the command line is no key
    assert refused.code == 2
    snapshot = found.call("env", "snapshot", "--dir", "artifacts/env", "--no-torch", "--json")
    assert snapshot.code == 0, snapshot.err
    write_log(found)
    return found


def write_log(place: Place) -> None:
    """Log lines that hold secrets, as a library may write them."""
    program = (
        "import json, logging, os, sys\n"
        "from codex_ml.monitoring.codex_logging import LogSettings, setup_logging\n"
        "setup_logging(LogSettings.from_environment(os.environ), stream=sys.stderr)\n"
        "for text in json.load(sys.stdin): logging.getLogger('library').warning('said %s', text)"
    )
    env = {name: value for name, value in (os.environ | place.env).items() if value is not None}
    env["CODEX_LOG_FILE"] = str(place.project / "artifacts" / "codex.log")
    texts = json.dumps([planted.text for planted in LOG] + list(SHORT_FORMS))
    done = subprocess.run(
        [sys.executable, "-c", program], input=texts, env=env, capture_output=True, text=True, check=True
    )
    place.said.append(Result(done.returncode, done.stdout, done.stderr))


def record(place: Place) -> dict[str, Any]:
    return place.run.read()


# ---- secrets -------------------------------------------------------------------------------------


def test_of_sixty_planted_secrets_none_is_in_any_artifact(place: Place) -> None:
    folders = (place.home.runs, place.home.store.parent, place.project / "artifacts")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {
        "run.json",
        "report.html",
        "metrics.ndjson",
        "system.ndjson",
        "MANIFEST.json",
        "README.md",
    } <= names
    assert {"env_snapshot.json", "pip_freeze.txt", "env_vars.txt", "codex.log"} <= names
    assert any(name.startswith("diff-") for name in names)
    written = {str(path): path.read_bytes() for path in files}
    written |= {f"output {number}": (done.out + done.err).encode() for number, done in enumerate(place.said)}
    planted = {id(one): one for one in (*ENVIRONMENT, *DIFF, *UNTRACKED, *LOG, *REMOTES, *CALL)}
    assert len(planted) == len(PLANTED) == 60
    changed = (place.project / "settings.py").read_text()
    assert all(one.secret in changed for one in DIFF)  # they are there to be found
    found = [(one.text[:30], name) for one in (*planted.values(), SHORT) for name in holders(one, written)]
    assert found == []
    found += [(form, name) for form in SHORT_FORMS for name in written if form.encode() in written[name]]
    assert found == []


def holders(planted: Planted, written: dict[str, bytes]) -> list[str]:
    return [name for name, content in written.items() if any(form in content for form in planted.forms())]


def test_what_stands_around_the_secrets_is_recorded(place: Place) -> None:
    code = record(place)["provenance"]["code"]
    assert code["remotes"]["r0"] == "https://git.example/0.git"
    assert (code["detached"], code["branch"], code["tags"], code["dirty"]) == (True, None, ["v0.9"], True)
    assert code["untracked"]["files"] == len(UNTRACKED) + 1  # and the config
    patch = (place.run.path / code["diff"]["file"]).read_text()
    assert "+first = 2" in patch
    assert patch.count("[redacted:") >= len(DIFF)
    config = record(place)["config"]
    assert config["tracking"]["mlflow"]["uri"] == "postgresql://[redacted:url-userinfo]@db.internal/runs"


def test_the_recipe_has_its_seven_files_and_no_variable_but_the_allowed(place: Place) -> None:
    folder = place.project / "artifacts" / "env"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("cpu.txt", "env_snapshot.json", "env_vars.txt", "gpu.csv", "pip_freeze.txt", "python_version.txt"),
        "uname.txt",
    ]
    assert "PLANTED" not in (folder / "env_vars.txt").read_text()
    assert "OMP_NUM_THREADS=1" in (folder / "env_vars.txt").read_text()
    assert f"Python {sys.version.split()[0]}\n" == (folder / "python_version.txt").read_text()
    assert "numpy==" in (folder / "pip_freeze.txt").read_text()
    same = json.loads((folder / "env_snapshot.json").read_text())
    assert same == json.loads((folder.parent / "env_snapshot.json").read_text())
    assert os.uname().nodename not in (folder / "uname.txt").read_text() or len(os.uname().nodename) < 4


# ---- facts ---------------------------------------------------------------------------------------


def test_run_json_is_valid_under_the_published_schema_and_a_changed_one_is_not(place: Place) -> None:
    schema = run_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(record(place))] == []
    for path, value in (
        (("format",), 2),
        (("identity_sha256",), "x"),
        (("provenance", "code", "commit"), "main"),
        (("provenance", "environment", "packages", "numpy", "version"), 2),
        (("provenance", "secrets"), {}),
        (("segments", 0, "from_step"), -1),
        (("resolved", "grade"), "good"),
        (("surplus",), 1),
    ):
        changed = record(place)
        inner: Any = changed
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        assert list(validator.iter_errors(changed)), path


def test_commit_tag_and_state_are_read_back_from_every_place(place: Place) -> None:
    commit = subprocess.run(
        ["git", "-C", place.project, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    facts = run_facts(record(place))
    assert (facts["commit"], facts["tags"], facts["dirty"]) == (commit, "v0.9", "true")
    assert all(isinstance(value, str) and value for value in facts.values())
    checkpoints = sorted(place.run.checkpoints.glob("step-*/MANIFEST.json"))
    assert checkpoints
    for manifest in checkpoints:
        assert json.loads(manifest.read_text())["facts"] == facts
    metadata = read_metadata(place.run.export / "model.safetensors")
    assert {name: metadata[f"{METADATA_PREFIX}{name}"] for name in facts} == facts
    assert json.loads((place.run.export / "codex_ml.json").read_text())["facts"] == facts
    card = (place.run.export / "README.md").read_text()
    assert f"| commit | `{commit}` with changes |" in card
    assert "| tags | v0.9 |" in card
    first = json.loads(place.run.metrics.read_text().splitlines()[0])
    assert first["metric"] == "start"
    assert facts.items() <= first["facts"].items()


def test_the_weights_of_the_export_are_those_of_the_run_whatever_stands_beside_them(place: Place) -> None:
    from codex_ml.checkpointing.digest import weights_digest

    assert weights_digest(place.run.export / "model.safetensors") == record(place)["result"]["weights_sha256"]


def test_seeds_and_the_call_are_recorded(place: Place) -> None:
    provenance = record(place)["provenance"]
    seed = record(place)["config"]["seed"]
    assert provenance["seeds"] == {"run": seed, "python": seed, "numpy": seed, "torch": seed}
    assert provenance["call"]["argv"][1:3] == ["pipeline", "run"]
    assert any("access_token=[redacted:" in word for word in provenance["call"]["argv"])


def test_no_file_of_a_run_says_whose_home_it_was_made_in_and_all_is_found_again(
    tmp_path: Path, run_cli: Callable[..., Result]
) -> None:
    user = tmp_path / "ada.lovelace"
    corpus(user / "code")
    options: dict[str, Any] = {
        "cwd": user,
        "env": {"HOME": str(user), "CODEX_HOME": str(user / "work"), "TORCHINDUCTOR_CACHE_DIR": None},
    }
    words = (*TINY, f"data.path={user / 'code'}", "--json")
    first = run_cli("train", *words, "name=first", **options)
    assert first.code == 0, first.err
    init = f"train.init_from={user / 'work/runs/first'}"
    child = ("train", *words, "name=second", init, f"tokenizer.path={tokenizer_of(user / 'work')}")
    for _ in range(2):  # opened again, the child knows its parent by the same words
        second = run_cli(*child, **options)
        assert second.code == 0, second.err
    for name in ("first", "second"):
        run = user / "work" / "runs" / name
        for file in ("run.json", "metrics.ndjson"):
            assert "ada.lovelace" not in (run / file).read_text(), file
        assert RunDirectory(run).read()["config"]["data"]["path"] == "~/code"
    again = run_cli("reproduce", "second", "--json", **options)
    assert again.code == 0, again.err


def tokenizer_of(home: Path) -> Path:
    (found,) = (home / ".codex" / "store" / "tokenizers").iterdir()
    return found


# ---- another machine -----------------------------------------------------------------------------


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """This process as the run's was, in its project."""
    for name, value in (place.env | THREADS).items():
        monkeypatch.setenv(name, str(value))
    for name in ("CUBLAS_WORKSPACE_CONFIG", "TORCHINDUCTOR_DETERMINISTIC", "TORCHINDUCTOR_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # what determinism sets goes with the test
        monkeypatch.delenv(name)
    monkeypatch.chdir(place.project)
    return place


def checked(place: Place) -> Any:
    from codex_ml.pipeline.env_check import check_environment

    return check_environment(place.run, home=place.home)


def test_the_machine_that_made_a_run_can_reproduce_it(here: Place) -> None:
    found = checked(here)
    assert (found.verdict, found.missing, found.different) == ("bitwise", [], [])
    assert found.ok


def test_another_processor_package_or_variable_makes_it_statistical_and_is_named(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.pipeline import env_check

    real = env_check.capture_env

    def elsewhere(*args: Any) -> dict[str, Any]:
        environment = real(*args)
        environment["cpu"] = {**environment["cpu"], "flags_sha256": "0" * 64}
        environment["packages"]["numpy"] = {**environment["packages"]["numpy"], "version": "9.9"}
        environment["system"]["kernel"] = "9.9"
        return environment

    monkeypatch.setattr(env_check, "capture_env", elsewhere)
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    found = checked(here)
    assert (found.verdict, found.ok, found.missing) == ("statistical", False, [])
    named = {line.split(":")[0] for line in found.different}
    assert named == {"cpu.flags_sha256", "packages.numpy.version", "variables.recorded.MKL_CBWR"}
    assert any(line.startswith("system.kernel: ") for line in found.recorded)


def test_a_missing_input_makes_it_impossible_and_is_named(here: Place, tmp_path: Path) -> None:
    from codex_ml.pipeline.env_check import check_environment

    found = check_environment(here.run, home=Home(tmp_path))
    assert found.verdict == "no"
    assert any("dataset" in text for text in found.missing)
    done = here.call("env", "check", "tiny", CODEX_HOME=str(tmp_path))
    assert done.code == 2  # another workspace has no such run


def test_a_changed_lock_file_is_named_by_verify_and_by_env_check(here: Place) -> None:
    from codex_ml.pipeline.verify import verify_run

    lock = here.project / "requirements.lock"
    before, kept = verify_run(here.run, home=here.home), lock.read_text()
    assert [check for check in before if check.fault or "lock" in check.what] == []
    lock.write_text(kept.replace("2.3.5", "2.3.6"))
    try:
        told = [check for check in verify_run(here.run, home=here.home) if "lock" in check.what]
        found = checked(here)
    finally:
        lock.write_text(kept)
    assert [check.what for check in told] == ["lock requirements.lock"]
    assert told[0].note and told[0].fault is None
    assert any(line.startswith("locks.requirements.lock: ") for line in found.recorded)
    assert found.verdict == "bitwise"


def test_other_code_is_named_by_verify_and_by_env_check(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from codex_ml.pipeline import env_check, verify

    for module in (env_check, verify):
        monkeypatch.setattr(module, "source_digest", lambda: "0" * 64)
    (told,) = [check for check in verify.verify_run(here.run, home=here.home) if check.what == "code"]
    assert told.note and "000000000000" in told.note
    found = checked(here)
    assert found.verdict == "statistical"
    assert [line.split(":")[0] for line in found.different] == ["code of codex_ml"]


# ---- commands ------------------------------------------------------------------------------------


def test_a_run_and_a_snapshot_are_compared(here: Place) -> None:
    from codex_ml.provenance.env_compare import compare_environments
    from codex_ml.provenance.snapshot import read_environment

    file = here.project / "artifacts" / "env_snapshot.json"
    one, other = (read_environment(name, home=here.home) for name in ("tiny", str(file)))
    rows = compare_environments(one, other)
    assert {row.key for row in rows if row.effect == "bits"} <= {
        *("torch", "torch.version", "torch.commit", "torch.config_sha256", "torch.parallel_backend"),
        *("torch.cpu_capability", "variables.recorded.CUBLAS_WORKSPACE_CONFIG"),
        "variables.recorded.TORCHINDUCTOR_DETERMINISTIC",
    }
    assert compare_environments(one, one) == []


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (("env", "snapshot", "--no-torch", "--out", "/proc/nowhere/x.json"), "storage.write", 1),
        (("env", "diff", "settings.json", "settings.json"), "env.snapshot", 2),
        (("env", "diff", "settings.py", "settings.py"), "integrity.json", 3),
        (("env", "check", "tyni"), "run.missing", 2),
    ],
)
def test_bad_input_is_one_line_with_a_code(
    place: Place, run_cli: Any, words: tuple[str, ...], code: str, exit_code: int
) -> None:
    (place.project / "settings.json").write_text("[]")
    done = run_cli(*words, "--json", env={"CODEX_HOME": str(place.home.root)}, cwd=place.project)
    assert (done.code, done.json["error"]["code"]) == (exit_code, code)
    (place.project / "settings.json").unlink()
