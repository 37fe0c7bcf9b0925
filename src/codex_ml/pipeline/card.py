"""The model card of an export: what it is, what it was trained on, what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def model_card(facts: Mapping[str, Any]) -> str:
    """Markdown with Hugging Face's YAML header, from the facts of the export."""
    config, inputs, traces = facts["config"], facts["inputs"], facts["facts"]
    base = inputs.get("base_weights")
    how = "trained from scratch" if base is None else "fine-tuned from existing weights"
    under = "" if base is None else f"| base weights | `{base}` |\n"
    figures = "\n".join(f"| {name} | {value:.4f} |" for name, value in facts["metrics"].items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [code, codex-ml]
---

# {facts["run"]}

A code language model of {facts["parameters"]:,} parameters, {how} by codex-ml on the data
source `{config["data"]["source"]}`.

| measured on held-out data | value |
|---|---|
{figures}

## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("export")
tokenizer = AutoTokenizer.from_pretrained("export")
```

## Provenance

| what | digest or value |
|---|---|
| weights | `{facts["weights_sha256"]}` |
{under}| dataset | `{inputs["dataset"]}` |
| tokenizer | `{inputs["tokenizer"]}` |
| code of codex-ml | `{inputs["code"]}` |
| commit | {_commit(traces)} |
| tags | {traces["tags"].replace(",", ", ") or "none"} |
| config | `{traces["config_sha256"]}` |
| environment | `{traces["environment_sha256"]}` |
| identity of the run | `{traces["identity_sha256"]}` |
| determinism | {traces["grade"]} |
| run | `{facts["run_id"]}` |
| step | {facts["step"]} |
| seed | {config["seed"]} |

It is as good as its data and its size: it completes code in the style it has seen and knows nothing else.
"""


def _commit(traces: Mapping[str, str]) -> str:
    """The commit of the working directory, and whether files had been changed since."""
    if not traces["commit"]:
        return "none (no repository)"
    state = {"true": " with changes", "false": ""}.get(traces["dirty"], ", changes unknown")
    return f"`{traces['commit']}`{state}"
