"""Stage ``prepare``: corpus, tokenizer and packed tokens from the store, built where absent."""

from __future__ import annotations

from codex_ml.data.prepare import prepare_dataset
from codex_ml.pipeline.context import Work


def prepare(work: Work) -> None:
    """Find or build the dataset of the config."""
    config = work.config
    work.dataset = prepare_dataset(
        config.data,
        tokenizer_cfg=config.tokenizer,
        context=config.model.context,
        home=work.request.home,
        progress=work.reporter.progress,
    )
    work.reporter.say(f"data ready: {work.dataset.digest[:12]} ({work.dataset.directory})")
