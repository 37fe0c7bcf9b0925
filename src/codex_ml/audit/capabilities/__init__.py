"""The fifteen rows of the audit table, one file each, in the order of the report."""

from __future__ import annotations

from codex_ml.audit.capabilities import (
    checkpointing,
    ci,
    cli,
    configuration,
    data,
    deployment,
    documentation,
    evaluation,
    extensibility,
    modeling,
    monitoring,
    security,
    tokenization,
    tracking,
    training,
)

CAPABILITIES = tuple(
    module.CAPABILITY
    for module in (
        *(tokenization, modeling, training, configuration, evaluation, monitoring, checkpointing, data),
        *(security, ci, deployment, documentation, tracking, cli, extensibility),
    )
)
