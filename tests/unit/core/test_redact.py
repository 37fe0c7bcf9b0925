"""What is redacted, in which disguises, and what stays as it is."""

from __future__ import annotations

import base64
import json
import re
import string
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

import codex_ml
from codex_ml.core.redact import redact_text, redact_value
from codex_ml.core.secret_keys import judge_key, looks_random
from planted import HARMLESS, PLANTED, PRIVATE_KEY, UNDER_KEYS, Planted, draw

PACKAGE = Path(codex_ml.__file__).parent


def encoded(text: str) -> list[str]:
    """The text plain, percent-encoded, and in base64 at each of the three alignments."""
    padded = [f"{' ' * shift}{text}".encode() for shift in range(3)]
    return [
        text,
        quote(text, safe=""),
        *(base64.b64encode(raw).decode() for raw in padded),
        *(base64.urlsafe_b64encode(raw).decode() for raw in padded),
        base64.b64encode(base64.b64encode(text.encode())).decode(),
    ]


@pytest.mark.parametrize("planted", PLANTED, ids=range(len(PLANTED)))
def test_a_planted_secret_is_gone_in_every_disguise(planted: Planted) -> None:
    for text in encoded(planted.text):
        for around in ("{}", "before {} after", '{{"log": "{}"}}', "path/{}\n"):
            cleaned = redact_text(around.format(text))
            assert "[redacted:" in cleaned, text
            assert not any(form in cleaned.encode() for form in planted.forms()), text
            assert redact_text(cleaned) == cleaned


def test_a_value_under_a_secret_key_is_gone_and_what_stands_for_it_follows_from_nothing() -> None:
    one, other = ({"api_key": secret, "steps": 3} for secret in ("hunter2hunter2", "swordfish-99-x"))
    assert redact_value(one) == redact_value(other) == {"api_key": "[redacted:key]", "steps": 3}


def test_at_most_one_in_a_hundred_harmless_keys_is_redacted() -> None:
    hit = []
    for key, value in HARMLESS.items():
        texts = (
            f"{key}={value}",
            f"{key}: {value}",
            f'"{key}": "{value}"',
            f"--{key} {value}",
            f"{key} = {value}",
        )
        if any(redact_text(text) != text for text in texts) or redact_value({key: value}) != {key: value}:
            hit.append(key)
    assert len(HARMLESS) >= 200
    assert len(hit) <= len(HARMLESS) // 100, hit


def test_the_source_of_the_project_holds_nothing_to_redact() -> None:
    # Code about secrets and keys reads like them: `private_key: Path`, `secret = key.private_bytes(…)`.
    # The table of built-in names has a rule called secret, others a pattern of a token or a password.
    about = re.compile(r"secret|redact|sign|attest|builtins|token|^code\.py$")
    files = sorted(PACKAGE.rglob("*.py"))[::6]
    for file in (file for file in files if not about.search(file.name)):
        text = file.read_text(encoding="utf-8")
        assert redact_text(text) == text, file


@pytest.mark.parametrize("around", ["{}", "+{}", "key = '{}'\n", "before {}"])
def test_a_private_key_goes_as_a_block_also_when_its_end_is_missing(around: str) -> None:
    lines = PRIVATE_KEY.splitlines()
    for text in (PRIVATE_KEY, "\n".join(lines[:-1]), "\\n".join(lines), "\r\n".join(f"+{x}" for x in lines)):
        cleaned = redact_text(around.format(text))
        assert "[redacted:private-key]" in cleaned
        assert not any(line in cleaned for line in lines[1:-1])
    public = "-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----"
    assert redact_text(public) == public


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://me:{}@host.example/x", "https://[redacted:url-userinfo]@host.example/x"),
        ("postgres://u:p@ss@db:5432/runs?a=1", "postgres://[redacted:url-userinfo]@db:5432/runs?a=1"),
        ("mysql://u:a/b@db/x", "mysql://[redacted:url-userinfo]@db/x"),
        ("ssh://git@host/x.git", "ssh://git@host/x.git"),
        ("git@host:x.git", "git@host:x.git"),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("https://host/x?page=2&sort=key", "https://host/x?page=2&sort=key"),
    ],
)
def test_user_and_password_of_an_address_go_and_the_rest_stays(url: str, kept: str) -> None:
    assert redact_text(url.replace("{}", "pw")) == kept


def test_what_this_process_was_given_as_a_secret_goes_wherever_it_turns_up(monkeypatch) -> None:
    monkeypatch.setenv("TEAM_DB_PASSWORD", "correct-Horse7")
    monkeypatch.setenv("DATA_URL", "https://me:{}@host/x".format("Staple-battery9"))
    monkeypatch.setattr(
        "sys.argv", ["codex-ml", "train", "--api-key", "argv-Secret-77", "name=demo", "seed=12345678"]
    )
    for secret in ("correct-Horse7", "Staple-battery9", "argv-Secret-77"):
        for text in encoded(f"the host refused {secret} twice"):
            cleaned = redact_text(text)
            assert "[redacted:" in cleaned
            assert secret not in cleaned
    monkeypatch.setenv("PWD", "/workspace")
    for text in ("runs/demo seed 12345678 in /workspace", "train"):
        assert redact_text(text) == text


@pytest.mark.parametrize("secret", ["S3cr3t!9", "q7W/x+Z2=", "p\u00e4ss-W0rd", 'a"b\\c d&e'])
def test_a_short_known_secret_goes_in_every_coding_and_alignment(monkeypatch, secret: str) -> None:
    monkeypatch.setenv("DB_PASSWORD", secret)
    raw = secret.encode()
    coded = {quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in (b"", b"x", b"xy", b"xyz"):
            coded |= {encode(before + raw + after).decode() for after in (b"", b"-", b"--")}
        coded.add(encode(encode(raw)).decode())
    for text in coded:
        for around in ("{}", "a {} b", '{{"log": "{}"}}', "+{}\n"):
            cleaned = redact_text(around.format(text))
            assert "[redacted:" in cleaned, text
            assert text.rstrip("=") not in cleaned
            assert redact_text(cleaned) == cleaned


def test_without_the_known_secrets_the_environment_changes_nothing(monkeypatch) -> None:
    value = {"tokenizer": "python_stdlib", "url": "https://me:{}@host/x".format("pw")}
    before = redact_value(value, known=False)
    monkeypatch.setenv("APP_SECRET", "python_stdlib")
    assert redact_value(value)["tokenizer"] == "[redacted:secret]"
    assert redact_value(value, known=False) == before
    assert before == {"tokenizer": "python_stdlib", "url": "https://[redacted:url-userinfo]@host/x"}


def test_the_environment_is_walked_once_for_each_call(monkeypatch) -> None:
    from codex_ml.core import redact

    calls = []
    monkeypatch.setattr(redact, "known_secrets", lambda: calls.append(1) or ())
    redact_text("ids: " + " ".join(f"{n:020d}Abc" for n in range(50)))
    redact_value({"a": ["b", {"c": "d"}], "e": "f"})
    assert len(calls) == 2


def test_the_time_to_redact_grows_as_the_text_does() -> None:
    letters = string.ascii_letters + string.digits
    texts = (
        "".join(f'  "{draw(letters, 10)}": {{"id": "{draw(letters, 22)}"}},\n' for _ in range(8_000)),
        "\n".join("".join(draw(string.ascii_lowercase, 5).title() for _ in range(5)) for _ in range(8_000)),
        "\n".join(draw(letters + "+/", 76) for _ in range(6_000)),
    )
    for text in texts:
        part, whole = (seconds_to_redact(text[: len(text) // share]) for share in (8, 1))
        assert whole < 20 * part + 0.1  # a quadratic way takes 64 times as long


def seconds_to_redact(text: str) -> float:
    """Of this process alone: what else the machine does is not counted."""
    started = time.process_time()
    redact_text(text)
    return time.process_time() - started


def test_options_of_a_command_line_cover_the_word_after_them() -> None:
    argv = ["codex-ml", "train", "--password", "abc", "--max-tokens", "5", "token=qwerty12", "train.lr=1e-3"]
    assert redact_value(argv) == [
        *("codex-ml", "train", "--password", "[redacted:password]", "--max-tokens", "5"),
        *("token=[redacted:token]", "train.lr=1e-3"),
    ]


def test_structures_keep_their_shape_and_lose_their_secrets() -> None:
    secret = draw("abcdefghij0123456789", 24)
    value = {
        "env": [{"name": "API_KEY", "value": secret}, {"name": "MODE", "value": "fast"}],
        "credentials": {"first": secret, "retries": 3, "on": True},
        "nested": ({"deep": [f"Bearer {secret}"]}, b"password=" + secret.encode(), Path("/data/x")),
        f"https://u:{secret}@h/": 1.5,
        "none": None,
    }
    cleaned = redact_value(value)
    assert secret not in repr(cleaned)
    assert cleaned["env"][1] == {"name": "MODE", "value": "fast"}
    assert cleaned["credentials"] == {"first": "[redacted:credential]", "retries": 3, "on": True}
    assert isinstance(cleaned["nested"], tuple)
    assert cleaned["none"] is None


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['DB_PASSWORD']", "token: ${HF_TOKEN}", "api_key: <your key>", "secret: ***",
        "HF_TOKEN=$HF_TOKEN", "password: null", "GOOGLE_APPLICATION_CREDENTIALS=/etc/keys/service.json",
        "next token: def", "token = content.get(role)", "the tokenizer's digest is " + "ab12" * 16,
    ],
)  # fmt: skip
def test_references_placeholders_and_prose_stay(text: str) -> None:
    assert redact_text(text) == text


@given(st.text(max_size=300))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@given(st.integers(0, len(UNDER_KEYS) - 1), st.text(max_size=40), st.text(max_size=40))
def test_no_surroundings_save_a_secret(index: int, before: str, after: str) -> None:
    planted = UNDER_KEYS[index]
    assert planted.secret not in redact_text(f"{before}\n{planted.text}\n{after}")


@given(st.binary(min_size=32, max_size=32))
def test_digests_and_identifiers_stay(raw: bytes) -> None:
    text = raw.hex()
    for kept in (
        text,
        text[:40],
        f"sha256:{text}",
        f"commit {text[:40]} of {text}",
        f"weights_sha256={text}",
    ):
        assert redact_text(kept) == kept


@pytest.mark.parametrize(
    "piece",
    ["a", "%41", "token=", "password", "://a", "a:b@", '"password": "', "QUJDabc1", "-----BEGIN X-----",
     "://u:", "a.b-c_", "sk-a-", "eyJabcdefgh.", "key key ", "?sig=", "login a password ", "a:bcd@e:", "//u:",
     "docker login ", "mysql ", "password is ", "://u:p/@", "://u:p@", "a:bcd@", "secrets:\n  - a\n"],
)  # fmt: skip
def test_the_time_grows_with_the_length_alone(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.perf_counter()
        redact_text(text)
        return time.perf_counter() - started

    seconds(2_000)
    small = min(seconds(8_000) for _ in range(3))
    assert seconds(64_000) < 8 * small * 4 + 0.05


def test_keys_are_judged_by_their_segments() -> None:
    certain = (
        *("password", "DB_PASSWORD", "apiKey", "x-api-key", "HF_TOKEN", "authToken", "clientSecret"),
        *("db_pass", "AWS_SECRET_ACCESS_KEY", "PASSWORD_2", "github_token_prod", "password_hash"),
    )
    none = (
        "tokenizer",
        "max_tokens",
        "eos_token",
        "author",
        "secret_santa_count",
        "monkey",
        "passage",
        "bypass",
    )
    assert [key for key in certain if (found := judge_key(key)) is None or found[1] != "certain"] == []
    assert [key for key in none if judge_key(key) is not None] == []


def test_random_strings_are_told_from_names() -> None:
    random = [
        draw(string.ascii_letters + string.digits, size) for size in (16, 20, 32, 48) for _ in range(20)
    ]
    names = (
        *("step-00000100", "codex_ml.provenance.code", "runs/demo/export", "RunDirectory"),
        *("2025-11-27T12:00:00", "torch-2.13.0+cpu", "123e4567-e89b-12d3-a456-426614174000"),
        "e3b0c442" * 4,
    )
    assert sum(map(looks_random, random)) >= 0.95 * len(random)
    assert [name for name in names if looks_random(name)] == []


def test_a_difference_of_git_keeps_its_lines() -> None:
    # Code that is not about secrets: in what is, a parameter `private_key: Path` looks like one.
    files = [path for part in ("data", "training", "modeling") for path in (PACKAGE / part).rglob("*.py")]
    lines = [line for path in sorted(files) for line in path.read_text(encoding="utf-8").splitlines()]
    text = "diff --git a/x.py b/x.py\n" + "".join(f"+{line}\n" for line in lines)
    redacted = redact_text(text)
    assert redacted.count("\n") == text.count("\n") > 5000
    assert redacted.count("[redacted:") <= len(lines) / 1000


UNBROKEN = """PGPASSWORD=Pgdiff4455x psql
export SSHPASS=Sshdiff6677x
DBPASS=Dbdiff8899x
REDISCLI_AUTH=Redis112233x
mysecret=Mine445566x
mypasswd: Other778899x
sshpass -p Option112x ssh host
mysql -u root -pOption334x base
redis-cli -h host -a Option556x get
git clone //someone:Bare778x@host/path
git clone deploy:Colon990x@host.example:path/repo
https://u:pa/ss@Slash991x@host/x
pass=Short992x
LDAPPASS: Ldap993x
GITHUBTOKEN=Git99445x
docker login -u me -p Dock995x registry.example
mysqldump -p'two Words996x' base
the password is Said997x.
mysecrets: List99834556789x
"""


def test_names_without_a_break_and_options_of_one_letter_are_known() -> None:
    cleaned = redact_text(UNBROKEN)
    assert re.findall(r"\w*\d{3,}x\b", cleaned) == []
    assert cleaned.count("[redacted:") == len(UNBROKEN.splitlines())
    assert redact_text(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"{key}=north-west45"
            for key in (
                *("bypass", "compass", "surpass", "underpass", "encompass", "trespass", "first_pass"),
                *("maxtoken", "subtoken", "tokenizer", "pass_rate"),
            )
        ),
        *("pass=100%", "pass: 12.5ms", "pass=v1.2.3", "status: pass", "python:3.11-slim@sha256:abcdef0"),
        *("the password is required", "user: bob@example.com: hi", "git@host:path/x", "secrets:\n- db_pass"),
    ],
)
def test_what_only_looks_like_the_name_of_a_secret_stays(text: str) -> None:
    assert redact_text(text) == text


BLOCKS = """+token: >-
+  yamlMultiLine123456
+steps: 3
 password:
   nextLinePw11
passwords:
- listPw22aa
- "listPw33bb"
password = (
    "parenPw44aa"
    "parenPw55bb"
)
api_key:
  min_length: 8
secret = get(
    name, default,
)
description: |
  a text that stays
"""


def test_secrets_on_the_lines_below_their_key_are_gone_and_code_stays() -> None:
    cleaned = redact_text(BLOCKS)
    for secret in ("yamlMulti", "nextLinePw", "listPw22", "listPw33", "parenPw44", "parenPw55"):
        assert secret not in cleaned
    for kept in ("+steps: 3", "min_length: 8", "name, default,", "a text that stays"):
        assert kept in cleaned
    assert redact_text(cleaned) == cleaned


def test_one_line_of_a_secret_of_several_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PASSWORD", "first-line-1\nsecondLineB2")
    assert redact_text("it said secondLineB2 here") == "it said [redacted:password] here"
