"""Each rule on code that it must tell and on code that it must not."""

# ruff: noqa: E501 - the code of others stands here as it would in a file of theirs

from __future__ import annotations

from pathlib import Path

import pytest

from audit_repos import notebook, write
from codex_ml.audit import facts
from codex_ml.audit.audit import audit
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule, all_rules
from codex_ml.registry import registry_for

pytestmark = pytest.mark.needs("audit")

Files = dict[str, str]
DRAWN = "x8Kq2m" + "Vn91LpZt"  # nobody's
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6"  # nobody's

#: rule -> (a tree that it tells of, one that it does not).
CASES: dict[str, list[tuple[Files, Files]]] = {
    "unsafe-load": [
        ({"a.py": "import torch\ntorch.load('x')"}, {"a.py": "import torch\ntorch.load('x', weights_only=True)"}),
        ({"a.py": "from torch import load as get\nget('x')"}, {"a.py": "from json import load\nload(open('x'))"}),
        ({"a.py": "import torch\ntorch.load('x', weights_only=False)"}, {"a.py": "def load(x): return x\nload('x')"}),
        ({"a.py": "import pickle\npickle.load(open('x', 'rb'))"}, {"a.py": "text = 'pickle.load(x)'"}),
    ],
    "unsafe-yaml": [
        ({"a.py": "import yaml\nyaml.load(open('x'))"}, {"a.py": "import yaml\nyaml.safe_load(open('x'))"}),
        ({"a.py": "import yaml\nyaml.load(s, Loader=yaml.Loader)"}, {"a.py": "import yaml\nyaml.load(s, Loader=yaml.CSafeLoader)"}),
    ],
    "dynamic-code": [({"a.py": "eval(input())"}, {"a.py": "eval('1 + 1')\nmodel.eval()"})],
    "shell-true": [
        ({"a.py": "import subprocess\nsubprocess.run(f'ls {x}', shell=True)"}, {"a.py": "import subprocess\nsubprocess.run(['ls', x])"}),
        ({"a.py": "import os\nos.system(x)"}, {"a.py": "import os\nos.path.join('a')"}),
    ],
    "trust-remote-code": [
        ({"a.py": "load(m, trust_remote_code=True)"}, {"a.py": "load(m, trust_remote_code=False)"}),
        ({"c.yaml": "model:\n  trust_remote_code: true\n"}, {"c.yaml": "model:\n  trust_remote_code: false\n"}),
    ],
    "unpinned-dependency": [
        ({"requirements.txt": "torch\n"}, {"requirements.txt": "torch>=2\n# a note\n-r other.txt\n"}),
        ({"pyproject.toml": '[project]\nname="a"\ndependencies=["numpy"]\n'}, {"pyproject.toml": '[project]\nname="a"\ndependencies=["numpy"]\n', "uv.lock": "x"}),
    ],
    "undeclared-dependency": [
        ({"requirements.txt": "torch>=2\n", "a.py": "import pandas"}, {"requirements.txt": "torch>=2\n", "a.py": "import torch\nimport json\nimport b", "b.py": ""}),
        ({"requirements.txt": "torch>=2\n", "a.py": "import yaml"}, {"requirements.txt": "PyYAML>=6\n", "a.py": "import yaml"}),
        ({"requirements.txt": "torch>=2\n", "a.py": "import wandb"}, {"requirements.txt": "torch>=2\n", "a.py": "try:\n    import wandb\nexcept ImportError:\n    wandb = None"}),
    ],
    "container-root": [({"Dockerfile": "FROM a\nCMD [\"a\"]\n"}, {"Dockerfile": "FROM a\nUSER app\n"}), ({"Dockerfile": "FROM a\nUSER app\nUSER root\n"}, {})],
    "container-entrypoint": [({"Dockerfile": "FROM a\nCMD [\"a\"]\n"}, {"Dockerfile": "FROM a\nENTRYPOINT [\"a\"]\n"})],
    "container-health": [({"Dockerfile": "FROM a\n"}, {"Dockerfile": "FROM a\nHEALTHCHECK CMD a\n"}), ({"api.dockerfile": "FROM a\n"}, {"Dockerfile": "FROM a\n", "compose.yaml": "services:\n  a:\n    healthcheck:\n      test: a\n"})],
    "optional-import": [
        ({"a.py": "if x:\n    import wandb\n"}, {"a.py": "from b import is_wandb_available\nif is_wandb_available():\n    import wandb\n"}),
        ({"a.py": "import sentencepiece as spm\n"}, {"a.py": "try:\n    import sentencepiece as spm\nexcept ModuleNotFoundError:\n    spm = None\n"}),
        ({"a.py": "import mlflow\n"}, {"a.py": "def log():\n    import mlflow\n    mlflow.start_run()\n"}),
        ({"a.py": "from peft import LoraConfig\n"}, {"a.py": "from peft import LoraConfig\n", "requirements.txt": "peft>=0.1\n"}),
        ({"a.py": "import wandb\n"}, {"a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import wandb\n"}),
    ],
    "unseeded-entry": [
        ({"a.py": "def main():\n    Engine().train()\n    loss.backward()\nif __name__ == '__main__':\n    main()\n"}, {"a.py": "from trl import SFTTrainer\ndef main():\n    t = SFTTrainer(model=m)\n    t.train()\nif __name__ == '__main__':\n    main()\n"}),
        ({"a.py": "def main():\n    loss.backward()\nif __name__ == '__main__':\n    main()\n"}, {"a.py": "import torch\ndef main():\n    torch.manual_seed(0)\n    loss.backward()\nif __name__ == '__main__':\n    main()\n"}),
        ({"a.py": "loss.backward()\n"}, {"a.py": "from b import prepare\nprepare()\nloss.backward()\n", "b.py": "import random\ndef prepare():\n    _seed()\ndef _seed():\n    random.seed(1)\n"}),
    ],
    "unseeded-loader": [
        ({"a.py": "from torch.utils.data import DataLoader\nDataLoader(d, shuffle=True)"}, {"a.py": "from torch.utils.data import DataLoader\nDataLoader(d, shuffle=True, generator=g)\nDataLoader(d)"}),
        ({"a.py": "from sklearn.model_selection import train_test_split\ntrain_test_split(x)"}, {"a.py": "from sklearn.model_selection import train_test_split\ntrain_test_split(x, random_state=1)"}),
        ({"a.py": "from torch.utils.data import random_split\nrandom_split(x, [1, 2])"}, {"a.py": "from torch.utils.data import random_split\nrandom_split(x, [1, 2], generator=g)"}),
    ],
    "tracker-file-store": [({"a.py": "import mlflow\nmlflow.set_tracking_uri('file:mlruns')"}, {"a.py": "import mlflow\nmlflow.set_tracking_uri('sqlite:///mlflow.db')"})],
    "resume-not-wired": [
        ({"a.py": "from transformers import Trainer\nTrainer(model=m, resume_from_checkpoint=p).train()"}, {"a.py": "from transformers import Trainer\nTrainer(model=m).train(resume_from_checkpoint=p)"}),
        ({"a.py": "from transformers import Trainer\np.add_argument('--resume-from')\nt = Trainer(model=m)\nt.train()"}, {"a.py": "from transformers import Trainer\np.add_argument('--resume-from')\nt = Trainer(model=m)\nt.train(resume_from_checkpoint=a.resume_from)"}),
    ],
    "swallowed-error": [
        ({"a.py": "try:\n    f()\nexcept Exception:\n    pass"}, {"a.py": "try:\n    f()\nexcept KeyError:\n    pass"}),
        ({"a.py": "try:\n    f()\nexcept:\n    ..."}, {"a.py": "try:\n    f()\nexcept Exception as error:\n    log(error)"}),
    ],
    "notebook-stub": [({"a.ipynb": notebook(("markdown", "TODO"))}, {"a.ipynb": notebook(("markdown", "# Done"), ("code", "x = 1"))})],
    "unmarked-optional-test": [(
        {"pyproject.toml": '[project]\nname="a"\n[project.optional-dependencies]\nx=["mlflow>=3"]\n', "test_a.py": "import mlflow\ndef test_a():\n    assert mlflow\n"},
        {"pyproject.toml": '[project]\nname="a"\n[project.optional-dependencies]\nx=["mlflow>=3"]\n', "test_a.py": "import pytest\nmlflow = pytest.importorskip('mlflow')\ndef test_a():\n    assert mlflow\n"},
    )],
    "secret": [
        ({"a.py": f"KEY = '{TOKEN}'"}, {"a.py": "KEY = os.environ['KEY']\npassword = 'changeme'\ntoken_path = 'data/tokens.json'"}),
        ({"c.env": f"DB_PASSWORD={DRAWN}\n"}, {"c.env": "DB_PASSWORD=${DB_PASSWORD}\nMAX_TOKENS=4096\n"}),
    ],
    "secret-baseline": [({".pre-commit-config.yaml": "repos:\n- hooks:\n  - id: detect-secrets\n"}, {".pre-commit-config.yaml": "repos:\n- hooks:\n  - id: detect-secrets\n    args: [--baseline, x]\n"})],
    "lock-hashes": [({"requirements.lock": "torch==2\n"}, {"requirements.lock": "torch==2 --hash=sha256:00\n"})],
}  # fmt: skip
#: Told by sets of their own: tests/unit/audit/test_stubs.py.
ELSEWHERE = {"stub", "todo", "empty-test"}
PARAMS = [(rule, tells, quiet) for rule, cases in sorted(CASES.items()) for tells, quiet in cases]


def rules_that_tell(root: Path, files: Files) -> set[str]:
    write(root, dict(files))
    return {one.rule for one in audit(root, workers=1).findings}


@pytest.mark.parametrize(("rule", "tells", "quiet"), PARAMS)
def test_the_rule_tells_the_one_and_not_the_other(
    tmp_path: Path, rule: str, tells: Files, quiet: Files
) -> None:
    assert rule in rules_that_tell(tmp_path / "one", tells)
    (tmp_path / "other").mkdir()
    assert rule not in rules_that_tell(tmp_path / "other", quiet)


def test_every_rule_is_tried_here_and_says_why() -> None:
    found = all_rules()
    assert {rule.id for rule in found} == CASES.keys() | ELSEWHERE
    assert all(rule.why.endswith(".") and rule.title and (rule.source or rule.tree) for rule in found)


def test_a_finding_is_set_aside_by_a_comment_with_a_reason_alone(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.py": "import os\nos.system(x)  # codex-audit: ignore[shell-true] x is one of two words\n"
            "# codex-audit: ignore[shell-true, dynamic-code] the same\nos.system(y)\n"
            "os.system(z)  # codex-audit: ignore[shell-true]\n"
            "os.system(w)  # codex-audit: ignore[dynamic-code] another rule\n"
        },
    )
    found = audit(tmp_path, workers=1)
    assert [one.evidence.line for one in found.findings if one.rule == "shell-true"] == [5, 6]
    assert [(one.finding.evidence.line, one.reason) for one in found.suppressed] == [
        (2, "x is one of two words"),
        (4, "the same"),
    ]


def test_no_report_holds_the_secret_itself(tmp_path: Path) -> None:
    from codex_ml.audit.html import render_html
    from codex_ml.audit.markdown import render_markdown
    from codex_ml.audit.report import report_of

    write(
        tmp_path, {"a.py": f"KEY = '{TOKEN}'\n", "errors_codex.log": f"failed with {TOKEN}\nContext: none\n"}
    )
    report = report_of(audit(tmp_path, workers=1), date="2026-01-01")
    assert report["security"]["patterns_detected"] == ["looks like a secret (github-token)"]
    for text in (render_markdown(report), render_html(report), str(report)):
        assert TOKEN not in text


def test_the_baseline_of_the_repository_excuses_what_it_knows(tmp_path: Path) -> None:
    import hashlib
    import json

    digest = hashlib.sha1(TOKEN.encode(), usedforsecurity=False).hexdigest()
    baseline = json.dumps({"results": {"a.py": [{"hashed_secret": digest}]}})
    assert "secret" not in rules_that_tell(
        tmp_path, {"a.py": f"KEY = '{TOKEN}'\n", ".secrets.baseline": baseline}
    )


def test_a_rule_of_a_plugin_that_breaks_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_args: object) -> list[Finding]:
        raise KeyError("by design")

    targets = registry_for("audit_rules")._targets
    rules = {
        "of-source": Rule("of-source", "low", "t", "w.", source=fail),
        "of-tree": Rule("of-tree", "low", "t", "w.", tree=fail),
        "misnamed": Rule("other", "low", "t", "w.", tree=lambda _index, found: found),
    }
    for name, rule in rules.items():
        monkeypatch.setattr(f"json.{name.replace('-', '_')}", rule, raising=False)
        monkeypatch.setitem(targets, name, f"json:{name.replace('-', '_')}")
    monkeypatch.setitem(targets, "no-rule", "json:dumps")
    monkeypatch.setitem(targets, "gone", "no_such_module:RULE")
    facts._source_rules.cache_clear()
    try:
        found = audit(write(tmp_path, {"a.py": "import os\nos.system(a)\n"}), workers=1)
    finally:
        facts._source_rules.cache_clear()
    assert "shell-true" in {one.rule for one in found.findings}
    told = {one.path: one.reason for one in found.index.unread}
    assert set(told) == {f"(rule {name})" for name in (*rules, "no-rule", "gone")}
    assert "by design" in told["(rule of-source)"] and "by design" in told["(rule of-tree)"]
    assert "calls itself 'other'" in told["(rule misnamed)"]
    assert "'no-rule' among the audit_rules" in told["(rule no-rule)"]
