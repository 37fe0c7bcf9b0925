"""Exit codes by which a system says that a signal ended a program."""

from __future__ import annotations

import re

_CODE = re.compile(r"(?:\b(?:code|status)|\bError):? (?P<code>1[34]\d|-\d{1,2})\b")
#: Of Linux; the numbers of other systems differ only in those that are not here.
_SIGNALS = {
    4: "SIGILL, an instruction that the processor does not have",
    6: "SIGABRT, the program gave itself up",
    7: "SIGBUS, often for want of shared memory",
    8: "SIGFPE, a wrong division",
    9: "SIGKILL, most often for want of memory",
    11: "SIGSEGV, a wrong address",
    15: "SIGTERM, whoever runs it ended it",
}


def signal_notes(text: str) -> tuple[str, ...]:
    """What the exit code in *text* means where it is that of a signal: ``exit code 137``, ``Error 139``."""
    found = _CODE.search(text)
    code = int(found["code"]) if found else 0
    said = _SIGNALS.get(-code if code < 0 else code - 128)
    return (f"{code} says that it was ended by a signal: {said}",) if said else ()
