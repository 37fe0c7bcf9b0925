"""How much of its input a dataset holds, in words."""

from __future__ import annotations

from codex_ml.data.prepare import DatasetRef
from codex_ml.data.sft.prepare import SamplesRef


def kept_lines(dataset: DatasetRef | SamplesRef) -> list[str]:
    """What was kept, what was left out and why; a warning for answers that do not end."""
    if isinstance(dataset, SamplesRef):
        splits, dropped, unit = dataset.manifest["splits"], dataset.manifest["dropped"], "samples"
    else:
        corpus = dataset.corpus.manifest
        splits, unit = corpus["splits"], "documents"
        dropped = {reason: row["documents"] for reason, row in corpus["dropped"].items()}
    kept, left = (sum(row[unit] for row in splits.values()), sum(dropped.values()))
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(dropped.items()))
    lines = [f"{unit}: {kept:,} of {kept + left:,} kept" + (f"; left out: {reasons}" if left else "")]
    if isinstance(dataset, SamplesRef):
        if cut := sum(row["truncated"] for row in splits.values()):
            lines[0] += f"; {cut:,} of those kept are cut (data.overlong=truncate)"
        if endless := sum(row["endless"] for row in splits.values()):
            lines.append(
                f"warning: {endless:,} of {kept:,} answers end without a special token, so that a model does "
                "not learn to stop; let the template write one, inside its generation block if it has any"
            )
    return lines
