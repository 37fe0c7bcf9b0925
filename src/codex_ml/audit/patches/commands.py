"""What an image is for, and whether its program parses arguments, from what the repository shows."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from codex_ml.audit.audit import Audit
from codex_ml.audit.containers import Image
from codex_ml.audit.facts import FileFacts

_PYTHON = re.compile(r"^(?:/usr(?:/local)?/bin/)?python(?:3(?:\.\d+)?)?$")
_PROGRAMS = frozenset(
    {"uvicorn", "gunicorn", "hypercorn", "streamlit", "flask", "torchrun", "accelerate", "ray"}
)
_INSTALLERS = frozenset({"pip", "pip3", "uv", "pipx", "poetry", "pdm", "hatch"})
_INSTALLS = frozenset({"install", "sync"})
_PARSERS = frozenset(
    {
        *("click", "typer", "hydra", "fire", "absl", "tyro", "docopt", "jsonargparse", "simple_parsing"),
        *("cyclopts", "tap", "configargparse", "plac"),
    }
)


def known_command(audit: Audit, image: Image) -> list[str]:
    """What the image is for: its CMD in exec form, else the one command that the project installs there."""
    start = image.last("CMD")
    if start is not None:
        return start.exec_form
    scripts = _scripts(audit)
    installs = any(one.word == "RUN" and _installs(one.rest) for one in image.every)
    return [next(iter(scripts))] if len(scripts) == 1 and installs else []


def _installs(line: str) -> bool:
    """Whether one of the commands of a line installs packages."""
    commands = (set(command.split()) for command in re.split(r"[&;|]", line))
    return any(words & _INSTALLERS and words & _INSTALLS for words in commands)


def is_program(audit: Audit, command: list[str]) -> bool:
    """Whether a command begins with a program, and is no argument of the base's own entry point."""
    if not command or "-c" in command:
        return False
    name = command[0]
    absolute = name.startswith("/") and not name.endswith(("/sh", "/bash"))
    return absolute or name in _PROGRAMS or _PYTHON.match(name) is not None or name in _scripts(audit)


def parses_arguments(audit: Audit, image_path: str, command: list[str]) -> bool:
    """Whether the command is one of the repository that parses its arguments before it does anything."""
    if not command:
        return False
    if not _PYTHON.match(command[0]):
        target = _scripts(audit).get(command[0], "") if len(command) == 1 else ""
        return any(_parses(one) for one in _modules(audit, target.partition(":")[0], script=False))
    if len(command) == 3 and command[1] == "-m":
        return any(_parses(one) for one in _modules(audit, command[2], script=True))
    if len(command) == 2 and command[1].endswith(".py"):
        folder = PurePosixPath(image_path).parent
        wanted = {str(folder / command[1]), str(PurePosixPath(command[1]))}
        return any(_parses(one) for one in audit.index.facts if one.path in wanted)
    return False


def _parses(facts: FileFacts) -> bool:
    called = {name for names in facts.calls.values() for name in names}
    heads = {name.partition(".")[0] for name in facts.imports}
    return bool(called & {"parse_args", "parse_args_into_dataclasses"}) or not heads.isdisjoint(_PARSERS)


def _modules(audit: Audit, module: str, *, script: bool) -> list[FileFacts]:
    """The file that ``python -m module`` runs (*script*), or that ``import module`` reads."""
    path = module.replace(".", "/")
    names = (f"{path}.py", f"{path}/__main__.py" if script else f"{path}/__init__.py")
    wanted = {f"{root}{name}" for root in ("", "src/") for name in names} if module else set()
    return [one for one in audit.index.facts if one.path in wanted]


def _scripts(audit: Audit) -> dict[str, str]:
    """Command -> ``module:function``, as the package declares them."""
    pyproject = audit.index.project.pyproject
    found: dict[str, str] = {}
    for section in (pyproject.get("project", {}), pyproject.get("tool", {}).get("poetry", {})):
        scripts = section.get("scripts", {}) if isinstance(section, dict) else {}
        if isinstance(scripts, dict):
            found |= {name: target for name, target in sorted(scripts.items()) if isinstance(target, str)}
    return found
