"""Every error a user can meet, in one tree.

    CodexError                     exit 1   what, got, wanted, next step, code
    ├── UsageError                 exit 2   the request itself cannot be met
    │   ├── ConfigError                     a key, a value, or two values that contradict each other
    │   ├── MissingExtraError               an optional package was asked for and is absent
    │   └── RegistryError                   a component name
    │       ├── NotFoundError               nobody registered it
    │       ├── ConflictError               two registered it
    │       └── LoadError                   it is registered and does not load
    ├── DataError                  exit 2   an input document, file or shape
    ├── IntegrityError             exit 3   bytes differ from what a manifest says
    │   └── CheckpointLoadError             no checkpoint can be trusted
    ├── TrainingError              exit 1   the run must not go on (NaN, spike, recompile)
    ├── StorageError               exit 1   disk full, no permission
    └── Interrupted                exit 75  state is saved; the same command continues

The code is stable, dotted and listed in docs/errors.md; the text may improve.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CodexError(Exception):
    """An error with a stable code and a next step, rendered on one line."""

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        code: str,
        got: object = None,
        wanted: object = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.code = code
        self.got = None if got is None else str(got)
        self.wanted = None if wanted is None else str(wanted)
        self.next_step = next_step
        super().__init__(self.line())

    def line(self) -> str:
        """The whole error as one line of text."""
        parts = [self.what]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.wanted is not None:
            parts.append(f"wanted {self.wanted}")
        text = "; ".join(" ".join(part.split()) for part in parts)
        if self.next_step is not None:
            text += f". Next: {' '.join(self.next_step.split())}"
        return f"{text} [{self.code}]"

    def record(self) -> dict[str, str | None]:
        """The same content for ``--json``."""
        return {
            "code": self.code,
            "what": self.what,
            "got": self.got,
            "wanted": self.wanted,
            "next": self.next_step,
        }


class UsageError(CodexError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class MissingExtraError(UsageError):
    pass


class RegistryError(UsageError):
    pass


class NotFoundError(RegistryError):
    pass


class ConflictError(RegistryError):
    pass


class LoadError(RegistryError):
    pass


class DataError(CodexError):
    exit_code = 2


class IntegrityError(CodexError):
    exit_code = 3


class CheckpointLoadError(IntegrityError):
    pass


class TrainingError(CodexError):
    pass


class StorageError(CodexError):
    pass


class Interrupted(CodexError):
    exit_code = 75


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like *name*, or None when nothing is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.55)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A next step for an unknown *name*: the nearest neighbour, else the whole list."""
    known = sorted(known)
    close = nearest(name, known)
    if close is not None:
        return f"did you mean '{close}'?"
    if not known:
        return "there are none yet"
    more = f", … ({len(known)} in all)" if len(known) > 12 else ""
    return "choose one of " + ", ".join(known[:12]) + more
