"""A repository in which no evidence is missing, and the change that takes away each piece of it."""

# ruff: noqa: E501 - the code of others stands here as it would in a file of theirs

from __future__ import annotations

CHECKPOINT = '''"""Save and load all of a run's state."""
import os
import random

import torch


def save_all(path, model, optimizer, scheduler, sampler):
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "random": random.getstate(),
        "sampler": sampler.position,
    }
    torch.save(state, f"{path}.tmp")
    os.replace(f"{path}.tmp", path)


def load_all(path, model, optimizer, scheduler, sampler):
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    random.setstate(state["random"])
    sampler.position = state["sampler"]
'''
MODEL = '''"""The model."""
import torch
from torch import nn


class Small(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x):
        return self.layer(x)


def open_model(path, width, device="cpu"):
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no GPU")
    model = Small(width)
    model.load_state_dict(torch.load(path, weights_only=True, map_location=device))
    return model.to(device=device)
'''
TRAIN = '''"""Training."""
import logging
import random

import psutil
import torch
from torch.nn import functional

from small.checkpoint import load_all, save_all
from small.data import loader_of, open_rows
from small.model import Small
from small.tracking import Records

log = logging.getLogger(__name__)


def learn(model, optimizer, rows, accumulation_steps):
    for number, row in enumerate(rows):
        loss = functional.mse_loss(model(row), row) / accumulation_steps
        loss.backward()
        if (number + 1) % accumulation_steps == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    return loss


def train_small(config, path):
    random.seed(config.seed)
    torch.manual_seed(config.seed)
    model = Small(config.width)
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    rows = open_rows(config.path)
    loader = loader_of(rows, config.seed)
    if config.resume:
        load_all(path, model, optimizer, scheduler, loader.sampler)
    records = Records(config)
    loss = learn(model, optimizer, loader, config.accumulation_steps)
    records.write(loss, psutil.virtual_memory().percent)
    log.info("loss %s", loss)
    save_all(path, model, optimizer, scheduler, loader.sampler)
'''
DATA = '''"""Rows: read, hashed, split, ordered."""
import hashlib

import numpy
import torch
from torch.utils.data import DataLoader, random_split


def open_rows(path):
    rows = numpy.memmap(path, dtype="float32", mode="r")
    return rows, hashlib.sha256(rows.tobytes()).hexdigest()


def halves(rows, seed):
    return random_split(rows, [0.9, 0.1], generator=torch.Generator().manual_seed(seed))


def loader_of(rows, seed):
    return DataLoader(rows, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(seed))
'''
EVALUATE = '''"""Evaluation on rows that were held out."""
import csv
import math

import torch

from small.data import halves


def perplexity(loss):
    return math.exp(loss)


@torch.no_grad()
def judge_small(model, rows, seed, out):
    model.eval()
    _, held = halves(rows, seed)
    loss = sum(float(model(row).mean()) for row in held)
    csv.writer(out).writerow(["perplexity", perplexity(loss)])
    return loss
'''
TOKENIZER = '''"""Bytes as ids."""


class Bytes:
    pad_id, eos_id = 256, 257

    def encode(self, text):
        return [*text.encode(), self.eos_id]

    def decode(self, ids):
        return bytes(one for one in ids if one < 256).decode()

    def batch_encode(self, texts):
        rows = [self.encode(text) for text in texts]
        width = max(map(len, rows))
        return [row + [self.pad_id] * (width - len(row)) for row in rows]
'''
CONFIG = '''"""The settings of a run."""
import yaml
from pydantic import BaseModel


class Config(BaseModel):
    path: str
    seed: int = 0
    width: int = 8
    resume: bool = False
    accumulation_steps: int = 1


def read_config(path):
    return Config(**yaml.safe_load(path.read_text()))


def save_config(config, path):
    path.write_text(config.model_dump_json())
'''
TRACKING = '''"""Records of a run in MLflow."""
import mlflow


class Records:
    def __init__(self, config):
        mlflow.set_tracking_uri("sqlite:///runs.db")
        self.run = mlflow.start_run()
        mlflow.set_tags(config.model_dump())

    def write(self, loss, memory):
        mlflow.log_metric("loss", float(loss))
        mlflow.log_metric("memory", memory)
'''
SAFETY = '''"""What may go in and out."""


def sanitize_prompt(text, words):
    return " ".join(word for word in text.split() if word not in words)
'''
REGISTRY = '''"""Parts by name, those of other packages too."""
from importlib import metadata


class ConflictError(Exception):
    """A name that is taken."""


class Parts:
    def __init__(self):
        self.known = {}

    def register(self, name, part):
        if name in self.known:
            raise ConflictError(name)
        self.known[name] = part

    def get(self, name):
        return self.known[name]

    def discover(self):
        for point in metadata.entry_points(group="small.parts"):
            self.register(point.name, point)
'''
SERVE = '''"""The model over HTTP."""
from fastapi import FastAPI

from small.safety import sanitize_prompt

app = FastAPI()


@app.get("/healthz")
def healthz():
    return {"ok": True}


@app.get("/complete")
def complete(text: str):
    return {"text": sanitize_prompt(text, ())}
'''
CLI = '''"""The command line."""
import argparse
from pathlib import Path

from small.config import read_config, save_config
from small.train import train_small


def build():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    return parser


def main(argv=None):
    args = build().parse_args(argv)
    config = read_config(Path(args.config))
    save_config(config, Path("config.json"))
    train_small(config, "last.pt")
'''
TESTS = """import subprocess
import sys

import pytest

from small.checkpoint import load_all, save_all
from small.config import read_config
from small.data import loader_of, open_rows
from small.evaluate import judge_small, perplexity
from small.model import Small, open_model
from small.registry import ConflictError, Parts
from small.safety import sanitize_prompt
from small.tokenizer import Bytes
from small.tracking import Records
from small.train import learn


def test_decoding_gives_back_what_was_encoded():
    assert Bytes().decode(Bytes().encode("a")) == "a"


def test_the_model_keeps_the_shape(rows):
    assert Small(4)(rows).shape == rows.shape


def test_learning_lowers_the_loss(rows):
    assert learn(Small(4), None, rows, 1) < 1


def test_what_is_saved_is_loaded(tmp_path, parts):
    save_all(tmp_path / "x", *parts)
    load_all(tmp_path / "x", *parts)
    assert parts[0] == 1


def test_one_seed_gives_one_order(rows):
    assert list(loader_of(rows, seed=1)) == list(loader_of(rows, seed=1))


def test_rows_are_read(path):
    assert open_rows(path)[1]


def test_the_perplexity_of_nothing_is_one(model, rows, out):
    assert judge_small(model, rows, 0, out) == 0
    assert perplexity(0) == 1


def test_a_wrong_config_is_refused(path):
    with pytest.raises(ValueError):
        read_config(path)


def test_records_are_read_back(config):
    records = Records(config)
    records.write(0.0, 0.0)
    assert records.run


def test_a_name_is_taken_once():
    parts = Parts()
    parts.register("a", 1)
    with pytest.raises(ConflictError):
        parts.register("a", 2)


def test_bad_words_go():
    assert sanitize_prompt("a bad word", {"bad"}) == "a word"


def test_the_command_says_what_it_wants():
    assert subprocess.run([sys.executable, "-m", "small.cli"]).returncode == 2


def test_the_commands_of_the_page_run():
    page = open("README.md").read()
    assert "small config.yaml" in page
"""
PAGE = """# Small

A model so small that it fits on a page, with everything around it that a model needs: data that are known by digest,
checkpoints that are whole, records that can be read back, a container, a command. It is for the tests of an auditor,
which has to find every piece of evidence in it, and to miss each one that is taken away.

```sh
pip install small
small config.yaml
```
"""
GUIDE = """# Guide

Everything starts with a file of settings. `path` names the rows, `seed` decides on their order and on the first
weights, `width` on the size of the model, `accumulation_steps` on how many batches make one step. A run that was
stopped goes on with `resume: true`: model, optimizer, schedule, random state and the position in the data come back.
Records go to a database of MLflow beside the run; open it with `mlflow ui`. Compare two runs there.
"""
DOCKERFILE = """FROM python:3.11-slim
COPY . /app
RUN pip install --require-hashes -r /app/requirements.lock && useradd app
USER app
HEALTHCHECK CMD ["curl", "-f", "localhost:8000/healthz"]
ENTRYPOINT ["small"]
"""
PYPROJECT = """[project]
name = "small"
version = "1.0"
dependencies = ["torch==2.13.0", "numpy==2.3.0", "mlflow==3.17.0", "pydantic==2.12.0", "pyyaml==6.0.3", "fastapi==0.120.0", "psutil==7.1.0"]
[project.scripts]
small = "small.cli:main"
[tool.ruff]
line-length = 100
[tool.coverage.report]
fail_under = 80
"""
LOCK = "torch==2.13.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
HOOKS = """repos:
- repo: https://github.com/Yelp/detect-secrets
  rev: v1.5.0
  hooks:
  - id: detect-secrets
    args: ["--baseline", ".secrets.baseline"]
"""
WHOLE: dict[str, str | bytes] = {
    "src/small/__init__.py": "",
    "src/small/checkpoint.py": CHECKPOINT,
    "src/small/model.py": MODEL,
    "src/small/train.py": TRAIN,
    "src/small/data.py": DATA,
    "src/small/evaluate.py": EVALUATE,
    "src/small/tokenizer.py": TOKENIZER,
    "src/small/config.py": CONFIG,
    "src/small/tracking.py": TRACKING,
    "src/small/safety.py": SAFETY,
    "src/small/registry.py": REGISTRY,
    "src/small/serve.py": SERVE,
    "src/small/cli.py": CLI,
    "tests/test_small.py": TESTS,
    "configs/sweep.yaml": "hydra:\n  sweeper:\n    params:\n      seed: range(0, 3)\n",
    "README.md": PAGE,
    "docs/guide.md": GUIDE,
    "Dockerfile": DOCKERFILE,
    "pyproject.toml": PYPROJECT,
    "requirements.lock": LOCK,
    ".pre-commit-config.yaml": HOOKS,
    ".secrets.baseline": '{"version": "1.5.0", "results": {}}\n',
    ".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n    - run: pytest\n",
}

_T, _C, _R, _M = "tests/test_small.py", "src/small/checkpoint.py", "src/small/train.py", "src/small/model.py"
#: (capability, need) -> (file, what goes, what stands there instead).
WITHOUT: dict[tuple[str, str], tuple[str, str, str]] = {
    ("tokenization", "use"): ("src/small/tokenizer.py", "def decode(", "def undo("),
    ("tokenization", "batch"): ("src/small/tokenizer.py", "def batch_encode(", "def rows_of("),
    ("tokenization", "special"): ("src/small/tokenizer.py", "_id", "_mark"),
    ("tokenization", "guarded"): (
        "src/small/tokenizer.py",
        '"""\n\n\nclass',
        '"""\nimport sentencepiece\n\n\nclass',
    ),
    ("tokenization", "tested"): (_T, 'assert Bytes().decode(Bytes().encode("a")) == "a"', "assert sys.argv"),
    ("modeling", "use"): (_M, "from torch import nn", "import other as nn"),
    ("modeling", "device"): (_M, ".to(device=device)", ""),
    ("modeling", "checked"): (_M, "torch.cuda.is_available()", "device"),
    ("modeling", "trusted"): (_M, "Small(width)", 'AutoModel.from_pretrained("x", trust_remote_code=True)'),
    ("training", "step"): (_R, "loss.backward()", "loss.item()"),
    ("training", "resume"): (_C, 'optimizer.load_state_dict(state["optimizer"])', "pass"),
    ("training", "accumulate"): (_R, "accumulation_steps", "size"),
    ("training", "clip"): (_R, "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)", "pass"),
    ("training", "seeded"): (_R, "seed(config.seed)", "getstate()"),
    ("training", "tested"): (_T, "assert learn(Small(4), None, rows, 1) < 1", "assert rows"),
    ("configuration", "checked"): ("src/small/config.py", "(BaseModel)", ""),
    ("configuration", "sweep"): ("configs/sweep.yaml", "sweeper", "other"),
    ("configuration", "tested"): (_T, "        read_config(path)\n", "        int(path)\n"),
    ("evaluation", "use"): ("src/small/evaluate.py", "    model.eval()\n", ""),
    ("evaluation", "metric"): (
        "src/small/evaluate.py",
        "perplexity(loss):\n    return math.exp(loss)",
        "mean(x):\n    return x",
    ),
    ("evaluation", "split"): ("src/small/data.py", "random_split(rows", "list(rows"),
    ("evaluation", "written"): (
        "src/small/evaluate.py",
        'csv.writer(out).writerow(["perplexity", perplexity(loss)])',
        "pass",
    ),
    ("evaluation", "tested"): (_T, "assert judge_small(model, rows, 0, out) == 0", "assert model"),
    ("monitoring", "system"): (_R, "psutil", "other"),
    ("monitoring", "loud"): (
        _R,
        "    records = Records(config)",
        "    try:\n        records = Records(config)\n    except Exception:\n        pass",
    ),
    ("checkpointing", "save"): (_C, 'torch.save(state, f"{path}.tmp")', "print(state)"),
    ("checkpointing", "optimizer saved"): (_C, '        "optimizer": optimizer.state_dict(),\n', ""),
    ("checkpointing", "optimizer loaded"): (_C, 'optimizer.load_state_dict(state["optimizer"])', "pass"),
    ("checkpointing", "schedule saved"): (_C, '        "scheduler": scheduler.state_dict(),\n', ""),
    ("checkpointing", "schedule loaded"): (_C, 'scheduler.load_state_dict(state["scheduler"])', "pass"),
    ("checkpointing", "random state saved"): (_C, '        "random": random.getstate(),\n', ""),
    ("checkpointing", "random state loaded"): (_C, 'random.setstate(state["random"])', "pass"),
    ("checkpointing", "data position saved"): (_C, '        "sampler": sampler.position,\n', ""),
    ("checkpointing", "data position loaded"): (_C, 'sampler.position = state["sampler"]', "pass"),
    ("checkpointing", "atomic"): (_C, 'os.replace(f"{path}.tmp", path)', "pass"),
    ("checkpointing", "tested"): (_T, '    save_all(tmp_path / "x", *parts)\n', ""),
    ("data", "order"): (
        "src/small/data.py",
        "shuffle=True, generator=torch.Generator().manual_seed(seed)",
        "shuffle=True",
    ),
    ("data", "split"): ("src/small/data.py", "random_split(rows", "list(rows"),
    ("data", "digest"): ("src/small/data.py", "hashlib.sha256(rows.tobytes()).hexdigest()", "len(rows)"),
    ("security", "scan"): (".pre-commit-config.yaml", "detect-secrets", "other"),
    ("security", "filter"): ("src/small/safety.py", "def sanitize_prompt(", "def shorter("),
    ("security", "secrets"): (
        "src/small/serve.py",
        "app = FastAPI()",
        "app = FastAPI()\nTOKEN = 'ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a'",
    ),
    ("security", "loads"): (_C, ", weights_only=True", ""),
    ("security", "code"): (_R, "    random.seed(", "    eval(config.path)\n    random.seed("),
    ("security", "shell"): (
        _R,
        "    random.seed(",
        "    import os\n    os.system(config.path)\n    random.seed(",
    ),
    ("security", "locked"): ("requirements.lock", "--hash=sha256:", "# "),
    ("security", "tested"): (
        _T,
        'assert sanitize_prompt("a bad word", {"bad"}) == "a word"',
        "assert sys.argv",
    ),
    ("ci", "gate"): (".github/workflows/ci.yml", "pytest", "pip install pytest"),
    ("ci", "lint"): ("pyproject.toml", "[tool.ruff]", "[tool.other]"),
    ("ci", "coverage"): ("pyproject.toml", "fail_under", "other"),
    ("ci", "assertions"): (_T, "    assert open_rows(path)[1]\n", "    open_rows(path)\n"),
    ("deployment", "image"): ("Dockerfile", "FROM", "# FROM"),
    ("deployment", "entry"): ("Dockerfile", 'ENTRYPOINT ["small"]\n', ""),
    ("deployment", "health"): ("Dockerfile", "HEALTHCHECK CMD", "HEALTHCHECK NONE #"),
    ("deployment", "user"): ("Dockerfile", "USER app", "USER root"),
    ("deployment", "serve"): ("src/small/serve.py", SERVE, "PORT = 8000\n"),
    ("documentation", "readme"): ("README.md", PAGE, "# Small\n\n```sh\npip install small\n```\n"),
    ("documentation", "quickstart"): ("README.md", "pip install small\nsmall config.yaml", "..."),
    ("documentation", "pages"): ("docs/guide.md", GUIDE, "# Guide\n"),
    ("documentation", "checked"): (_T, 'open("README.md").read()', "sys.argv"),
    ("tracking", "use"): ("src/small/tracking.py", "mlflow.", "other."),
    ("tracking", "facts"): ("src/small/tracking.py", "mlflow.set_tags(config.model_dump())", "pass"),
    ("tracking", "where"): ("src/small/tracking.py", 'mlflow.set_tracking_uri("sqlite:///runs.db")', "pass"),
    ("tracking", "tested"): (_T, "    records = Records(config)\n", "    records = config\n"),
    ("cli", "declared"): ("pyproject.toml", "[project.scripts]", "[tool.other]"),
    ("cli", "dependencies"): ("src/small/cli.py", "import argparse", "import argparse\nimport click"),
    ("cli", "tested"): (_T, "subprocess.run(", "print("),
    ("extensibility", "plugins"): (
        "src/small/registry.py",
        'metadata.entry_points(group="small.parts")',
        "()",
    ),
    ("extensibility", "tested"): (
        _T,
        '    parts = Parts()\n    parts.register("a", 1)\n    with pytest.raises(ConflictError):\n        parts.register("a", 2)\n',
        "    assert sys.argv\n",
    ),
}
