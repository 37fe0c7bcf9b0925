"""Patches do what they say: the changed code is run, and the report's own five diffs are refused with a reason."""

# ruff: noqa: E501, ISC004 - the code of others stands here as it would in a file of theirs

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from audit_repos import write
from codex_ml.audit.audit import audit
from codex_ml.audit.diffs import refusal, unified
from codex_ml.audit.patching import Patch, apply_patch, make_patches
from codex_ml.errors import UsageError

pytestmark = pytest.mark.needs("audit")


def patched(root: Path, files: dict[str, str | bytes], rule: str) -> Patch:
    write(root, files)
    found = audit(root, workers=1)
    (name,) = [patch.id for patch in make_patches(found) if patch.rule == rule]
    return apply_patch(found, name)


def run(root: Path, code: str) -> str:
    words = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


@pytest.mark.parametrize(
    "statement", ["import sentencepiece as spm", "from sentencepiece import SentencePieceProcessor as spm"]
)
def test_a_guarded_import_works_without_the_package_and_names_it_where_it_is_used(
    tmp_path: Path, statement: str
) -> None:
    use = "spm" if statement.startswith("from") else "spm.SentencePieceProcessor"
    code = f'"""Doc."""\nfrom __future__ import annotations\n{statement}\n\n\ndef load(path):\n    return {use}(path)\n'
    patched(tmp_path, {"adapter.py": code}, "optional-import")
    absent = "sys.modules['sentencepiece'] = None\n"
    hide = (
        "import importlib.abc\nclass Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'sentencepiece': raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    said = run(
        tmp_path,
        hide + "import adapter\ntry: adapter.load('x')\nexcept ModuleNotFoundError as e: print(e.name, e)",
    )
    assert said == "sentencepiece this needs sentencepiece, which is not installed: pip install sentencepiece"
    del absent
    broken = "import types\n" + hide.replace("name == 'sentencepiece'", "name == 'sentencepiece'").replace(
        "No module named {name!r}', name=name", "No module named inner', name='inner'"
    )
    said = run(
        tmp_path, broken + "try: import adapter\nexcept ModuleNotFoundError as e: print('raised', e.name)"
    )
    assert said == "raised inner"


def test_a_guarded_import_is_the_package_where_it_is_there(tmp_path: Path) -> None:
    patched(
        tmp_path,
        {"adapter.py": "import peft\n\n\ndef version():\n    return peft.VERSION\n"},
        "optional-import",
    )
    (tmp_path / "peft.py").write_text("VERSION = 7\n")
    assert run(tmp_path, "import adapter; print(adapter.version())") == "7"


def test_a_name_that_is_needed_while_importing_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "from peft import LoraConfig\n\n\nclass Mine(LoraConfig):\n    x = 1\n"})
    assert [patch.rule for patch in make_patches(audit(tmp_path, workers=1))] == []


def test_resume_goes_to_train_and_leaves_the_constructor(tmp_path: Path) -> None:
    code = (
        "from transformers import Trainer\n\n\ndef go(model, args):\n    trainer = Trainer(\n        model=model,\n"
        "        args=args,\n        resume_from_checkpoint=args.resume_from,\n    )\n    trainer.train()\n"
    )
    patched(tmp_path, {"a.py": code}, "resume-not-wired")
    text = (tmp_path / "a.py").read_text()
    assert "trainer.train(resume_from_checkpoint=args.resume_from)" in text
    assert text.count("resume_from_checkpoint") == 1
    assert not [one for one in audit(tmp_path, workers=1).findings if one.rule == "resume-not-wired"]


def test_a_seeded_entry_point_draws_the_same_twice(tmp_path: Path) -> None:
    code = (
        "import random\n\n\nclass Loss:\n    def backward(self):\n        print(random.random())\n\n\n"
        "if __name__ == '__main__':\n    Loss().backward()\n"
    )
    patched(tmp_path, {"train.py": code}, "unseeded-entry")
    one, two = (
        subprocess.run(
            [sys.executable, tmp_path / "train.py"], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert one == two != ""
    assert not [one for one in audit(tmp_path, workers=1).findings if one.rule == "unseeded-entry"]


def test_the_store_of_a_tracker_is_sqlite_or_that_of_the_environment(tmp_path: Path) -> None:
    code = '"""Doc."""\nimport mlflow\n\nURI = "file:mlruns"  # é\n'
    patched(tmp_path, {"track.py": code}, "tracker-file-store")
    (tmp_path / "mlflow.py").write_text("")
    assert run(tmp_path, "import track; print(track.URI)") == "sqlite:///mlflow.db"
    said = run(
        tmp_path, "import os; os.environ['CODEX_MLFLOW_URI'] = 'sqlite:///x'; import track; print(track.URI)"
    )
    assert said == "sqlite:///x"


def test_a_test_of_an_optional_package_is_skipped_by_name(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "pyproject.toml": '[project]\nname="a"\nversion="1"\n[project.optional-dependencies]\nx=["absentpackage>=1"]\n',
        "test_a.py": "import absentpackage\n\n\ndef test_a():\n    assert absentpackage\n",
    }
    patched(tmp_path, files, "unmarked-optional-test")
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "1 skipped" in done.stdout
    assert "absentpackage" in done.stdout


def test_windows_line_ends_and_a_byte_order_mark_stay(tmp_path: Path) -> None:
    code = "import torch\r\n\r\n\r\ndef load(path):\r\n    return torch.load(path)\r\n"
    patched(tmp_path, {"a.py": b"\xef\xbb\xbf" + code.encode()}, "unsafe-load")
    expected = code.replace("(path)\r\n", "(path, weights_only=True)\r\n", 2).replace(
        "load(path, weights_only=True):", "load(path):"
    )
    assert (tmp_path / "a.py").read_bytes() == b"\xef\xbb\xbf" + expected.encode()


def test_a_file_without_a_last_line_end_is_patched(tmp_path: Path) -> None:
    patched(tmp_path, {"a.py": "import yaml\nx = yaml.load(open('f'), Loader=yaml.Loader)"}, "unsafe-yaml")
    assert (tmp_path / "a.py").read_text() == "import yaml\nx = yaml.safe_load(open('f'))"


def test_a_number_that_is_none_is_refused_and_so_is_a_file_that_changed(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import torch\ntorch.load('x')\n"})
    found = audit(tmp_path, workers=1)
    for number in ("0", str(len(list(make_patches(found))) + 1), "unsafe-load-0"):
        with pytest.raises(UsageError, match="there is no patch"):
            apply_patch(found, number)
    (tmp_path / "a.py").write_text("import torch\n\n\nprint(torch.load('y'))\n")
    with pytest.raises(UsageError, match="patch"):
        apply_patch(found, "1")


def test_a_diff_of_any_two_texts_applies() -> None:
    for old, new in (
        ("a\nb\n", "a\nc\n"),
        ("a", "b"),
        (None, "x\n"),
        ("", "x"),
        ("a\r\nb\r\n", "a\r\nb\r\nc\r\n"),
    ):
        assert refusal(unified("f.txt", old, new), {"f.txt": old}) is None


# ---- the report's own diffs ---------------------------------------------------------------------

SPM = "import sentencepiece as spm\n\n\ndef load(model_file):\n    model = spm.SentencePieceProcessor(model_file=str(model_file))\n    return model\n"
MLFLOW = (
    'from typing import Optional\n\n\nclass MlflowConfig:\n    tracking_uri: Optional[str] = "./mlruns",\n'
)
TRAINER = "trainer = Trainer(model=model, args=training_args, train_dataset=train_ds, eval_dataset=eval_ds)\n"
HOOKS = "repos:\n-   repo: https://github.com/Yelp/detect-secrets\n    rev: v1.4.0\n    hooks:\n    - id: detect-secrets\n"
#: title -> (path, text before, the diff of the report as it stands there).
FIVE = {
    "4.1": (
        "src/codex_ml/tokenization/sentencepiece_adapter.py",
        SPM,
        "@@\n- import sentencepiece as spm\n+try:\n+    import sentencepiece as spm\n+except Exception:\n+    spm = None\n",
    ),
    "4.2": (
        "src/codex_ml/tracking/mlflow_utils.py",
        MLFLOW,
        '@@\n-    tracking_uri: Optional[str] = "./mlruns",\n'
        '+    tracking_uri: Optional[str] = os.getenv("CODEX_MLFLOW_URI", "file:mlruns"),\n',
    ),
    "4.3": (
        "training/engine_hf_trainer.py",
        TRAINER,
        "@@\n-    trainer = Trainer(model=model, args=training_args, train_dataset=train_ds, eval_dataset=eval_ds)\n"
        "+    trainer = Trainer(model=model, args=training_args,\n"
        "+                      resume_from_checkpoint=args.resume_from)\n",
    ),
    "4.4": (
        ".pre-commit-config.yaml",
        HOOKS,
        '@@\n -   repo: https://github.com/Yelp/detect-secrets\n-    - id: detect-secrets\n+    - id: detect-secrets\n'
        '+      args: ["--baseline", ".secrets.baseline"]\n',
    ),
    "4.5": ("Dockerfile", 'FROM a\nCMD ["python", "-m", "codex.cli"]\n', '@@\n CMD ["python", "-m", "codex.cli"]\n'),
}  # fmt: skip


@pytest.mark.parametrize("number", sorted(FIVE))
def test_none_of_the_five_diffs_of_the_seed_report_applies_and_the_checker_says_why(number: str) -> None:
    path, before, body = FIVE[number]
    reason = refusal(f"--- a/{path}\n+++ b/{path}\n{body}", {path: before})
    assert reason is not None
    assert ("changes nothing" in reason) == (number == "4.5")
    assert number == "4.5" or "patch" in reason


@pytest.mark.parametrize("number", ["4.1", "4.2", "4.3", "4.4", "4.5"])
def test_what_the_five_diffs_wanted_is_patched_for_real(tmp_path: Path, number: str) -> None:
    wanted = {
        "4.1": ("optional-import", "if error.name != \"sentencepiece\""),
        "4.2": ("tracker-file-store", 'os.environ.get("CODEX_MLFLOW_URI", "sqlite:///mlflow.db")'),
        "4.3": ("resume-not-wired", "trainer.train(resume_from_checkpoint=args.resume_from)"),
        "4.4": ("secret-baseline", 'args: ["--baseline", ".secrets.baseline"]'),
        "4.5": ("container-entrypoint", 'ENTRYPOINT ["python", "-m", "codex.cli"]'),
    }  # fmt: skip
    path, before, _body = FIVE[number]
    if number == "4.2":
        before = "import mlflow\n" + before
    if number == "4.3":
        before = (
            "from transformers import Trainer\nparser.add_argument('--resume-from')\nargs = parser.parse_args()\n"
            + before
            + "trainer.train()\n"
        )
    rule, text = wanted[number]
    patched(tmp_path, {path: before}, rule)
    assert text in (tmp_path / path).read_text()
