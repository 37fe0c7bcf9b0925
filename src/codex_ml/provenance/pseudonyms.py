"""Stable short names for host, user and home directory: a record does not tell whose machine it was."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: ``plain`` records the names as they are.
VARIABLE = "CODEX_NAMES"
#: Names that belong to no person and turn up in every path.
_COMMON = frozenset({"root", "user", "users", "home", "admin", "work", "app", "data", "runner", "localhost"})
#: Where Linux and macOS keep the homes of people.
_HOMES = re.compile(r"(?<![\w.~-])(?:/home/[^/\s:,;'\"]+|/Users/[^/\s:,;'\"]+|/root)(?![\w.-])")
_SALTS = ("etc/machine-id", "var/lib/dbus/machine-id")


@dataclass(frozen=True)
class Pseudonyms:
    """What stands in a record for this machine's host, user and home; each the name itself when plain."""

    host: str
    user: str
    replaced: tuple[tuple[re.Pattern[str], str], ...] = ()

    def text(self, text: str) -> str:
        """*text* with home directory, host and user name replaced where they are paths or whole names."""
        for pattern, name in self.replaced:
            text = pattern.sub(name, text)
        return text

    def value(self, value: Any) -> Any:
        """`text` over every string of a JSON value; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list | tuple) else value


def pseudonyms(*, plain: bool | None = None, root: Path = Path("/")) -> Pseudonyms:
    """Those of this machine. *plain*: real names; None asks ``CODEX_NAMES``.

    The salt is the machine's id, so that one machine keeps its pseudonyms and no list of common names
    gives them back to who does not know it.
    """
    host, user = platform.node() or "unknown", _user()
    if os.environ.get(VARIABLE) == "plain" if plain is None else plain:
        return Pseudonyms(host, user)
    salt = _salt(root)
    short = {kind: f"{kind}-{_digest(salt, kind, name)}" for kind, name in (("host", host), ("user", user))}
    replaced = []
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    if home.startswith("/") and home.count("/") >= 1 and len(home) > 1:
        replaced.append((re.compile(rf"(?<![\w/]){re.escape(home)}(?![\w-])"), "~"))
    if len(user) > 2 and user not in _COMMON:
        replaced.append((re.compile(rf"(?<=/){re.escape(user)}(?![\w.-])"), short["user"]))
    if len(host) > 3 and host not in _COMMON:
        replaced.append((re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-])"), short["host"]))
    return Pseudonyms(short["host"], short["user"], tuple(replaced))


def shortened(path: str) -> str:
    """A path below this user's home from its ``~``, so that it says where and not whose; others as they are.

    With names asked for (``CODEX_NAMES=plain``) every path stays. `os.path.expanduser` gives it back.
    """
    home = os.path.expanduser("~").rstrip("/")  # noqa: PTH111 - Path.home() raises where there is none
    below = home.startswith("/") and (path == home or path.startswith(f"{home}/"))
    if not below or os.environ.get(VARIABLE) == "plain":
        return path
    return f"~{path[len(home) :]}"


def without_homes(value: Any) -> Any:
    """*value* with ``~`` for what is a home directory by its place, whosever it is; keys stay.

    It follows from *value* alone, so that whoever makes it again, elsewhere, gets the same.
    """
    return Pseudonyms("", "", ((_HOMES, "~"),)).value(value)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without an entry, as containers have it
        return f"uid{os.getuid()}"


def _salt(root: Path) -> str:
    for name in _SALTS:
        try:
            text = (root / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return text
    return f"{uuid.getnode():x}"


def _digest(salt: str, kind: str, name: str) -> str:
    return hashlib.sha256(f"{salt}\0{kind}\0{name}".encode()).hexdigest()[:4]
