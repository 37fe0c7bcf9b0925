"""Stage ``prepare``: corpus, tokenizer and packed tokens from the store, built where absent."""

from __future__ import annotations

from codex_ml.data.select import prepare_for
from codex_ml.pipeline.base import check_tokenizer, find_base
from codex_ml.pipeline.context import Work
from codex_ml.pipeline.kept import kept_lines


def prepare(work: Work) -> None:
    """Find or build the dataset of the config, and say how much of the input it holds."""
    work.base = find_base(work.config)
    work.dataset = prepare_for(work.config, home=work.request.home, progress=work.reporter.progress)
    if work.base is not None:
        check_tokenizer(work.base, entries=int(work.dataset.manifest["vocab_size"]))
    work.reporter.say(f"data ready: {work.dataset.digest[:12]} ({work.dataset.directory})")
    for line in kept_lines(work.dataset):
        work.reporter.say(line)
