"""`codex-ml doctor`: what is installed, missing or broken on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from codex_ml.cli.common import Invocation, common_options, config_options

_MARKS = {"ok": "ok", "absent": "absent", "broken": "BROKEN"}


@click.command("doctor")
@common_options
@config_options
def command(invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None) -> int:
    """Examine installation, hardware and permissions; exit 1 when the config needs what is absent."""
    from codex_ml.pipeline.doctor import examine

    config = invocation.compose(overrides, config_dir).config
    findings = examine(config, home=invocation.home)
    harmful = [finding for finding in findings if finding.harmful]
    lines: list[str] = []
    topic = ""
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            lines.append(topic)
        flag = "  <- needed" if finding.harmful else ""
        lines.append(f"  {_MARKS[finding.state]:<8}{finding.name:<28}{finding.detail}{flag}")
    lines.append("")
    lines.append(
        "all that the config needs is here" if not harmful else f"{len(harmful)} needed things are amiss"
    )
    invocation.emit(
        {"findings": [finding.as_dict() for finding in findings], "ok": not harmful}, "\n".join(lines)
    )
    return 1 if harmful else 0
