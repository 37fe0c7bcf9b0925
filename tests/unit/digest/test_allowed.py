"""Only listed programs run, with listed options, on places within the roots, and without a shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest.allowed import ALLOWED, Rules, argv_of
from codex_ml.errors import UsageError

RULES = Rules()


@pytest.mark.parametrize(
    "command",
    [
        "pytest",
        "pytest -q tests/test_a.py::test_b",
        "pytest -k 'a and b' -xvs --maxfail=2 -n4 -p no:randomly",
        "python -m pytest -x --cov=src",
        "nox -s tests-3.12 lint -R",
        "make -j4 -C docs test build/a.o",
        "ruff check src --select E501 --fix",
        "ruff format --check .",
        "mypy --strict -p codex_ml",
        "git apply --check fix.patch",
        "codex-ml audit . --apply 2",
        "codex-ml audit src --gone unsafe-load --require tokenization --json",
        "codex-ml scaffold metric my_metric --dir src",
        "codex-ml errors ls --open",
    ],
)
def test_a_listed_command_may_run(command: str) -> None:
    assert isinstance(argv_of(command, RULES), list), argv_of(command, RULES)


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf build",
        "python -c pass",
        "python -m pip install x",
        "python train.py",
        "pip install https://x/y.whl",
        "git apply fix.patch",
        "git -c core.pager=x apply --check fix.patch",
        "git push",
        "/tmp/pytest",
        "./make",
        "pytests",
        "",
        "PATH=/tmp pytest",
        "sudo make",
        "ruff server",
        "codex-ml",
        "codex-ml train",
        "codex-ml sweep",
        "codex-ml plugins new x",
        "codex-ml digest plan.md --execute --allow rm",
        "codex-ml errors resolve 1 --reason x",
        "codex-ml --json audit .",
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
        pytest.param("make " + "a" * 20_000, id="long"),
    ],
)
def test_signs_of_the_shell_are_refused(command: str) -> None:
    assert str(argv_of(command, RULES)).startswith("refused: ")


@pytest.mark.parametrize(
    "command",
    [
        "codex-ml audit r --date 2026-01-01 --run-tests --command 'touch PWNED'",
        "codex-ml audit r --command=x",
        "codex-ml audit . --allow-network",
        "codex-ml audit . --out /etc",
        "codex-ml audit / --apply 1",
        "codex-ml audit ../other --apply 1",
        "codex-ml audit . --date --run-tests",
        "codex-ml scaffold rule ../x",
        "codex-ml scaffold plugin x --dir /tmp",
        "codex-ml errors ls --store /etc/passwd",
        "make a SHELL=./x.sh",
        "make a 'CC:=x'",
        "make -f other.mk",
        "make -fother.mk",
        "make --eval=x",
        "make -E x",
        "make --file other.mk",
        "make -C /tmp",
        "make -kf x",
        "make -I lib",
        "pytest -p evil",
        "pytest -pevil",
        "pytest -qp evil",
        "pytest -c other.ini",
        "pytest -o python_files=x.py",
        "pytest --rootdir=/tmp",
        "pytest --rootdir /tmp",
        "pytest --override-ini=x",
        "pytest --confcutdir=/",
        "pytest --basetemp=src",
        "pytest --pyargs os",
        "pytest -W error::evil.X",
        "pytest --junitxml=/tmp/x",
        "pytest @arguments",
        "pytest /tmp/test_evil.py",
        "pytest ../test_evil.py::test",
        "pytest -- -p evil",
        "pytest -k -p",
        "pytest -k",
        "python -m pytest -p evil",
        "nox -f other.py",
        "nox --noxfile=other.py",
        "nox -s tests -- -p evil",
        "nox --envdir /tmp",
        "ruff check --config 'x = 1'",
        "ruff check --config=/tmp/r.toml",
        "mypy --config-file x",
        "mypy --install-types",
        "mypy --python-executable ./x",
        "mypy -c 'import x'",
        "mypy @arguments",
        "git apply --check --apply fix.patch",
        "git apply --check --ap fix.patch",
        "git apply --check --directory=/ fix.patch",
    ],
)
def test_what_would_give_a_listed_program_other_code_to_run_is_refused(command: str) -> None:
    assert str(argv_of(command, RULES)).startswith("refused: "), argv_of(command, RULES)


def test_a_link_out_of_the_folder_is_no_place_in_it_and_a_root_is_one(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    rules = Rules(cwd=inside)
    assert isinstance(argv_of("pytest link", rules), str)
    assert isinstance(argv_of("codex-ml audit ../out --apply 1", rules), str)
    assert isinstance(argv_of("codex-ml audit ../out --apply 1", Rules(cwd=inside, roots=(outside,))), list)


@given(st.sampled_from(ALLOWED), st.text("abcpqfoCE=:@./-", min_size=1, max_size=8))
def test_an_option_runs_only_where_it_or_every_letter_of_it_is_listed(program, word: str) -> None:
    option = f"-{word}"
    if not isinstance(argv_of(" ".join([*program.words, option]), RULES), list):
        return
    known = {*program.flags, *(program.values or {})}
    name = option.partition("=")[0]
    assert name in known or (not name.startswith("--") and f"-{word[0]}" in known)


def test_allow_adds_a_program_by_its_first_words_and_with_any_options() -> None:
    rules = Rules.with_more(["tox -e", "pytest -p"], timeout=1, cwd=Path())
    assert argv_of("tox -e py312", rules) == ["tox", "-e", "py312"]
    assert isinstance(argv_of("tox run", rules), str)
    assert isinstance(argv_of("pytest -p mine", rules), list)
    for wrong in ("", "a;b"):
        with pytest.raises(UsageError) as caught:
            Rules.with_more([wrong], timeout=1, cwd=Path())
        assert caught.value.code == "digest.allow"
