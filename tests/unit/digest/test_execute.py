"""A plan runs in its order up to the first failure, and a task is done when its acceptance check passes."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from codex_ml.digest.allowed import Rules
from codex_ml.digest.execute import execute
from codex_ml.digest.plan import Plan, make_plan
from codex_ml.digest.tasks import Check, Task


def plan(*tasks: Task) -> Plan:
    return make_plan(tasks, title="t", source="s", kind="tasks", sha256="0" * 64)


def task(
    name: str, *commands: str, after: tuple[str, ...] = (), status: str = "open", check: str | None = None
) -> Task:
    return Task(name, name, Check("seen", check), commands=commands, depends_on=after, status=status)


def outcomes(done: Plan) -> dict[str, str]:
    return {one.id: one.result["outcome"] if one.result else one.status for one in done.tasks}


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


def test_the_acceptance_check_decides_whether_a_task_is_done(rules: Rules, tmp_path: Path) -> None:
    (tmp_path / "touch.py").write_text("import sys\nopen(sys.argv[1], 'a').write('x')\n")
    (tmp_path / "there.py").write_text(
        "import pathlib, sys\nsys.exit(not pathlib.Path(sys.argv[1]).exists())\n"
    )
    touch, there = f"{sys.executable} touch.py", f"{sys.executable} there.py"
    done = execute(
        plan(
            task("same", f"{touch} one", check=f"{touch} one"),
            task("good", f"{touch} two", check=f"{there} two"),
            task("bad", f"{touch} three", check=f"{there} four"),
            task("last", f"{touch} five"),
        ),
        rules,
    )
    assert outcomes(done.plan) == {"same": "done", "good": "done", "bad": "failed", "last": "not reached"}
    assert (tmp_path / "one").read_text() == "x"  # a check that is the command is not run twice
    result = done.plan.tasks[2].result
    assert result is not None and result["reason"].startswith("its check, ")
    assert [row["outcome"] for row in result["commands"]] == ["done", "failed"]


def test_what_people_did_is_seen_by_the_check_and_what_they_did_not_stops_nothing(
    rules: Rules, tmp_path: Path
) -> None:
    passes, fails = f"{sys.executable} -c pass", f"{sys.executable} -c 1/0"
    done = execute(
        plan(task("seen", check=passes), task("open", check=fails), task("next", passes, after=("seen",))),
        rules,
    )
    assert outcomes(done.plan) == {"seen": "done", "open": "manual", "next": "done"}
    assert not done.failed and done.digest is None


def test_nothing_of_a_task_runs_where_one_of_its_commands_or_its_check_may_not(
    rules: Rules, tmp_path: Path
) -> None:
    touch = f"{sys.executable} -c open('ran','w')"
    done = execute(plan(task("one", touch, "rm x"), task("two", touch, check="curl x")), rules)
    assert outcomes(done.plan) == {"one": "skipped", "two": "skipped"}
    assert not (tmp_path / "ran").exists()


def test_a_module_of_the_folder_does_not_stand_in_for_this_program(tmp_path: Path) -> None:
    (tmp_path / "codex_ml").mkdir()
    (tmp_path / "codex_ml" / "__init__.py").write_text("open('ran', 'w').close()\n")
    done = execute(plan(task("one", "codex-ml errors ls")), Rules(timeout=60, cwd=tmp_path))
    assert outcomes(done.plan) == {"one": "done"}
    assert not (tmp_path / "ran").exists()
