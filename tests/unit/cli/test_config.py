"""What `codex-ml config` prints of the settings."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from codex_ml.cli.app import app

LOGIN = "hunter2" * 2
URI = f"tracking.mlflow.uri='http://bob:{LOGIN}@mlflow.example'"


@pytest.mark.parametrize("json_too", [(), ("--json",)])
@pytest.mark.parametrize(
    "words",
    [
        ("show", "experiment=tiny", URI),
        ("explain", "tracking.mlflow.uri", "experiment=tiny", URI),
        ("diff", "experiment=tiny", f"experiment=tiny {URI}"),
    ],
    ids=lambda words: words[0],
)
def test_an_address_is_printed_without_its_password(
    words: tuple[str, ...], json_too: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(app, ["config", *words, *json_too])
    assert done.exit_code == 0, done.output
    assert LOGIN not in done.output
    assert "[redacted:url-userinfo]@mlflow.example" in done.output
    if json_too:
        json.loads(done.stdout.splitlines()[-1])
