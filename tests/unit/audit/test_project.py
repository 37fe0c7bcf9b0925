"""What a project declares: dependencies in each form that people write, gates that run, locks that lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_repos import write
from codex_ml.audit.audit import audit
from codex_ml.audit.project import read_project
from codex_ml.audit.tree import read_tree

pytestmark = pytest.mark.needs("audit")

ENVIRONMENT = """name: x
channels: [conda-forge, defaults]
dependencies:
  - python=3.11
  - numpy
  - pytorch=2.1
  - pip:
    - wandb==0.17
"""
SETUP_CFG = """[metadata]
name = x
[options]
install_requires =
    torch>=2
    numpy
[options.extras_require]
dev = pytest; ruff
[flake8]
ignore = E203
[tool:pytest]
testpaths = tests
"""
SETUP_PY = """from setuptools import setup
EXTRA = ["nothing"]
setup(name="x", install_requires=["torch>=2", "numpy"], extras_require={"dev": ["pytest"]}, keywords=["ml"])
"""


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("environment.yml", ENVIRONMENT, {"numpy": "", "pytorch": "=2.1", "wandb": "==0.17"}),
        ("setup.cfg", SETUP_CFG, {"torch": ">=2", "numpy": "", "pytest": "", "ruff": ""}),
        ("setup.py", SETUP_PY, {"torch": ">=2", "numpy": "", "pytest": ""}),
        ("requirements.txt", "torch>=2\n# no\n-r other.txt\nnumpy  # yes\n", {"torch": ">=2", "numpy": ""}),
    ],
)
def test_dependencies_are_read_from_where_they_stand(
    tmp_path: Path, name: str, text: str, wanted: dict[str, str]
) -> None:
    project = read_project(read_tree(write(tmp_path, {name: text})))
    assert {one.name: one.pin for one in project.requirements} == wanted


@pytest.mark.parametrize("name", ["environment.yml", "setup.cfg", "pyproject.toml"])
def test_a_manifest_that_does_not_parse_is_listed(tmp_path: Path, name: str) -> None:
    found = audit(write(tmp_path, {name: "a: [\n= [x"}), workers=1)
    assert [one.path for one in found.index.unread] == [name]


@pytest.mark.parametrize(
    ("name", "text", "is_gate"),
    [
        (".github/workflows/ci.yml", "    - run: pytest -q\n", True),
        (".github/workflows/ci.yml", "    - run: pip install pytest\n", False),
        (".github/workflows/ci.yml", "    # we do not run pytest here\n", False),
        ("noxfile.py", 'def tests(session):\n    """Run pytest."""\n    session.run("pytest")\n', True),
        ("noxfile.py", 'def tests(session):\n    """Run pytest."""\n', False),
        ("Makefile", "test:\n\tpython -m pytest\n", True),
    ],
)
def test_a_gate_is_a_line_that_runs_tests(tmp_path: Path, name: str, text: str, is_gate: bool) -> None:
    found = audit(write(tmp_path, {name: text}), workers=1)
    assert bool(found.index.evidence.get("config.gate")) == is_gate


def test_an_empty_lock_locks_nothing(tmp_path: Path) -> None:
    files = {"requirements.txt": "torch\n", "poetry.lock": ""}
    found = audit(write(tmp_path, dict(files)), workers=1)
    assert "unpinned-dependency" in {one.rule for one in found.findings}
    assert not found.index.evidence.get("config.lock")


def test_a_package_within_says_nothing_of_scripts_beside_it(tmp_path: Path) -> None:
    script = "import torch\nloss.backward()\ntorch.save(model, 'x')\n"
    files = {"app/setup.py": "from setuptools import setup\nsetup()\n", "scripts/train.py": script}
    rows = {row.capability.id: row.status for row in audit(write(tmp_path, dict(files)), workers=1).rows}
    assert rows["training"] == rows["checkpointing"] == "Partially Implemented"
