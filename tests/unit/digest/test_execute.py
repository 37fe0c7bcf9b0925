"""Only listed programs run, without a shell, in the plan's order, up to the first failure."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from codex_ml.digest.execute import Rules, argv_of, execute
from codex_ml.digest.plan import Plan, make_plan
from codex_ml.digest.tasks import Check, Task
from codex_ml.errors import UsageError

RULES = Rules()


def plan(*tasks: Task) -> Plan:
    return make_plan(tasks, title="t", source="s", kind="tasks", sha256="0" * 64)


def task(name: str, *commands: str, after: tuple[str, ...] = (), status: str = "open") -> Task:
    return Task(name, name, Check("seen"), commands=commands, depends_on=after, status=status)


def outcomes(done: Plan) -> dict[str, str]:
    return {one.id: one.result["outcome"] if one.result else one.status for one in done.tasks}


@pytest.mark.parametrize(
    "command",
    [
        "pytest -q tests/test_a.py::test_b",
        "pytest -k 'a and b'",
        "python -m pytest -x",
        "nox -s tests-3.12",
        "make test",
        "ruff check src",
        "git apply --check fix.patch",
        "codex-ml audit . --apply 2",
    ],
)
def test_a_listed_command_may_run(command: str) -> None:
    assert isinstance(argv_of(command, RULES), list)


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf build",
        "python -c pass",
        "python train.py",
        "git apply fix.patch",
        "git push",
        "/tmp/pytest",
        "./make",
        "pytests",
        "",
        "PATH=/tmp pytest",
        "sudo make",
    ],
)
def test_any_other_command_is_skipped(command: str) -> None:
    assert str(argv_of(command, RULES)).startswith("skipped: ")


@pytest.mark.parametrize(
    "command",
    [
        "make test; rm -rf /",
        "make && x",
        "pytest | tee log",
        "pytest > log",
        "make $(id)",
        "make `id`",
        "make $HOME",
        "make\nrm x",
        "pytest tests/*.py",
        "make 'unclosed",
        "git apply --check --apply fix.patch",
        "git apply --check --ap fix.patch",
        "codex-ml digest plan.md --execute --allow rm",
        "codex-ml audit . --allow-network",
    ],
)
def test_signs_of_the_shell_and_tricks_are_refused(command: str) -> None:
    assert str(argv_of(command, RULES)).startswith("refused: ")


def test_allow_adds_a_program_by_its_first_words() -> None:
    rules = Rules.with_more(["tox -e"], timeout=1, cwd=Path())
    assert argv_of("tox -e py312", rules) == ["tox", "-e", "py312"]
    assert isinstance(argv_of("tox run", rules), str)
    for wrong in ("", "a;b"):
        with pytest.raises(UsageError) as caught:
            Rules.with_more([wrong], timeout=1, cwd=Path())
        assert caught.value.code == "digest.allow"


def _python(code: str) -> str:
    return f'"{sys.executable}" -c "{code}"'


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    return Rules.with_more([sys.executable], timeout=20, cwd=tmp_path)


def test_tasks_run_in_order_up_to_the_first_failure_which_is_digested(rules: Rules, tmp_path: Path) -> None:
    (tmp_path / "fail.py").write_text(
        "import sys\nprint('token ghp_' + 'a1B2' * 9)\nraise ValueError('bad')\n"
    )
    (tmp_path / "touch.py").write_text("import sys\nopen(sys.argv[1], 'w').close()\n")
    done = execute(
        plan(
            task("one", f"{sys.executable} touch.py ran-one"),
            task("two", f"{sys.executable} fail.py", after=("one",)),
            task("three", f"{sys.executable} touch.py ran-three"),
        ),
        rules,
    )
    assert outcomes(done.plan) == {"one": "done", "two": "failed", "three": "not reached"}
    assert (tmp_path / "ran-one").exists() and not (tmp_path / "ran-three").exists()
    assert done.failed
    assert done.digest is not None and done.digest.failure is not None
    assert done.digest.failure.root.text == "ValueError: bad"
    row = done.plan.tasks[1].result["commands"][0]  # type: ignore[index]
    assert row["exit_code"] == 1
    assert "[redacted:github-token]" in row["output"]


def test_what_waits_for_people_or_for_a_skipped_task_is_not_run(rules: Rules, tmp_path: Path) -> None:
    touch = f"{sys.executable} -c pass"
    done = execute(
        plan(
            task("off", "rm -rf build"),
            task("after-off", touch, after=("off",)),
            task("manual"),
            task("after-manual", touch, after=("manual",)),
            task("ticked", "rm x", status="done"),
            task("after-ticked", touch, after=("ticked",)),
        ),
        rules,
    )
    assert outcomes(done.plan) == {
        "off": "skipped",
        "after-off": "blocked",
        "manual": "manual",
        "after-manual": "blocked",
        "ticked": "done",
        "after-ticked": "done",
    }
    assert not done.failed


def test_a_command_over_its_time_is_ended_with_all_that_it_started(rules: Rules, tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text(
        "import subprocess, sys, time\n"
        "if len(sys.argv) < 2:\n"
        "    subprocess.Popen([sys.executable, __file__, 'child'])\n"
        "time.sleep(1.5)\nopen('survived', 'w').close()\n"
    )
    began = time.monotonic()
    done = execute(
        plan(task("hang", f"{sys.executable} hang.py")), Rules(rules.allowed, timeout=0.5, cwd=tmp_path)
    )
    assert time.monotonic() - began < 1.4
    assert done.plan.tasks[0].result["commands"][0]["outcome"] == "timed out"  # type: ignore[index]
    time.sleep(1.2)
    assert not (tmp_path / "survived").exists()


def test_a_program_that_is_not_there_fails_its_task(tmp_path: Path) -> None:
    rules = Rules.with_more(["no-such-program"], timeout=5, cwd=tmp_path)
    done = execute(plan(task("one", "no-such-program x")), rules)
    assert done.failed
    assert done.plan.tasks[0].result["commands"][0]["outcome"] == "not found"  # type: ignore[index]


def test_output_without_end_is_kept_to_its_end(rules: Rules, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "print('x' * 79 + '\\n', end='') if 0 else [print('y' * 79) for _ in range(9000)]\n"
    )
    done = execute(plan(task("loud", f"{sys.executable} loud.py")), rules)
    output = done.plan.tasks[0].result["commands"][0]["output"]  # type: ignore[index]
    assert output.startswith("… (") and len(output) < 40_000
