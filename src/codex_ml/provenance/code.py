"""The code of a run: commit, tags, remotes, what was changed since, what is in no commit.

Recorded, never part of the identity: that binds the installed ``codex_ml`` by its source digest, which
stands here too and is all there is without a repository.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import codex_ml
from codex_ml.core.digest import digest_bytes, digest_tree
from codex_ml.core.git_calls import Answer, git
from codex_ml.core.redact import redact_text, redact_value
from codex_ml.provenance.patch import clean_patch
from codex_ml.provenance.pseudonyms import Pseudonyms, pseudonyms
from codex_ml.provenance.submodules import submodules
from codex_ml.provenance.untracked import digest_untracked

#: Seconds for all calls of git together; what is not known by then is left out, and that is said.
PATIENCE = 1.1
#: Bytes of the difference that are kept. Its digest covers all of it.
PATCH_BYTES = 1 << 19
#: Seconds in which the difference is redacted at least, however late git was.
_LEAST = 0.2
_DIFF = ("diff", "HEAD", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv")


@dataclass(frozen=True)
class CodeState:
    """*facts* go into the record; *patch* is the redacted text of the difference, named in the facts."""

    facts: dict[str, Any]
    patch: str | None = None

    def files(self) -> dict[str, str]:
        """Relative path -> text of what lies beside the record."""
        return {} if self.patch is None else {str(self.facts["diff"]["file"]): self.patch}


def source_digest() -> str:
    """Digest of the installed package: its code and its shipped configuration."""
    return digest_tree(Path(codex_ml.__file__).parent)


#: ``ext::sh -c …``: what follows is run by git.
_HELPER = re.compile(r"^([a-z][\w+.-]*)::")
#: A user and the beginning of a password, not a host with its port.
_PASSWORD = re.compile(r"[^\s/:@]{0,100}:(?!\d+(?:/|$))[^\s/@]*/[^\s@]*@")


def capture_code(
    directory: Path,
    *,
    leave_out: Sequence[Path] = (),
    names: Pseudonyms | None = None,
    patience: float = PATIENCE,
) -> CodeState:
    """The state of the repository around *directory*, without secrets.

    Files below *leave_out* (the workspace's own) are not looked at. Takes at most about *patience*
    seconds: ``cut`` says what could not be found out by then.
    """
    names = names or pseudonyms()
    end = time.monotonic() + patience
    top = git(directory, "rev-parse", "--show-toplevel", seconds=patience)
    if top is None or not top.good:
        return CodeState(_without(top, names))
    root = Path(top.line())
    asked: dict[str, tuple[str, ...]] = {
        "commit": ("rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
        "branch": ("symbolic-ref", "--quiet", "--short", "HEAD"),
        "tags": ("tag", "--points-at", "HEAD"),
        "remotes": ("config", "-z", "--get-regexp", r"^remote\..*\.(url|pushurl)$"),
        "diff": _DIFF,
        "untracked": ("ls-files", "-z", "--others", "--exclude-standard"),
    }
    with ThreadPoolExecutor(3) as pool:
        waiting = {
            name: pool.submit(git, root, *words, seconds=max(0.1, end - time.monotonic()), read=1 << 26)
            for name, words in asked.items()
        }
        answers = {name: answer for name, call in waiting.items() if (answer := call.result()) is not None}
    cut = [f"{name}: git was stopped" for name, answer in answers.items() if answer.cut]
    left = max(0.1, end - time.monotonic())
    untracked = digest_untracked(root, answers["untracked"].names(), leave_out=leave_out, seconds=left / 2)
    diff, patch, short = _difference(answers["diff"], names, seconds=max(_LEAST, end - time.monotonic()))
    facts = {
        "vcs": "git",
        "why": None,
        "commit": answers["commit"].line() or None,
        "branch": redact_text(answers["branch"].line()) or None,
        "detached": not answers["branch"].line(),
        "tags": [redact_text(tag) for tag in answers["tags"].line().split()],
        "remotes": _remotes(answers["remotes"]),
        "dirty": diff is not None if answers["diff"].good or diff else None,
        "diff": diff,
        "untracked": untracked,
        "submodules": submodules(root, seconds=max(0.1, end - time.monotonic())),
        "cut": [*cut, *untracked.pop("cut"), *short],
        "source_sha256": source_digest(),
    }
    return CodeState(names.value(facts), patch)


def _without(answer: Answer | None, names: Pseudonyms) -> dict[str, Any]:
    """The facts where git knows nothing: there is none, no repository, or it refuses to look."""
    why = "git is not installed"
    if answer is not None:
        why = (answer.error.splitlines() or ["no repository"])[0].removeprefix("fatal: ")
    none = dict.fromkeys(("commit", "branch", "detached", "dirty", "diff", "untracked"))
    return {
        "vcs": None,
        "why": names.text(redact_text(why)),
        **none,
        "tags": [],
        "remotes": {},
        "submodules": [],
        "cut": [],
        "source_sha256": source_digest(),
    }


def _remotes(answer: Answer) -> dict[str, str]:
    """Name -> address, without user, password and token."""
    found: dict[str, list[str]] = {}
    for key, _, url in (entry.partition("\n") for entry in answer.names()):
        name = redact_text(key.removeprefix("remote.").rpartition(".")[0])
        address = str(redact_value(without_user(url)))
        if address not in found.setdefault(name, []):
            found[name].append(address)
    return {name: " ".join(addresses) for name, addresses in found.items()}


def without_user(url: str) -> str:
    """An address without its user-info, in the form of a URL or of scp (``user:password@host:path``).

    ``git@host:path`` names no one and stays. Of a helper's address (``ext::command``) its scheme is all that
    is told: the rest is a command.
    """
    helper = _HELPER.match(url)
    if helper:
        return f"{helper[1]}::…"
    scheme, mark, rest = url.partition("://")
    if not mark:
        user, at, place = url.rpartition("@")
        return place if at and (":" in user or "/" in user) else url
    if _PASSWORD.match(rest):  # it holds a slash
        return f"{scheme}://{rest.rpartition('@')[2]}"
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _difference(
    answer: Answer, names: Pseudonyms, *, seconds: float
) -> tuple[dict[str, Any] | None, str | None, list[str]]:
    """Facts and text of the difference, and what of it there was no time to redact."""
    if not answer.size:
        return None, None, []
    patch = clean_patch(answer.out, most=PATCH_BYTES, seconds=seconds)
    text = names.text(patch.text)
    facts = {
        "sha256": None if patch.redacted or answer.cut else answer.sha256,
        "bytes": answer.size,
        "file": f"code/diff-{digest_bytes(text.encode())[:12]}.patch",
        "complete": patch.complete and not answer.cut,
    }
    return facts, text, ["diff: redacted as far as the time sufficed"] if patch.late else []
