"""The real command line: digest, the error store, plans that are executed, and its own faults."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "digest"
TOKEN = "ghp_" + "a1B2" * 9
ENV = {"CODEX_HOME": None, "SOURCE_DATE_EPOCH": None}


def test_a_log_becomes_two_files_and_entries_of_the_store(run_cli, tmp_path: Path) -> None:
    log = tmp_path / "ci.log"
    log.write_bytes((FOLDER / "nox-sessions.log").read_bytes())
    done = run_cli("digest", log, "--out", tmp_path / "out", "--json", env=ENV, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["failure"]["place"] == "src/app/io.py:31"
    assert len(done.json["stored"]) == 2
    plan = json.loads((tmp_path / "out" / ".codex_digest.plan.json").read_text())
    assert plan["tasks"][0]["title"].startswith("Fix Incompatible return value")
    assert "# Digest of" in (tmp_path / "out" / ".codex_digest.md").read_text()

    listed = run_cli("errors", "ls", "--open", "--json", env=ENV, cwd=tmp_path)
    assert [row["occurrences"] for row in listed.json["errors"]] == [1, 1]
    name = listed.json["errors"][0]["fingerprint"]
    shown = run_cli("errors", "show", name[:8], env=ENV, cwd=tmp_path)
    assert "While performing [2:nox -s typing], encountered" in shown.out
    run_cli("errors", "resolve", name, "--reason", "typed it", env=ENV, cwd=tmp_path)
    assert len(run_cli("errors", "ls", "--resolved", "--json", env=ENV, cwd=tmp_path).json["errors"]) == 1
    page = run_cli("errors", "export", env=ENV, cwd=tmp_path)
    assert "- Status: Resolved — typed it" in page.out


def test_stdin_is_read_and_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    data = (FOLDER / "pytest-chain.log").read_bytes()
    argv = [sys.executable, "-m", "codex_ml", "digest", "-", "--no-store"]
    first, second = (subprocess.run(argv, input=data, capture_output=True, cwd=tmp_path) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert b"FileNotFoundError" in first.stdout
    assert first.stdout == second.stdout
    assert not (tmp_path / ".codex").exists()


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", 0, "The input is empty."),
        (b"all is well\n", 0, "Nothing in the input failed."),
        (b"\x00\x01\x02" * 100, 2, "[digest.binary]"),
        (b"- [ ] A1: x, after: A2\n- [ ] A2: y, after: A1\n", 2, "A1 -> A2 -> A1"),
        (b"- [ ] A1: x, after: A3\n", 2, "[digest.dependency]"),
        (b"\xff\xfe\x00 ValueError: \xe9\r\n", 0, "Nothing in the input failed."),
    ],
)
def test_bad_input_has_a_precise_answer(data: bytes, code: int, words: str, run_cli, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(data)
    done = run_cli("digest", path, "--no-store", env=ENV, cwd=tmp_path)
    assert done.code == code, done.err
    assert words in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "words", [[], ["a", "--from-audit", "b"], ["/no/such/file"], ["."], ["x", "--date", "1"]]
)
def test_a_wrong_call_is_one_line_with_exit_code_2(words: list[str], run_cli, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    done = run_cli("digest", *words, env=ENV, cwd=tmp_path)
    assert done.code == 2
    assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == 1


def test_a_planted_secret_is_in_no_file_and_no_output(run_cli, tmp_path: Path) -> None:
    log = tmp_path / "ci.log"
    log.write_text(
        f"+ pytest --token {TOKEN}\nTraceback (most recent call last):\n"
        f'  File "/x/{TOKEN}/a.py", line 3, in f\n    g()\nValueError: cannot log in with {TOKEN}\n'
    )
    done = run_cli("digest", log, "--out", tmp_path / "out", "--json", env=ENV, cwd=tmp_path)
    assert done.code == 0, done.err
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file() and path != log]
    assert len(written) >= 3
    assert TOKEN not in "".join([done.out, done.err, *written])


def test_an_executed_plan_stops_at_the_first_failure_and_notes_it(run_cli, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("good:\n\ttrue\nbad:\n\techo 'ValueError: broken' && false\n")
    tasks = tmp_path / "tasks.md"
    tasks.write_text(
        "1. `make good`\n2. `make bad`\n3. `make good`\n- [ ] other: `rm -rf .`\n".replace(". `", ". [ ] `")
    )
    done = run_cli("digest", tasks, "--execute", "--out", tmp_path, "--json", env=ENV, cwd=tmp_path)
    assert done.code == 1, done.err
    rows = {row["id"]: row["result"]["outcome"] for row in done.json["plan"]["tasks"]}
    assert rows == {"t1": "done", "t2": "failed", "t3": "not reached", "t4": "not reached"}
    assert len(done.json["stored"]) == 1
    assert "ValueError: broken" in (tmp_path / ".codex" / "errors.ndjson").read_text()
    assert "result: failed" in (tmp_path / ".codex_digest.md").read_text()


def test_a_plan_of_a_stranger_gets_no_code_of_its_own_to_run(run_cli, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "x.sh").write_text("#!/bin/sh\ntouch PWNED\n")
    (tmp_path / "x.sh").chmod(0o755)
    (tmp_path / "Makefile").write_text("a:\n\ttrue\n")
    (tmp_path / "tasks.md").write_text(
        "- [ ] A: `codex-ml audit r --date 2026-01-01 --run-tests --command 'touch PWNED'`\n"
        "- [ ] B: `make a SHELL=./x.sh`\n- [ ] C: `make a` (check: `make b`)\n"
    )
    done = run_cli("digest", "tasks.md", "--execute", "--no-store", "--json", env=ENV, cwd=tmp_path)
    rows = [row["result"]["outcome"] for row in done.json["plan"]["tasks"]]
    assert (done.code, rows) == (1, ["skipped", "skipped", "failed"])
    assert not list(tmp_path.rglob("PWNED"))


def test_a_signal_ends_the_command_that_runs_too(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("slow:\n\ttouch begun; sleep 1; touch survived\n")
    (tmp_path / "tasks.md").write_text("- [ ] `make slow`\n")
    argv = [sys.executable, "-m", "codex_ml", "digest", "tasks.md", "--execute", "--no-store"]
    program = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    last = time.monotonic() + 20
    while not (tmp_path / "begun").exists() and time.monotonic() < last:
        time.sleep(0.02)
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=20)
    assert program.returncode == 75, err
    time.sleep(1.2)
    assert not (tmp_path / "survived").exists()


def test_a_plan_from_an_audit_is_written(run_cli, tmp_path: Path) -> None:
    report = {
        "metadata": {"path": "."},
        "snapshot": {"capabilities": []},
        "patches": [{"title": "t", "paths": ["a"]}],
    }
    (tmp_path / "r.json").write_text(json.dumps(report))
    done = run_cli("digest", "--from-audit", tmp_path / "r.json", "--json", env=ENV, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["plan"]["tasks"][0]["commands"] == ["codex-ml audit . --apply 1"]


@pytest.mark.needs("audit")
def test_the_loop_from_an_audit_to_a_plan_whose_commands_exist(run_cli, tmp_path: Path) -> None:
    from codex_ml.cli.app import COMMANDS

    repository = tmp_path / "repo"
    repository.mkdir()
    (repository / "train.py").write_text("import torch\nmodel = torch.load('m.pt')\n")
    written = run_cli("audit", repository, "--date", "2025-09-05", "--format", "json", env=ENV, cwd=tmp_path)
    assert written.code == 0, written.err
    (tmp_path / "report.json").write_text(written.out)
    done = run_cli("digest", "--from-audit", "report.json", "--repo", "repo", "--json", env=ENV, cwd=tmp_path)
    assert done.code == 0, done.err
    tasks = done.json["plan"]["tasks"]
    assert len(tasks) > 10
    assert tasks[-1]["id"] == "audit-again"
    assert any(" --apply unsafe-load-" in command for task in tasks for command in task["commands"])
    assert tasks[-1]["commands"] == ["codex-ml audit repo --since report.json --date 2025-09-05"]
    assert all(task["check"]["command"].startswith("codex-ml audit repo --") for task in tasks)
    assert "audit" in COMMANDS


@pytest.mark.needs("audit")
def test_the_checks_of_an_audits_plan_fail_until_the_finding_is_gone(run_cli, tmp_path: Path) -> None:
    repository = tmp_path / "repo"
    repository.mkdir()
    (repository / "train.py").write_text("import torch\nmodel = torch.load('m.pt')\n")

    def audit(*words: str) -> int:
        done = run_cli("audit", repository, "--date", "2025-09-05", *words, "--json", env=ENV, cwd=tmp_path)
        assert "Traceback" not in done.err
        return int(done.code)

    report = run_cli("audit", repository, "--date", "2025-09-05", "--format", "json", env=ENV, cwd=tmp_path)
    patch = json.loads(report.out)["patches"][0]["id"]
    gone = ("unsafe-load", "unsafe-load:train.py", patch)
    assert {audit("--gone", name) for name in gone} == {3}
    assert audit("--gone", "unsafe-load:other.py", "--require", "tokenization=Missing") == 0
    assert audit("--require", "tokenization") == 3
    assert audit("--require", "tokens") == 2
    (tmp_path / "report.json").write_text(report.out)
    done = run_cli(
        *("digest", "--from-audit", "report.json", "--repo", "repo", "--execute", "--no-store", "--json"),
        env=ENV,
        cwd=tmp_path,
    )
    rows = {row["id"]: row["result"]["outcome"] for row in done.json["plan"]["tasks"]}
    assert done.code == 0, done.err
    assert rows["patch-1"] == "done"
    assert (rows["capability-tokenization"], rows["audit-again"]) == ("manual", "blocked")
    assert "weights_only=True" in (repository / "train.py").read_text()
    assert {audit("--gone", name) for name in gone} == {0}


FAULT = """
import sys
from codex_ml.cli import digest, main
def broken(*_):
    raise RuntimeError("nobody expected {token}")
digest._headline = digest._document = broken
sys.exit(main(["digest", "x"]))
"""


@pytest.mark.parametrize("writable", [True, False])
def test_a_fault_of_the_program_itself_is_noted_and_the_line_says_how_to_see_it(
    writable: bool, run, run_cli, tmp_path: Path
) -> None:
    if not writable:
        (tmp_path / ".codex").write_text("a file in the way")
    done = run(sys.executable, "-c", FAULT.replace("{token}", TOKEN), env=ENV, cwd=tmp_path)
    assert done.code == 1
    assert "[internal]" in done.err
    assert "Traceback" not in done.err
    assert TOKEN not in done.err
    assert ("codex-ml errors show " in done.err) is writable
    assert ("was not noted" in done.err) is not writable
    if writable:
        name = done.err.partition("errors show ")[2].partition(")")[0]
        shown = run_cli("errors", "show", name, env=ENV, cwd=tmp_path)
        assert shown.code == 0, shown.err
        assert "RuntimeError: nobody expected [redacted:github-token]" in shown.out
        assert "in broken" in shown.out


def test_digest_and_errors_load_neither_torch_nor_numpy_nor_hydra(run, tmp_path: Path) -> None:
    (tmp_path / "ci.log").write_bytes((FOLDER / "crlf.log").read_bytes())
    code = (
        "import sys\nfrom codex_ml.cli import main\n"
        "main(['digest', 'ci.log', '--quiet'])\nmain(['errors', 'ls'])\n"
        "heavy = {'torch', 'numpy', 'hydra', 'pydantic'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & heavy))\n"
    )
    done = run(sys.executable, "-c", code, env={**ENV, "COVERAGE_PROCESS_CONFIG": None}, cwd=tmp_path)
    assert done.out.splitlines()[-1] == "[]", done.err


def test_what_the_user_allows_is_a_command_of_the_plan(run_cli, tmp_path: Path) -> None:
    (tmp_path / "tasks.md").write_text("- [ ] mark it: `touch x`\n")
    argv = ("digest", "tasks.md", "--no-store", "--execute", "--json")
    refused = run_cli(*argv, env=ENV, cwd=tmp_path)
    assert refused.json["plan"]["tasks"][0]["result"]["outcome"] == "manual"
    done = run_cli(*argv, "--allow", "touch", env=ENV, cwd=tmp_path)
    assert done.json["plan"]["tasks"][0]["status"] == "done"
    assert (tmp_path / "x").exists()
