"""Trackers, callbacks, rules, commands and config groups."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def records_of_a_run_are_taken_and_it_is_closed(make: Any, directory: Path) -> None:
    """As a run calls it: records, sync, the end."""
    tracker = make(_context(directory))
    tracker.write(_records(1))
    tracker.sync()
    tracker.write(_records(2))
    tracker.close("finished", [])


def a_run_that_is_resumed_opens_it_again(make: Any, directory: Path) -> None:
    """In the same directory, at a later step."""
    for step in (0, 1):
        tracker = make(_context(directory, resume_step=step))
        tracker.write(_records(step + 1))
        tracker.close("interrupted", [])


def _context(directory: Path, *, resume_step: int = 0) -> Any:
    from codex_ml.tracking.context import TrackerContext

    run = directory / "run"
    run.mkdir(exist_ok=True)
    return TrackerContext(run, "0" * 32, name="conformance", resume_step=resume_step, facts={"seed": "1"})


def _records(step: int) -> list[Any]:
    from codex_ml.metrics import MetricRecord

    return [MetricRecord("0" * 32, step, "train", "train", "loss", 2.5 / step, time.time())]


def a_rule_looks_at_code_and_leaves_the_repository_alone(rule: Any, directory: Path) -> None:
    """Findings are findings, and carry the rule's id."""
    from codex_ml.audit.facts import facts_of
    from codex_ml.audit.index import Index
    from codex_ml.audit.model import SEVERITIES, Finding
    from codex_ml.audit.project import read_project
    from codex_ml.audit.tree import read_tree
    from codex_ml.audit.walk import parse

    root = directory / "repository"
    root.mkdir()
    text = "import os\n\n\ndef train(path):\n    os.system(path)\n    raise NotImplementedError\n"
    (root / "a.py").write_text(text, encoding="utf-8")
    facts = facts_of(parse("a.py", text), [rule])
    tree = read_tree(root)
    found: Sequence[Any] = facts.findings
    if rule.tree is not None:
        found = list(rule.tree(Index(tree, read_project(tree), [facts], []), facts.findings))
    for one in found:
        assert isinstance(one, Finding) and one.rule == rule.id, f"{one!r} is no finding of {rule.id}"
        assert one.severity in SEVERITIES, f"no severity: {one.severity}"
    assert (root / "a.py").read_text(encoding="utf-8") == text


def a_record_of_a_step_is_taken(callback: Any, directory: Path) -> None:
    """It is called and returns."""
    for record in _records(1):
        callback(record)
    del directory


def a_command_explains_itself(command: Any, _directory: Path) -> None:
    """Help for people, and a name."""
    assert command.help, "the command has no help"
    assert command.callback is not None or getattr(command, "commands", None), "the command does nothing"


def groups_hold_yaml(package: Any, _directory: Path) -> None:
    """GROUP/OPTION.yaml, each a mapping."""
    import yaml

    files = [path for place in package.__path__ for path in sorted(Path(place).glob("*/*.yaml"))]
    assert files, "the package holds no GROUP/OPTION.yaml"
    for file in files:
        body = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert isinstance(body, dict), f"{file} is no mapping"
