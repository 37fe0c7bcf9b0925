"""Ten shapes of ML repositories, written for the auditor's tests: what each is, and what a person says of it."""

# ruff: noqa: E501 - the code of others stands here as it would in a file of theirs

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

DONE, P, S, M = "Implemented", "Partially Implemented", "Stubbed", "Missing"


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def commit(root: Path, *, seconds: int = 1_700_000_000) -> Path:
    """One commit at a fixed time, whoever runs this."""
    env = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (
            *(("NAME", "nobody"), ("EMAIL", "nobody@example.invalid"), ("DATE", f"{seconds} +0000")),
        )
    }
    import os

    def git(*words: str) -> None:
        subprocess.run(
            ("git", "-C", str(root), *words), check=True, capture_output=True, env=os.environ | env
        )

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "--allow-empty", "-m", "the beginning")
    return root


NANO_TRAIN = '''
"""Train a small GPT from scratch: python train.py --batch_size=12"""
import math, os, time
import numpy as np
import torch
from torch.nn import functional as F
from model import GPT, GPTConfig

out_dir = "out"
gradient_accumulation_steps = 8
batch_size = 12
grad_clip = 1.0
device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = "bfloat16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"
init_from = "scratch"
iter_num = 0
exec(open("configurator.py").read())
torch.manual_seed(1337)

def get_batch(split):
    data = np.memmap(os.path.join("data", split + ".bin"), dtype=np.uint16, mode="r")
    ix = torch.randint(len(data) - 128, (batch_size,))
    x = torch.stack([torch.from_numpy(data[i : i + 128].astype(np.int64)) for i in ix])
    y = torch.stack([torch.from_numpy(data[i + 1 : i + 129].astype(np.int64)) for i in ix])
    return x.to(device), y.to(device)

model = GPT(GPTConfig())
optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4)
if init_from == "resume":
    checkpoint = torch.load(os.path.join(out_dir, "ckpt.pt"), map_location=device)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    iter_num = checkpoint["iter_num"]

@torch.no_grad()
def estimate_loss():
    out = {}
    model.eval()
    for split in ["train", "val"]:
        losses = torch.zeros(20)
        for k in range(20):
            X, Y = get_batch(split)
            logits, loss = model(X, Y)
            losses[k] = loss.item()
        out[split] = losses.mean()
    model.train()
    return out

def get_lr(it):
    return 6e-4 * 0.5 * (1.0 + math.cos(math.pi * it / 1000))

while True:
    for group in optimizer.param_groups:
        group["lr"] = get_lr(iter_num)
    if iter_num % 100 == 0:
        losses = estimate_loss()
        print(f"step {iter_num}: val {losses['val']:.4f}")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "iter_num": iter_num},
                   os.path.join(out_dir, "ckpt.pt"))
    for micro_step in range(gradient_accumulation_steps):
        X, Y = get_batch("train")
        logits, loss = model(X, Y)
        (loss / gradient_accumulation_steps).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    iter_num += 1
'''
NANO_MODEL = """
from dataclasses import dataclass
import torch
import torch.nn as nn
from torch.nn import functional as F

@dataclass
class GPTConfig:
    n_layer: int = 6
    n_embd: int = 384

class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)

    def forward(self, x):
        return self.c_fc(x)

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.h = nn.ModuleList([MLP(config) for _ in range(config.n_layer)])

    def forward(self, idx, targets=None):
        x = idx
        for block in self.h:
            x = block(x)
        loss = F.cross_entropy(x.view(-1, x.size(-1)), targets.view(-1)) if targets is not None else None
        return x, loss

    @classmethod
    def from_pretrained(cls, kind):
        raise NotImplementedError
"""
NANO_PREPARE = """
import os, pickle
import numpy as np

with open("input.txt") as f:
    data = f.read()
chars = sorted(set(data))
stoi = {ch: i for i, ch in enumerate(chars)}
itos = {i: ch for i, ch in enumerate(chars)}

def encode(s):
    return [stoi[c] for c in s]

def decode(ids):
    return "".join(itos[i] for i in ids)

n = len(data)
train_ids, val_ids = encode(data[: int(n * 0.9)]), encode(data[int(n * 0.9) :])
np.array(train_ids, dtype=np.uint16).tofile("train.bin")
np.array(val_ids, dtype=np.uint16).tofile("val.bin")
"""
README = """# {name}

What this is, in a sentence or two, so that a reader knows whether to go on: it trains a language model on text
and writes checkpoints into a directory. It needs Python and a GPU; a CPU will do for the smallest setting. The
data have to be prepared first, and everything is configured on the command line or in a file.

## Quick start

```sh
pip install -r requirements.txt
python train.py
```
"""


def nano(root: Path) -> Path:
    return commit(
        write(
            root,
            {
                "train.py": NANO_TRAIN,
                "model.py": NANO_MODEL,
                "data/chars/prepare.py": NANO_PREPARE,
                "configurator.py": "import sys\nfor arg in sys.argv[1:]:\n    key, value = arg[2:].split('=')\n    globals()[key] = value\n",
                "README.md": README.format(name="nano"),
                "requirements.txt": "torch\nnumpy\n",
            },
        )
    )


HF_TRAIN = """
import argparse
import logging
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments, set_seed
import wandb

logger = logging.getLogger(__name__)


def build_parser():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=str, default="gpt2")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--resume-from", type=str, default=None)
    return parser


def tokenize(tokenizer, rows):
    return tokenizer(rows["text"], truncation=True, padding="max_length", max_length=512)


def main():
    args = build_parser().parse_args()
    set_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(args.model, trust_remote_code=True, torch_dtype="auto")
    data = load_dataset("json", data_files="data/train.jsonl")["train"].train_test_split(test_size=0.1)
    wandb.init(project="finetune", config=vars(args))
    training_args = TrainingArguments(
        output_dir="out", save_steps=100, gradient_accumulation_steps=4, max_grad_norm=1.0, report_to="wandb",
        seed=args.seed,
    )
    trainer = Trainer(model=model, args=training_args, train_dataset=data["train"], eval_dataset=data["test"])
    trainer.train()
    trainer.save_model("out/final")
    print(trainer.evaluate())


if __name__ == "__main__":
    main()
"""


def hf_finetune(root: Path) -> Path:
    return commit(
        write(
            root,
            {
                "finetune/train.py": HF_TRAIN,
                "finetune/__init__.py": "",
                "tests/test_train.py": "from finetune.train import build_parser\n\n\ndef test_the_seed_has_a_default():\n"
                "    assert build_parser().parse_args([]).seed == 42\n",
                "tests/test_todo.py": "from finetune.train import tokenize\n\n\ndef test_tokenize():\n    tokenize(None, {'text': ['a']})\n",
                "pyproject.toml": '[project]\nname = "finetune"\nversion = "0.1"\ndependencies = ["torch", "transformers>=4", "datasets", "wandb"]\n'
                '[project.scripts]\nfinetune = "finetune.train:main"\n[tool.ruff]\nline-length = 100\n',
                "Dockerfile": 'FROM python:3.11-slim\nCOPY . /app\nWORKDIR /app\nRUN pip install .\nCMD ["python", "-m", "finetune.train"]\n',
                "README.md": README.format(name="finetune"),
                ".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: pytest\n",
                ".pre-commit-config.yaml": "repos:\n- repo: https://github.com/Yelp/detect-secrets\n  rev: v1.5.0\n  hooks:\n  - id: detect-secrets\n",
            },
        )
    )


LIGHTNING_MODULE = """
import lightning as L
import torch
from torch import nn
from torchmetrics import Accuracy


class Classifier(L.LightningModule):
    def __init__(self, hidden: int = 64, lr: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(16, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.accuracy = Accuracy(task="binary")

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val/loss", nn.functional.cross_entropy(self(x), y))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
"""
LIGHTNING_DATA = """
import lightning as L
import torch
from torch.utils.data import DataLoader, TensorDataset, random_split


class RandomData(L.LightningDataModule):
    def __init__(self, seed: int = 0, batch_size: int = 8):
        super().__init__()
        self.seed, self.batch_size = seed, batch_size

    def setup(self, stage=None):
        generator = torch.Generator().manual_seed(self.seed)
        data = TensorDataset(torch.randn(64, 16, generator=generator), torch.randint(0, 2, (64,), generator=generator))
        self.train, self.val_data = random_split(data, [48, 16], generator=generator)

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True, generator=torch.Generator().manual_seed(self.seed))

    def val_dataloader(self):
        return DataLoader(self.val_data, batch_size=self.batch_size)
"""
LIGHTNING_TRAIN = """
import logging
import hydra
import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import MLFlowLogger
from omegaconf import DictConfig, OmegaConf
from template.data import RandomData
from template.module import Classifier

log = logging.getLogger(__name__)


@hydra.main(version_base=None, config_path="../configs", config_name="train")
def main(cfg: DictConfig) -> None:
    L.seed_everything(cfg.seed, workers=True)
    OmegaConf.save(cfg, "config.yaml")
    logger = MLFlowLogger(tracking_uri=cfg.tracking_uri)
    trainer = L.Trainer(
        max_epochs=cfg.epochs, accumulate_grad_batches=cfg.accumulate, gradient_clip_val=1.0, deterministic=True,
        callbacks=[ModelCheckpoint(dirpath="checkpoints")], logger=logger,
    )
    trainer.fit(Classifier(), datamodule=RandomData(cfg.seed), ckpt_path=cfg.ckpt_path)
    trainer.validate(datamodule=RandomData(cfg.seed))


if __name__ == "__main__":
    main()
"""
LIGHTNING_TEST = """
import torch
from template.data import RandomData
from template.module import Classifier
from template.train import main


def test_two_runs_of_one_seed_have_the_same_batches():
    batches = []
    for _ in range(2):
        data = RandomData(seed=3)
        data.setup()
        batches.append(next(iter(data.train_dataloader()))[0])
    assert torch.equal(*batches)


def test_the_shape_of_logits():
    assert Classifier()(torch.zeros(4, 16)).shape == (4, 2)
"""


def lightning(root: Path) -> Path:
    return commit(
        write(
            root,
            {
                "template/__init__.py": "",
                "template/module.py": LIGHTNING_MODULE,
                "template/data.py": LIGHTNING_DATA,
                "template/train.py": LIGHTNING_TRAIN,
                "tests/test_template.py": LIGHTNING_TEST,
                "configs/train.yaml": "seed: 1\nepochs: 2\naccumulate: 1\ntracking_uri: sqlite:///mlflow.db\nckpt_path: null\n",
                "configs/sweep.yaml": "hydra:\n  sweeper:\n    params:\n      lr: choice(1e-3, 1e-4)\n",
                "setup.py": 'from setuptools import setup\nsetup(name="template", install_requires=["torch>=2", "lightning>=2", "hydra-core", "torchmetrics", "omegaconf"])\n',
                "README.md": README.format(name="template"),
                "Makefile": "test:\n\tpytest\n",
            },
        )
    )


def notebook(*cells: tuple[str, str]) -> str:
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": kind,
                    "source": text.splitlines(keepends=True),
                    "metadata": {},
                    **({"outputs": [], "execution_count": None} if kind == "code" else {}),
                }
                for kind, text in cells
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def notebooks(root: Path) -> Path:
    return commit(
        write(
            root,
            {
                "train.ipynb": notebook(
                    ("markdown", "# Training"),
                    ("code", "%pip install torch\nimport torch\nfrom torch import nn\nimport pandas as pd"),
                    (
                        "code",
                        "data = pd.read_csv('data.csv')\nmodel = nn.Linear(4, 2)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)",
                    ),
                    (
                        "code",
                        "for epoch in range(3):\n    loss = model(torch.zeros(1, 4)).sum()\n    loss.backward()\n    optimizer.step()",
                    ),
                    ("code", "torch.save(model.state_dict(), 'model.pt')"),
                ),
                "gpu.ipynb": notebook(("markdown", "TODO"), ("code", "!bash check_gpu.sh")),
                "README.md": "# notebooks\n",
            },
        )
    )


def broken(root: Path) -> Path:
    return commit(
        write(
            root,
            {
                "old.py": 'import os\nprint "hello"\n',
                "half.py": "def train(model:\n    pass\n",
                "binary.py": b"\x00\x01\x02\xff" * 100,
                "bad.ipynb": '{"cells": [',
                "pyproject.toml": "[project\nname=\n",
                "deep.py": "x = " + "(" * 300 + ")" * 300 + "\n",
                "train.py": 'def train(model, data):\n    """Train the model."""\n    raise NotImplementedError\n\n\ndef evaluate(model):\n    pass\n',
                "latin.py": "# -*- coding: latin-1 -*-\nname = 'caf\xe9'\n".encode("latin-1"),
            },
        )
    )


def monorepo(root: Path) -> Path:
    service = "from fastapi import FastAPI\napp = FastAPI()\n\n\n@app.get('/healthz')\ndef healthz():\n    return {'ok': True}\n"
    library = (
        "import hashlib\nimport json\n\n\nclass Tokenizer:\n    def __init__(self, table, pad_id=0, eos_id=1):\n        self.table = table\n"
        "        self.pad_id, self.eos_id = pad_id, eos_id\n\n    def encode(self, text):\n        return [self.table[c] for c in text]\n\n"
        "    def decode(self, ids):\n        back = {v: k for k, v in self.table.items()}\n        return ''.join(back[i] for i in ids)\n\n"
        "    def batch_encode(self, texts, padding=True, truncation=False):\n        rows = [self.encode(t) for t in texts]\n"
        "        width = max(map(len, rows))\n        return [row + [self.pad_id] * (width - len(row)) for row in rows]\n\n\n"
        "def digest(path):\n    return hashlib.sha256(open(path, 'rb').read()).hexdigest()\n"
    )
    tests = (
        "from tok.tokenizer import Tokenizer\n\n\ndef test_decoding_gives_back_what_was_encoded():\n"
        "    tokenizer = Tokenizer({'a': 2, 'b': 3})\n    assert tokenizer.decode(tokenizer.encode('ab')) == 'ab'\n"
    )
    return commit(
        write(
            root,
            {
                "services/api/main.py": service,
                "services/api/Dockerfile": 'FROM python:3.11\nCOPY . /app\nRUN useradd app\nUSER app\nENTRYPOINT ["uvicorn", "main:app"]\n'
                'HEALTHCHECK CMD ["curl", "-f", "localhost:8000/healthz"]\n',
                "libs/tok/tok/__init__.py": "",
                "libs/tok/tok/tokenizer.py": library,
                "libs/tok/tests/test_tokenizer.py": tests,
                "libs/tok/pyproject.toml": '[project]\nname = "tok"\nversion = "1"\n',
                "README.md": README.format(name="mono"),
                "noxfile.py": "import nox\n\n\n@nox.session\ndef tests(session):\n    session.run('pytest')\n",
            },
        )
    )


def empty(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    return root


def windows(root: Path) -> Path:
    """Line ends of Windows, a byte order mark, UTF-16: the same small repository as elsewhere."""
    code = (
        "import torch\r\nfrom torch.utils.data import DataLoader\r\n\r\n\r\ndef load(path):\r\n    return torch.load(path)\r\n\r\n\r\n"
        "def loader(data):\r\n    return DataLoader(data, batch_size=2, shuffle=True)\r\n"
    )
    return commit(
        write(
            root,
            {
                "load.py": b"\xef\xbb\xbf" + code.encode(),
                "README.md": README.format(name="windows").replace("\n", "\r\n"),
                "notes.txt": "hello".encode("utf-16"),
                "requirements.txt": "torch==2.1.0\r\n",
                "Dockerfile": 'FROM python:3.11\r\nCMD ["python", "load.py"]\r\n',
            },
        )
    )


def many(root: Path, count: int = 5_000) -> Path:
    body = (
        "import json\n\n\ndef read(path):\n    with open(path) as stream:\n        return json.load(stream)\n\n\n"
        "class Table:\n    def __init__(self, rows):\n        self.rows = rows\n\n    def first(self):\n        return self.rows[0]\n"
    )
    return write(root, {f"package/part_{number // 100}/module_{number}.py": body for number in range(count)})


#: name -> (builder, capability -> what a person who read it all says). Those left out are Missing.
REPOS: dict[str, tuple[Callable[[Path], Path], dict[str, str]]] = {
    "nano": (
        nano,
        {
            "tokenization": P,
            "modeling": P,
            "training": P,
            "evaluation": P,
            "checkpointing": P,
            "data": P,
            "documentation": P,
        },
    ),
    "hf_finetune": (
        hf_finetune,
        {
            "tokenization": P,
            "modeling": P,
            "training": P,
            "configuration": P,
            "evaluation": P,
            "monitoring": P,
            "checkpointing": P,
            "data": P,
            "security": P,
            "ci": P,
            "deployment": P,
            "documentation": P,
            "tracking": P,
            "cli": DONE,
        },
    ),
    "lightning": (
        lightning,
        {
            "modeling": P,
            "training": DONE,
            "configuration": P,
            "evaluation": P,
            "monitoring": P,
            "checkpointing": P,
            "data": P,
            "ci": P,
            "documentation": P,
            "tracking": P,
            "cli": P,
        },
    ),
    "notebooks": (notebooks, {"modeling": P, "training": P, "checkpointing": P, "data": P}),
    "broken": (broken, {"training": S, "evaluation": S}),
    "monorepo": (
        monorepo,
        {"tokenization": DONE, "ci": P, "deployment": DONE, "documentation": P, "data": M},
    ),
    "empty": (empty, {}),
    "windows": (windows, {"data": P, "documentation": P, "deployment": P}),
    "many": (many, {}),
}
