"""Stage ``prepare``: corpus, tokenizer and packed tokens from the store, built where absent."""

from __future__ import annotations

from codex_ml.data.prepare import DatasetRef
from codex_ml.data.select import prepare_for
from codex_ml.data.sft.prepare import SamplesRef
from codex_ml.pipeline.base import check_tokenizer, find_base
from codex_ml.pipeline.context import Work


def prepare(work: Work) -> None:
    """Find or build the dataset of the config, and say how much of the input it holds."""
    work.base = find_base(work.config)
    work.dataset = prepare_for(work.config, home=work.request.home, progress=work.reporter.progress)
    if work.base is not None:
        check_tokenizer(work.base, entries=int(work.dataset.manifest["vocab_size"]))
    work.reporter.say(f"data ready: {work.dataset.digest[:12]} ({work.dataset.directory})")
    for line in kept_lines(work.dataset):
        work.reporter.say(line)


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
