"""What the further lines of a message say: where rustc found it, what Java's exception came of."""

from __future__ import annotations

import re
from dataclasses import replace

from codex_ml.digest.failures import Cause, Failure, Rank, clipped

_ARROW = re.compile(r"\n\s{0,8}--> (?P<place>\S{1,300}:\d+):\d+")


def placed(failure: Failure) -> Failure:
    """*failure*, at the place that rustc prints below its message; which makes an error a compiler's."""
    found = _ARROW.search(failure.root.text) if failure.kind in ("rustc", "error") else None
    if found is None:
        return failure
    causes = (replace(failure.root, place=found["place"]), *failure.causes[1:])
    return replace(failure, kind="rustc", rank=Rank.REAL, causes=causes)


def causes_of(failure: Failure, text: list[str]) -> tuple[Cause, ...]:
    """The message as one cause; Java's, which tells the innermost exception last, the other way round."""
    parts = [[text[0]]]
    for line in text[1:]:
        if line.startswith("Caused by: "):
            parts.append([line.removeprefix("Caused by: ")])
        else:
            parts[-1].append(line)
    found = [Cause(clipped("\n".join(part)), failure.root.place, "cause") for part in parts[::-1]]
    return (*found[:-1], replace(found[-1], link="then"))
