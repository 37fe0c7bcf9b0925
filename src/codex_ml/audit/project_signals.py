"""Signals that no code shows: gates, locks, images, hooks, pages. From what files say, not their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from codex_ml.audit.containers import image_of
from codex_ml.audit.masking import excerpt
from codex_ml.audit.model import Evidence
from codex_ml.audit.project import Project
from codex_ml.audit.tree import File

_TESTS_RUN = re.compile(r"\b(pytest|unittest|nox|tox|make test|hatch test)\b")
_INSTALLS = re.compile(r"\b(install|add|requires?|name|uses)\b\s*:?")
_COMMAND = re.compile(
    r"^[ \t]*(\$[ \t]*)?(pip|python3?|make|uv|conda|git clone|docker|torchrun|accelerate|[\w-]+ --?\w)",
    re.MULTILINE,
)
_FENCE = re.compile(r"^```[\w ]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HARDWARE = re.compile(r"\b(CPU|GPU|A100|H100|V100|RTX ?\d+|GB of (?:RAM|memory))\b")
_VERSIONS = re.compile(r"\b(CUDA|driver|kernel|torch|PyTorch)\b.{0,30}\d+\.\d+", re.IGNORECASE)


def project_signals(project: Project) -> dict[str, list[Evidence]]:
    """Signal -> places, in the order of paths."""
    found: dict[str, list[Evidence]] = defaultdict(list)
    for maker in (_gates, _locks, _images, _hooks, _packaging, _pages, _configs, _git):
        for name, path, line, note in maker(project):
            found[name].append(Evidence(path, line, "", note))
    return {name: sorted(places) for name, places in found.items()}


Signals = Iterator[tuple[str, str, int, str]]


def _gates(project: Project) -> Signals:
    for file in project.tree.files:
        ci = file.path.startswith((".github/workflows/", ".ci/", ".circleci/")) or file.name in (
            *(
                ".gitlab-ci.yml",
                "tox.ini",
                "noxfile.py",
                "Makefile",
                "azure-pipelines.yml",
                "Jenkinsfile",
                "justfile",
            ),
        )
        if ci:
            for number, line in project.lines(file, _TESTS_RUN.pattern):
                if _runs_tests(file, line):
                    yield "config.gate", file.path, number, excerpt(line, 60)
                    break
    tools = project.pyproject.get("tool", {})
    for name in ("ruff", "flake8", "mypy", "pylint", "pyright", "black"):
        if name in tools:
            yield "config.lint", project.pyproject_path, 0, f"[tool.{name}]"
    for file in project.tree.named(".flake8", "mypy.ini", "ruff.toml", ".pylintrc", ".ruff.toml"):
        yield "config.lint", file.path, 1, file.name
    floor = tools.get("coverage", {}).get("report", {}).get("fail_under")
    if floor:
        yield "config.coverage", project.pyproject_path, 0, f"fail_under = {floor}"
    for file in project.tree.named(".coveragerc", "setup.cfg", "tox.ini", "noxfile.py", "Makefile"):
        for number, line in project.lines(file, r"fail[-_]under"):
            yield "config.coverage", file.path, number, excerpt(line, 60)


def _runs_tests(file: File, line: str) -> bool:
    """Whether a line runs tests: no comment, no installation; in Python a word of a command."""
    code = line.partition("#")[0]
    if file.suffix == ".py":
        return re.search(r"[\"'](-m )?(pytest|unittest)\b|\.run\(.*pytest", code) is not None
    return _TESTS_RUN.search(code) is not None and not _INSTALLS.search(code)


def _locks(project: Project) -> Signals:
    for file in project.locks():
        text = project.text(file)
        if not text.strip():
            continue  # it locks nothing
        yield "config.lock", file.path, 1, "lock"
        if "--hash=sha256" in text or 'hash = "sha256' in text or '"sha256:' in text:
            yield "config.lock_hashed", file.path, 1, "lock with hashes"
    for file in project.requirement_files():
        if file.suffix != ".lock" and "--hash=sha256" in project.text(file):
            yield "config.lock", file.path, 1, "pinned with hashes"
            yield "config.lock_hashed", file.path, 1, "pinned with hashes"


def _images(project: Project) -> Signals:
    for file in project.dockerfiles():
        image = image_of(project.text(file))
        if image is None:
            continue
        yield "config.image", file.path, image.line, excerpt(f"FROM {image.base}", 60)
        for name, one in (("entrypoint", image.last("ENTRYPOINT")), ("healthcheck", image.health)):
            if one is not None:
                yield f"config.{name}", file.path, one.line, excerpt(f"{one.word} {one.rest}", 60)
        if not image.is_root:
            said = f"USER {image.user.rest}" if image.user is not None else f"FROM {image.base}"
            line = image.user.line if image.user is not None else image.line
            yield "config.container_user", file.path, line, excerpt(said, 60)
    for file in project.composes():
        for number, _line in project.lines(file, r"^\s*healthcheck:"):
            yield "config.healthcheck", file.path, number, "healthcheck of a service"


def _hooks(project: Project) -> Signals:
    for file in project.tree.named(".pre-commit-config.yaml"):
        for number, line in project.lines(file, r"(detect-secrets|gitleaks|trufflehog|detect-private-key)"):
            yield "config.secret_scan", file.path, number, excerpt(line, 60)
    for file in project.tree.files:
        if file.path.startswith(".github/workflows/"):
            for number, line in project.lines(file, r"(gitleaks|trufflehog|detect-secrets)"):
                yield "config.secret_scan", file.path, number, excerpt(line, 60)


def _packaging(project: Project) -> Signals:
    section = project.pyproject.get("project", {})
    path = project.pyproject_path
    for name in section.get("scripts", {}):
        yield "config.scripts", path, 0, f"[project.scripts] {name}"
    for group in section.get("entry-points", {}):
        yield "config.entry_points", path, 0, f"[project.entry-points.{group}]"
    for name in project.pyproject.get("tool", {}).get("poetry", {}).get("scripts", {}):
        yield "config.scripts", path, 0, f"[tool.poetry.scripts] {name}"
    for file in project.tree.named("setup.py", "setup.cfg"):
        for number, _line in project.lines(file, r"console_scripts"):
            yield "config.scripts", file.path, number, "console_scripts"


def _pages(project: Project) -> Signals:
    for file in project.tree.files:
        if file.suffix not in (".md", ".rst"):
            continue
        if file.name.lower().startswith("readme.") and "/" not in file.path:
            yield from _readme(project, file)
        elif file.path.lower().startswith(("docs/", "doc/")) and len(project.text(file)) > 400:
            yield "docs.pages", file.path, 1, "a page"
        text = project.text(file) if _is_reading(file) else ""
        hardware, versions = _HARDWARE.search(text), _VERSIONS.search(text)
        if hardware and versions:
            yield "docs.hardware", file.path, text.count("\n", 0, hardware.start()) + 1, hardware[0]
    for file in project.tree.files:
        if file.path.lower().startswith(("examples/", "example/", "notebooks/")) and file.suffix in (
            ".py",
            ".ipynb",
            ".yaml",
        ):
            yield "docs.examples", file.path, 1, "an example"


def _is_reading(file: File) -> bool:
    return file.path.lower().startswith(("docs/", "doc/", "readme")) and file.size < 400_000


def _readme(project: Project, file: File) -> Signals:
    text = project.text(file)
    if len(text) > 300:
        yield "docs.readme", file.path, 1, f"{len(text)} characters"
    for block in _FENCE.finditer(text):
        if _COMMAND.search(block[1]):
            line = text.count("\n", 0, block.start()) + 2
            yield "docs.commands", file.path, line, excerpt(block[1].strip().split("\n")[0], 60)
            return


def _configs(project: Project) -> Signals:
    for file in project.tree.files:
        if file.suffix not in (".yaml", ".yml") or file.name.startswith(".") or "compose" in file.name:
            continue
        if not any(part in ("configs", "conf", "config") for part in file.path.split("/")[:-1]):
            continue
        text = project.text(file)
        if re.search(
            r"^(lr|learning_rate|seed|defaults|model|data|train\w*|optimizer|batch_size|steps|epochs)\s*:",
            text,
            re.MULTILINE,
        ):
            yield "config.files", file.path, 1, "settings of an experiment"
        if re.search(r"^\s*(sweeper|sweep|space)\s*:", text, re.MULTILINE) or re.search(
            r"MULTIRUN|method:\s*(grid|random|bayes)", text
        ):
            yield "config.sweep_files", file.path, 1, "a sweep"
    for file in project.tree.files:
        if file.path.startswith("examples/") and file.suffix in (".yaml", ".yml"):
            found = list(project.lines(file, r"^\s*(parameters|space|grid|params):|^\s*-?\s*train\.\w+\s*:"))
            if found and "sweep" in project.text(file):
                yield "config.sweep_files", file.path, found[0][0], "a sweep"


def _git(project: Project) -> Signals:
    if project.tree.git is not None:
        yield "git.head", ".git", 0, f"commit {project.tree.git.commit[:12]}"
