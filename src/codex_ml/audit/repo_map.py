"""The map of the repository: what lies where, what is not done, what changed last."""

from __future__ import annotations

from collections import Counter
from typing import Any

from codex_ml.audit.audit import Audit
from codex_ml.core.git_calls import git

_KEY_FILES = (
    *(
        "pyproject.toml",
        "setup.py",
        "setup.cfg",
        "requirements.txt",
        "dockerfile",
        "docker-compose.yml",
        "makefile",
    ),
    *(
        "noxfile.py",
        "tox.ini",
        "readme.md",
        "readme.rst",
        "changelog.md",
        "license",
        ".pre-commit-config.yaml",
    ),
    *("uv.lock", "requirements.lock", "conftest.py", ".gitlab-ci.yml"),
)
_STUBS = ("stub", "todo", "notebook-stub")
_MANY = 40
_RECENT = 5
_SECONDS = 20.0


def repo_map(audit: Audit) -> dict[str, Any]:
    """Directories by number of files, key files, stubs with their reason, languages, the newest commits."""
    files = audit.tree.files
    folders = Counter(file.path.partition("/")[0] for file in files if "/" in file.path)
    stubs = [one for one in audit.findings if one.rule in _STUBS]
    return {
        "directories": [{"path": f"{name}/", "files": count} for name, count in sorted(folders.items())],
        "key_files": [
            file.path for file in files if "/" not in file.path and file.name.lower() in _KEY_FILES
        ],
        "stubs": [
            {
                "path": one.evidence.path,
                "line": one.evidence.line,
                "symbol": one.evidence.symbol,
                "what": one.message,
            }
            for one in stubs[:_MANY]
        ],
        "stubs_total": len(stubs),
        "notebooks": [file.path for file in files if file.suffix == ".ipynb"],
        "configs": sum(1 for file in files if file.suffix in (".yaml", ".yml", ".toml")),
        "python_files": sum(1 for file in files if file.suffix == ".py"),
        "tests": sum(1 for _ in audit.index.tests()),
        "recent": _recent(audit),
    }


def _recent(audit: Audit) -> list[str]:
    """Subjects of the newest commits, by plumbing alone."""
    if audit.tree.git is None:
        return []
    answer = git(
        audit.tree.root,
        *("rev-list", "--max-count", str(_RECENT), "--no-commit-header", "--format=%s", "HEAD"),
        seconds=_SECONDS,
    )
    if answer is None or not answer.good:
        return []
    return [line.strip() for line in answer.line().splitlines() if line.strip()]
