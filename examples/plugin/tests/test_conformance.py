"""Every part of the plugin is put through the kit of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_ml.testing import Check, conformance_checks

PARTS = {
    "trackers": "codex_example.tracker:LinesTracker",
    "callbacks": "codex_example.callback:watch",
    "data_sources": "codex_example.source:NumberedSource",
    "metrics": "codex_example.metric:prefix_match",
    "reward_models": "codex_example.reward:BrevityReward",
    "audit_rules": "codex_example.rule:RULE",
    "commands": "codex_example.command:command",
    "config_groups": "codex_example.configs",
}
CHECKS = [(check, target) for kind, target in PARTS.items() for check in conformance_checks(kind)]


@pytest.mark.parametrize(("check", "target"), CHECKS, ids=str)
def test_the_part_conforms(check: Check, target: str, tmp_path: Path) -> None:
    assert check(target, tmp_path)
