"""What rules of unsafe and unseeded code see in many forms, and what they leave alone."""

# ruff: noqa: E501 - the code of others stands here as it would in a file of theirs

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from audit_repos import write
from codex_ml.audit.audit import audit
from codex_ml.audit.rule import Rule
from codex_ml.audit.rules import (
    dynamic_code,
    resume_not_wired,
    shell_true,
    tracker_file_store,
    trust_remote_code,
    unsafe_load,
    unsafe_yaml,
    unseeded_loader,
)
from codex_ml.audit.walk import parse

S, A, Y, H = "import subprocess\n", "import asyncio\n", "import yaml\n", "from transformers import Trainer\n"
TOLD = [
    (unsafe_load.RULE, "import marshal\nmarshal.loads(b)"),
    (unsafe_load.RULE, "import numpy as np\nnp.load(f, allow_pickle=True)"),
    (unsafe_load.RULE, "import pandas as pd\npd.read_pickle(f)"),
    (unsafe_load.RULE, "import pickle\npickle.Unpickler(f).load()"),
    (unsafe_load.RULE, "import joblib\njoblib.load(f)"),
    (unsafe_load.RULE, "import torch\ntorch.serialization.load(f)"),
    (unsafe_load.RULE, "import torch\ntorch.hub.load_state_dict_from_url(f)"),
    (unsafe_load.RULE, "import torch\nfrom functools import partial as p\np(torch.load, map_location=d)(f)"),
    (unsafe_load.RULE, "from pickle import loads\nrows = list(map(loads, lines))"),
    (unsafe_load.RULE, "import torch\nloader = torch.load\nloader(f)"),
    (trust_remote_code.RULE, "import torch\ntorch.hub.load('a/b', 'c')"),
    (trust_remote_code.RULE, "load(m, trust_remote_code=cfg.trust)"),
    (trust_remote_code.RULE, "load(m, **{'trust_remote_code': True})"),
    (trust_remote_code.RULE, "options = dict(trust_remote_code=True)"),
    (shell_true.RULE, A + "asyncio.create_subprocess_shell(x)"),
    (shell_true.RULE, A + "asyncio.create_subprocess_exec('bash', '-c', x)"),
    (shell_true.RULE, S + "subprocess.run(x, shell=cfg.shell)"),
    (shell_true.RULE, S + "subprocess.run(x, **{'shell': True})"),
    (shell_true.RULE, S + "subprocess.run(['bash', '-c', x])"),
    (shell_true.RULE, S + "subprocess.Popen(args=('/bin/sh', '-e', '-lc', f'ls {x}'))"),
    (shell_true.RULE, "import os\nos.execl('/bin/sh', 'sh', '-c', x)"),
    (dynamic_code.RULE, "import builtins\nbuiltins.exec(x)"),
    (unsafe_yaml.RULE, Y + "yaml.load_all(f, Loader=yaml.Loader)"),
    (unsafe_yaml.RULE, Y + "yaml.unsafe_load_all(f)"),
    (unsafe_yaml.RULE, "from yaml import load, UnsafeLoader as L\nload(f, L)"),
    (unsafe_yaml.RULE, Y + "yaml.load(f)"),
    (unseeded_loader.RULE, "import torch\ntorch.utils.data.RandomSampler(d, replacement=True)"),
    (unseeded_loader.RULE, "from torch.utils.data import DataLoader\nDataLoader(d, 4, True)"),
    (tracker_file_store.RULE, "import mlflow\nos.environ['MLFLOW_TRACKING_URI'] = 'file:x'"),
    (tracker_file_store.RULE, "import mlflow\np.add_argument('--tracking-uri', default='./mlruns')"),
    (tracker_file_store.RULE, "import mlflow\nuri = given or 'file:./mlruns'"),
    (tracker_file_store.RULE, "import mlflow\nconfig = {'tracking_uri': 'mlruns'}"),
    (resume_not_wired.RULE, H + "class Mine(Trainer): ...\np.add_argument('--resume')\nMine(m).train()"),
]  # fmt: skip
QUIET = [
    (unsafe_load.RULE, "import numpy as np\nnp.load(f)\nnp.load(f, allow_pickle=False)"),
    (unsafe_load.RULE, "import torch\nfrom functools import partial\npartial(torch.load, weights_only=True)"),
    (unsafe_load.RULE, "import pickle\nisinstance(x, pickle.Unpickler)\npickle.dumps(x)"),
    (unsafe_load.RULE, "import torch, inspect\ninspect.signature(torch.load)"),
    (trust_remote_code.RULE, "import torch\ntorch.hub.load('.', 'c', source='local')"),
    (trust_remote_code.RULE, "load(m, trust_remote_code=False)\nload(m, **{'a': True})"),
    (shell_true.RULE, S + "subprocess.run(['bash', '-c', 'command -v git'])"),
    (shell_true.RULE, S + "subprocess.run(['bash', 'a.sh', x])\nsubprocess.run(['git', '-c', x, y])"),
    (shell_true.RULE, S + "subprocess.run(x, shell=False)\nlog(shell=name)"),
    (dynamic_code.RULE, "model.eval(x)\nx.exec(y)"),
    (unsafe_yaml.RULE, Y + "yaml.load(f, Loader=yaml.BaseLoader)"),
    (unsafe_yaml.RULE, Y + "class Mine(yaml.SafeLoader): ...\nyaml.load(f, Mine)"),
    (unsafe_yaml.RULE, "from yaml import load\nfrom yaml import CSafeLoader as Loader\nload(f, Loader)"),
    (unsafe_yaml.RULE, Y + "yaml.load()\nyaml.load(**options)"),
    (unseeded_loader.RULE, "from torch.utils.data import RandomSampler\nRandomSampler(d, True, 3, g)"),
    (unseeded_loader.RULE, "from sklearn.model_selection import train_test_split\ntrain_test_split(x, shuffle=False)"),
    (tracker_file_store.RULE, "'''mlruns: where runs are'''\nimport mlflow, shutil\nshutil.rmtree('mlruns')\nopen('mlruns')"),
    (tracker_file_store.RULE, "import mlflow\ndata_url = 'file:///data/a.csv'"),
    (resume_not_wired.RULE, "from trainer import Trainer\np.add_argument('--resume')\nTrainer(m).train()"),
    (resume_not_wired.RULE, "from base import BaseTrainer\nclass Trainer(BaseTrainer): ...\ndef main(c):\n    Trainer(c).train()\np.add_argument('-r', '--resume')\nmain(p.parse_args())"),
    (resume_not_wired.RULE, "import pytorch_lightning as pl\npl.Trainer(resume_from_checkpoint=p).fit(m)"),
    (resume_not_wired.RULE, H + "p.add_argument('--resume')\na = p.parse_args()\nm.load(a.resume)\nTrainer(m).train()"),
]  # fmt: skip


def told(rule: Rule, text: str) -> list[str]:
    assert rule.source is not None
    return [f"{one.severity}: {one.message}" for one in rule.source(parse("a.py", text))]


@pytest.mark.parametrize(("rule", "text"), TOLD)
def test_this_is_told_once(rule: Rule, text: str) -> None:
    assert len(told(rule, text)) == 1


@pytest.mark.parametrize(("rule", "text"), QUIET)
def test_this_is_left_alone(rule: Rule, text: str) -> None:
    assert told(rule, text) == []


def test_each_yaml_loader_is_said_to_do_what_it_does() -> None:
    for loader, said in (
        ("Loader", "high: yaml.load builds any object"),
        ("FullLoader", "medium: yaml.load builds Python's own types"),
    ):
        assert told(unsafe_yaml.RULE, f"{Y}yaml.load(f, yaml.{loader})")[0].startswith(said)
    import yaml

    for text in ("!!python/object/apply:os.getcwd []", "!!python/object/new:pathlib.PurePath [a]"):
        for name, error in (("unsafe_load", None), ("full_load", yaml.YAMLError), ("load", TypeError)):
            with pytest.raises(error) if error is not None else nullcontext():
                getattr(yaml, name)(text)


@pytest.mark.parametrize(
    "line",
    [
        "trust_remote_code: True",
        "- trust_remote_code: TRUE",
        "'trust_remote_code' : yes",
        "m: {trust_remote_code: true}",
        "override: model.trust_remote_code=true",
    ],
)
def test_a_configuration_that_trusts_is_told_in_any_case(tmp_path: Path, line: str) -> None:
    write(
        tmp_path, {"c.yaml": f"{line}\n", "d.yaml": "# trust_remote_code: true\ntrust_remote_code: False\n"}
    )
    found = [one for one in audit(tmp_path, workers=1).findings if one.rule == "trust-remote-code"]
    assert [one.evidence.path for one in found] == ["c.yaml"]


MAIN = "def main():\n    loss.backward()\nif __name__ == '__main__':\n    main()\n"
SEEDED = "import torch\n" + MAIN.replace("    loss", "    torch.manual_seed(0)\n    loss", 1)
UTIL = "import random\ndef set_all(n):\n    random.seed(n)\n"


@pytest.mark.parametrize(
    ("files", "unseeded"),
    [
        ({"a.py": SEEDED, "b.py": MAIN}, ["b.py"]),
        ({"a.py": UTIL + MAIN}, ["a.py"]),
        ({"a.py": UTIL + MAIN.replace("    main()", "    set_all(1)\n    main()")}, []),
        ({"a.py": UTIL + MAIN.replace("    main()", "    run(set_all)\n    main()")}, []),
        ({"u.py": UTIL, "a.py": "from u import set_all\n" + MAIN}, ["a.py"]),
        ({"u.py": UTIL, "a.py": "from u import set_all\nset_all(1)\n" + MAIN}, []),
        ({"p/u.py": UTIL, "p/__init__.py": "from .u import set_all\n", "a.py": "import p\np.set_all(1)\n" + MAIN}, []),
        ({"u.py": UTIL + "def main():\n    set_all(1)\n", "a.py": MAIN}, ["a.py"]),
        ({"u.py": "import random\nclass Engine:\n    def __init__(self):\n        random.seed(1)\n", "a.py": "import u\ne = u.Engine()\n" + MAIN}, []),
        ({"a.py": "import random\nrng = random.Random(3)\ndef main():\n    rng.random()\nif __name__ == '__main__':\n    main()\n"}, []),
    ],
)  # fmt: skip
def test_each_program_is_seeded_by_what_it_calls(
    tmp_path: Path, files: dict[str, str | bytes], unseeded: list[str]
) -> None:
    write(tmp_path, files)
    found = [one for one in audit(tmp_path, workers=1).findings if one.rule == "unseeded-entry"]
    assert [one.evidence.path for one in found] == unseeded
    assert {one.message for one in found} <= {"trains without setting a seed"}
