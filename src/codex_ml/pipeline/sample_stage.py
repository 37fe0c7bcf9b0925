"""Stage ``sample``: complete the prompts of the config and keep the texts."""

from __future__ import annotations

from pathlib import Path

import torch

from codex_ml.config.keys import to_dict
from codex_ml.core.publish import read_json, write_json
from codex_ml.errors import IntegrityError
from codex_ml.generation.generate import complete
from codex_ml.pipeline.context import Work


def _asked(file: Path) -> object:
    """The request that *file* answers; None when it is damaged, so that it is made again."""
    try:
        return read_json(file)["asked"]
    except (IntegrityError, KeyError, TypeError):
        return None


def sample(work: Work) -> None:
    """Write ``samples/step-N.json``; an equal request already answered is left alone."""
    assert work.target is not None and work.resolved is not None
    cfg, target = work.config.sample, work.target
    file = work.directory.samples / f"step-{target.step:08d}.json"
    asked = {"weights": target.weights_sha256, "settings": to_dict(cfg), "seed": work.config.seed}
    if file.is_file() and _asked(file) == asked:
        return
    model = target.load_model(device=torch.device(work.resolved.device))
    tokenizer = target.load_tokenizer()
    rows = []
    for prompt in cfg.prompts:
        done = complete(
            model,
            target.prompt_ids(prompt),
            samples=1,
            max_tokens=cfg.max_tokens,
            temperature=cfg.temperature,
            top_p=cfg.top_p,
            seed=work.config.seed,
            end=tokenizer.eos_id,
        )[0]
        rows.append({"prompt": prompt, "completion": tokenizer.decode(done.tokens), "ended": done.ended})
        work.reporter.progress(len(rows), len(cfg.prompts), "samples")
    write_json(file, {"asked": asked, "samples": rows})
