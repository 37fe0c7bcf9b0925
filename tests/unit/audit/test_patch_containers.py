"""The image that is run decides what rules say of Dockerfiles, and what patches make of them; so with hooks."""

# ruff: noqa: E501, ISC004 - the files of others stand here as they would in a repository of theirs

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from audit_repos import write
from codex_ml.audit.audit import audit
from codex_ml.audit.containers import image_of
from codex_ml.audit.dockerfile import stages_of
from codex_ml.audit.edits import Code
from codex_ml.audit.patches.baseline import compared
from codex_ml.audit.patching import apply_patch, make_patches
from codex_ml.audit.wellformed import parses

pytestmark = pytest.mark.needs("audit")
RULES = ("container-root", "container-entrypoint", "container-health")
PYPROJECT = '[project]\nname = "a"\nversion = "1"\n[project.scripts]\na = "a.cli:main"\n'
CLI = "import argparse\n\n\ndef main():\n    argparse.ArgumentParser().parse_args()\n"
GOOD = 'USER app\nENTRYPOINT ["a"]\nHEALTHCHECK CMD ["a", "--help"]\n'


def told(root: Path, text: str) -> set[str]:
    write(root, {"Dockerfile": text})
    return {one.rule for one in audit(root, workers=1).findings} & set(RULES)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (f"FROM a\n{GOOD}", set()),
        (f"from a\n{GOOD.lower()}", set()),
        (f"FROM a AS build\n{GOOD}FROM b\n", set(RULES)),
        (f"FROM a AS build\n{GOOD}FROM b\nCOPY --from=build /x /x\n", set(RULES)),
        (f"FROM a AS Build\n{GOOD}FROM c AS other\nRUN x\nFROM build\n", set()),
        (f"FROM a\n{GOOD}HEALTHCHECK NONE\n", {"container-health"}),
        (f"FROM a\n{GOOD}USER root\n", {"container-root"}),
        (f"FROM a\n{GOOD}USER 0:0\n", {"container-root"}),
        (f"FROM a\n{GOOD}USER root:root\n", {"container-root"}),
        (f"FROM a\n{GOOD}USER \\\n  # who\n  root\n", {"container-root"}),
        (f"FROM a\nRUN <<EOF\n{GOOD}EOF\n", set(RULES)),
        (f"FROM a\nRUN x \\\n{GOOD.splitlines()[0]}\n", set(RULES)),
        (f"# escape=`\nFROM a\n{GOOD}RUN dir `\n  USER root\n", set()),
        ('FROM gcr.io/distroless/python3:nonroot\nENTRYPOINT ["a"]\nHEALTHCHECK CMD a\n', set()),
        ("RUN no image\n", set()),
        (f"# FROM a\n# {GOOD}", set()),
    ],
)
def test_the_rules_look_at_the_image_that_is_run(tmp_path: Path, text: str, rules: set[str]) -> None:
    assert told(tmp_path, text) == rules


def test_a_row_counts_what_the_last_stage_has(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": f"FROM a AS build\n{GOOD}FROM b\nHEALTHCHECK NONE\n"})
    evidence = audit(tmp_path, workers=1).index.evidence
    assert "config.image" in evidence
    assert not {"config.entrypoint", "config.healthcheck", "config.container_user"} & evidence.keys()


#: (Dockerfile, rule, what stands there then; None: no patch). The repository has a package with a parser.
FORMS: list[tuple[str, str, str | None]] = [
    (
        'FROM python:3.11 AS build\nCMD ["x"]\nFROM python:3.11\nCOPY . .\nCMD ["python", "-m", "a.cli"]\n',
        "container-root",
        'FROM python:3.11 AS build\nCMD ["x"]\nFROM python:3.11\nCOPY . .\n'
        'RUN useradd --create-home --uid 10001 app\nUSER app\nCMD ["python", "-m", "a.cli"]\n',
    ),
    (
        "FROM python:3-alpine\nEXPOSE 1\n",
        "container-root",
        "FROM python:3-alpine\nEXPOSE 1\nRUN adduser -D -u 10001 app\nUSER app\n",
    ),
    ("FROM a\nCMD x\nRUN y", "container-root", "FROM a\nCMD x\nRUN y\nRUN useradd --create-home --uid 10001 app\nUSER app\n"),
    ("FROM a\nUSER me\nUSER root\ncmd x\n", "container-root", "FROM a\nUSER me\nUSER root\nUSER me\ncmd x\n"),
    ("FROM a\r\nCMD x\r\n", "container-root", "FROM a\r\nRUN useradd --create-home --uid 10001 app\r\nUSER app\r\nCMD x\r\n"),
    ("FROM scratch\nCOPY x /x\nENTRYPOINT [\"/x\"]\n", "container-root", None),
    ("FROM gcr.io/distroless/python3\nCOPY a.py .\n", "container-root", None),
    ("ARG B\nFROM $B\n", "container-root", None),
    ("FROM a\nRUN adduser app\n", "container-root", None),
    ("FROM a\nSHELL [\"powershell\"]\n", "container-root", None),
    ('FROM a\nCMD ["python", "x.py"]\nEXPOSE 1\n', "container-entrypoint", 'FROM a\nENTRYPOINT ["python", "x.py"]\nEXPOSE 1\n'),
    ('FROM a\nCMD ["python", \\\n  "x.py"]\nEXPOSE 1\n', "container-entrypoint", 'FROM a\nENTRYPOINT ["python", "x.py"]\nEXPOSE 1\n'),
    ('FROM a\nCMD ["python", \\\n# why\n  "x.py"]\n', "container-entrypoint", None),
    ("FROM a\nRUN pip install .\n", "container-entrypoint", 'FROM a\nRUN pip install .\nENTRYPOINT ["a"]\n'),
    ("FROM a\nRUN pip install .\nCMD a --serve\n", "container-entrypoint", None),
    ("FROM a\nCOPY . .\n", "container-entrypoint", None),
    ('FROM gcr.io/distroless/python3\nCMD ["a.py"]\n', "container-entrypoint", None),
    ('FROM a\nCMD ["a.py"]\n', "container-entrypoint", None),
    ('FROM a\nCMD ["bash", "-c", "x"]\n', "container-entrypoint", None),
    ('FROM a\nCMD ["--help"]\n', "container-entrypoint", None),
    (
        'FROM a\nENTRYPOINT ["python", "-m", "a.cli"]',
        "container-health",
        'FROM a\nENTRYPOINT ["python", "-m", "a.cli"]\n'
        'HEALTHCHECK --interval=30s --timeout=20s CMD ["python", "-m", "a.cli", "--help"]\n',
    ),
    (
        'FROM a\nENTRYPOINT ["a"]\n',
        "container-health",
        'FROM a\nENTRYPOINT ["a"]\nHEALTHCHECK --interval=30s --timeout=20s CMD ["a", "--help"]\n',
    ),
    (
        'FROM a\nCMD ["python", "tool.py"]\n',
        "container-health",
        'FROM a\nCMD ["python", "tool.py"]\nHEALTHCHECK --interval=30s --timeout=20s CMD ["python", "tool.py", "--help"]\n',
    ),
    ('FROM a\nCMD ["python", "train.py"]\n', "container-health", None),
    ('FROM a\nCMD ["python", "gone.py"]\n', "container-health", None),
    ('FROM a\nCMD ["uvicorn", "a:app"]\n', "container-health", None),
    ('FROM a\nENTRYPOINT a\n', "container-health", None),
    ('FROM a\nENTRYPOINT ["a"]\nHEALTHCHECK NONE\n', "container-health", None),
    ('FROM scratch\nENTRYPOINT ["a"]\n', "container-health", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rule", "wanted"), FORMS)
def test_a_patch_of_an_image_makes_this_of_it(
    tmp_path: Path, text: str, rule: str, wanted: str | None
) -> None:
    files = {
        "pyproject.toml": PYPROJECT,
        "a/cli.py": CLI,
        "a/__init__.py": "",
        "tool.py": f"{CLI}\n\nmain()\n",
    }
    write(tmp_path, {"Dockerfile": text, "train.py": "print('for days')\n", **files})
    found = audit(tmp_path, workers=1)
    assert rule in {one.rule for one in found.findings}
    offered = [one.id for one in make_patches(found) if one.rule == rule]
    assert len(offered) == (wanted is not None)
    for name in offered:
        apply_patch(found, name)
        assert (tmp_path / "Dockerfile").read_bytes().decode() == wanted
        assert rule not in {one.rule for one in audit(tmp_path, workers=1).findings}


def test_patches_of_several_images_can_all_be_applied_and_leave_images(tmp_path: Path) -> None:
    write(tmp_path, {f"{n}/Dockerfile": text for n, (text, _, _) in enumerate(FORMS)})
    found = audit(tmp_path, workers=1)
    for patch in make_patches(found):
        assert len(stages_of(patch.files[patch.paths[0]][1])) == len(
            stages_of(patch.files[patch.paths[0]][0] or "")
        )
    assert all(image_of(text) for text, _, _ in FORMS)


HOOK = "repos:\n- repo: https://github.com/Yelp/detect-secrets\n  hooks:\n"
ADDED = ["--baseline", ".secrets.baseline"]


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("  - id: detect-secrets\n", ADDED),
        ("  -   id: detect-secrets  # why\n      name: x\n", ADDED),
        ("  - id: detect-secrets\n    args: [--exclude, x]\n    name: y\n", ["--exclude", "x", *ADDED]),
        ("  - id: detect-secrets\n    args:\n    - --exclude\n    - x  # why\n    name: y\n", ["--exclude", "x", *ADDED]),
        ("  - id: detect-secrets\n    args:\n      - \"x\"", ["x", *ADDED]),
        ("  - args: ['a',\n      'b']\n    id: detect-secrets\n", ["a", "b", *ADDED]),
        ("  - {id: detect-secrets}\n", None),
        ("  - id: detect-secrets\n    args: []\n", None),
        ("  - id: other\n    args: &a [x]\n  - id: detect-secrets\n    args: *a\n", None),
        ("  - id: detect-secrets\n    args: --text\n", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_hook_gets_a_baseline_and_keeps_its_arguments(
    hook: str, arguments: list[str] | None, end: str
) -> None:
    text = (HOOK + hook).replace("\n", end)
    changed = compared(Code(".pre-commit-config.yaml", text))
    assert (changed is None) == (arguments is None)
    if changed is not None:
        before, after = yaml.safe_load(text), yaml.safe_load(changed)
        (one,) = (hook for hook in after["repos"][0]["hooks"] if hook["id"] == "detect-secrets")
        assert one.pop("args") == arguments
        before["repos"][0]["hooks"][0].pop("args", None)
        assert before == after
        assert parses("x.yaml", changed)
        assert [line for line in changed.split(end) if line in text.split(end)] == [
            line for line in text.split(end) if line in changed.split(end)
        ]


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("a.yaml", "a: 1\nb: {a: 1}\n---\na: 2\n", "a: 1\nb: 2\na: 3\n"),
        ("a.yml", "a: &x {b: 1}\nc: *x\n", "c: [{b: 1, b: 2}]\n"),
        ("Dockerfile", "FROM a\nRUN b \\\n  c\n", "FROM a\nRUN b \\\n"),
        ("x/api.Dockerfile", "ARG A=1\nFROM a\n", "FROM a\nRUNN b\n"),
        ("a.toml", "a = 1\n", "a = 1\na = 2\n"),
        ("a.py", "x = 1\n", "x = = 1\n"),
        ("a.txt", "anything", ""),
    ],
)
def test_a_file_is_what_its_name_says_or_it_is_not(path: str, good: str, bad: str) -> None:
    assert parses(path, good)
    assert parses(path, bad) == path.endswith(".txt")


def test_the_empty_baseline_is_json_that_detect_secrets_reads(tmp_path: Path) -> None:
    write(tmp_path, {".pre-commit-config.yaml": HOOK + "  - id: detect-secrets\n"})
    found = audit(tmp_path, workers=1)
    apply_patch(found, next(one.id for one in make_patches(found)))
    from detect_secrets.core import baseline

    loaded = json.loads((tmp_path / ".secrets.baseline").read_text())
    assert baseline.load(loaded).data == {}
