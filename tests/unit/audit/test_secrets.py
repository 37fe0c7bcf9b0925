"""Where secrets hide, and what keeps them out of sight without a word; what only looks like one."""

from __future__ import annotations

import json
import random
import string
import time
from hashlib import sha1
from pathlib import Path

import pytest

from audit_repos import commit, notebook, write
from codex_ml.audit.audit import audit
from codex_ml.audit.patching import make_patches
from codex_ml.audit.report import report_of
from codex_ml.audit.sarif import render_sarif
from codex_ml.audit.secrets import find_secrets

pytestmark = pytest.mark.needs("audit")
_draw = random.Random(7)


def made(letters: str, length: int) -> str:
    return "".join(_draw.choices(letters, k=length))


TOKEN = "ghp_" + made(string.ascii_letters + string.digits, 36)
HEX = made("0123456789abcdef", 40)
WORD = made(string.ascii_letters + string.digits, 14) + "7x"


def places(root: Path, files: dict[str, str | bytes]) -> list[tuple[str, int]]:
    write(root, files)
    return [
        (one.evidence.path, one.evidence.line)
        for one in audit(root, workers=1).findings
        if one.rule == "secret"
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (".env", f"WANDB_API_KEY={HEX}"),
        (".env", f"DB_PASSWORD={WORD}"),
        (".env", f"DATABASE_URL=postgresql://admin:{WORD}@db.internal:5432/x"),
        ("run.sh", f"export WANDB_API_KEY={HEX}"),
        ("run.sh", f"curl -u admin:{WORD} https://example.org/x"),
        ("a.py", f'db = "postgresql://admin:{WORD}@db.internal:5432/x"'),
        ("a.py", f'WANDB = "{HEX}"'),
        ("a.py", f'wandb.login(key="{HEX}")'),
        ("a.py", f'login(token="{WORD}{WORD}")'),
        ("a.py", f'os.environ["WANDB_API_KEY"] = "{HEX}"'),
        ("a.py", f'headers = {{"Authorization": "Bearer {WORD}{WORD}"}}'),
        ("c.yaml", f"token: {TOKEN}"),
    ],
)
def test_a_secret_is_found_in_the_forms_that_people_write(tmp_path: Path, name: str, line: str) -> None:
    assert places(tmp_path, {name: line + "\n"}) == [(name, 1)]


@pytest.mark.parametrize(
    "line",
    [
        f'commit = "{HEX}"',
        f'sha256 = "{HEX}{HEX[:24]}"',
        'url = f"postgresql://{user}:{password}@{host}/x"',
        'url = "https://user:${PASSWORD}@host/x"',
        'text = text.replace("x", "://[redacted:url-userinfo]@")',
        'password = os.environ["PASSWORD"]',
        'headers = {"Authorization": f"Bearer {token}"}',
        'wandb.login(key=os.environ["WANDB_API_KEY"])',
        'api_key = "' + 'your-api-key-here"',
        "token_ids = tokenizer.encode(text)",
    ],
)
def test_what_only_names_one_is_none(tmp_path: Path, line: str) -> None:
    assert places(tmp_path, {"a.py": line + "\n"}) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("n.ipynb", notebook(("markdown", f"the key is {TOKEN}"), ("code", "x = 1"))),
        ("n.ipynb", notebook(("code", f"%%bash\nexport GITHUB_TOKEN={TOKEN}"))),
        ("old.py", f'print "hello"\ntoken = "{TOKEN}"\n'),
        ("half.py", f'def f(:\n    pass\ntoken = "{TOKEN}"\n'),
        ("long.js", "x" * 5_000 + f' token="{TOKEN}" ' + "y" * 5_000),
        (".env", "A=1\n" * 800_000 + f"TOKEN={TOKEN}\n"),
        ("requirements.lock", f"--extra-index-url https://x:{TOKEN}@example.org/\n"),
    ],
    ids=["markdown cell", "bash cell", "python 2", "no python", "long line", "3 MB", "lock"],
)
def test_no_kind_of_file_hides_it(tmp_path: Path, name: str, content: str) -> None:
    found = places(tmp_path, {name: content})
    assert [path.partition("#")[0] for path, _ in found] == [name]


def test_it_is_told_once_where_code_and_file_both_hold_it(tmp_path: Path) -> None:
    assert places(tmp_path, {"n.ipynb": notebook(("code", f'token = "{TOKEN}"'))}) == [("n.ipynb#cell-1", 1)]


def baseline(name: str) -> str:
    digest = sha1(TOKEN.encode(), usedforsecurity=False).hexdigest()
    return json.dumps({"results": {name: [{"hashed_secret": digest}]}})


def test_a_baseline_speaks_for_its_own_files_and_is_seen(tmp_path: Path) -> None:
    code = f'token = "{TOKEN}"\n'
    assert places(tmp_path / "a", {"a.py": code, "t/.secrets.baseline": baseline("a.py")}) == [("a.py", 1)]
    assert places(tmp_path / "b", {"a.py": code, ".secrets.baseline": baseline("b.py")}) == [("a.py", 1)]
    assert places(tmp_path / "c", {"t/a.py": code, "t/.secrets.baseline": baseline("a.py")}) == []
    (aside,) = audit(tmp_path / "c", workers=1).suppressed
    assert "baseline" in aside.reason


def test_a_line_that_allows_it_is_seen(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a.py": f'token = "{TOKEN}"  # pragma: allowlist secret\n'}
    assert places(tmp_path, files) == []
    (aside,) = audit(tmp_path, workers=1).suppressed
    assert "allowlist" in aside.reason


def test_no_format_of_the_report_holds_one_wherever_it_stands(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.py": f'# TODO: remove {TOKEN}\nimport torch\ntorch.load("x")\n',
        "Dockerfile": f'FROM python:3.11\nARG GH={TOKEN}\nENV API_KEY={WORD}{WORD}\nCMD ["python", "a.py"]\n',
        "README.md": f"# It\n\n```sh\npip install https://x:{TOKEN}@example.org/it\n```\n",
        "Makefile": f"test:\n\tTOKEN={TOKEN} pytest\n",
        ".codex/errors.ndjson": json.dumps(
            {"ts": "x", "step": "1", "error": f"no {TOKEN}", "context": TOKEN}
        ),
    }
    found = audit(commit(write(tmp_path / "r", files)), workers=1)
    patches = [patch.as_dict() for patch in make_patches(found)]
    report = report_of(found, patches=patches)
    text = json.dumps(report) + json.dumps(render_sarif(found, report))
    assert TOKEN not in text and WORD not in text
    assert report["security"]["redactions_count"] > 0
    withheld = {one["id"] for one in report["security"]["patches_withheld"]}
    assert {one["id"] for one in patches if TOKEN in one["diff"]} <= withheld


@pytest.mark.parametrize("piece", ["key=aa1", "token: '", "password ", "://a:", "curl -u ", "Bearer a1"])
def test_a_hostile_line_is_looked_at_in_linear_time(piece: str) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        find_secrets("x.txt", piece * count + "\n")
        return time.process_time() - began

    assert seconds(16_000) < 40 * seconds(1_000) + 0.2
