"""What configurations say in place of code: ``_target_: package.Class``, and options of trainers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from codex_ml.audit.model import Evidence
from codex_ml.audit.project import Project
from codex_ml.audit.signals import Matcher
from codex_ml.audit.tree import File

_ROW = re.compile(r"^[ \t-]*([A-Za-z_]\w*)[ \t]*:[ \t]*([^#\n]*)")
#: Values that switch an option off.
_OFF = frozenset({"", "null", "~", "none", "no", "false", "off", "never", "0", "0.0", "[]", "{}"})
_LARGEST = 200_000
_ELSEWHERE = (".github/", ".circleci/", ".gitlab/", "tests/", "test/")


def settings_signals(project: Project, matcher: Matcher) -> dict[str, list[Evidence]]:
    """Signal -> lines of YAML that show it, in the order of paths."""
    found: dict[str, list[Evidence]] = defaultdict(list)
    for file in project.tree.files:
        if file.suffix in (".yaml", ".yml") and file.size < _LARGEST and not _is_elsewhere(file):
            for number, key, value in _rows(project.text(file)):
                for signal in _shown(matcher, key, value):
                    found[signal].append(Evidence(file.path, number, "", f"{key}: {value}"[:60]))
    return dict(found)


def _is_elsewhere(file: File) -> bool:
    return file.path.startswith(_ELSEWHERE) or file.name.startswith(".") or "compose" in file.name


def _rows(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if match := _ROW.match(line):
            yield number, match[1], match[2].strip().strip("'\"")


def _shown(matcher: Matcher, key: str, value: str) -> set[str]:
    if key == "_target_":
        return set(matcher.by_call(value))
    # A seed that is written down is no generator that was given it.
    shown = set() if value.lower() in _OFF else set(matcher.by_option(key))
    return {name for name in shown if not name.startswith("repro.")}
