"""The completions of a run, coloured and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codex_ml.report.facts import RunFacts
from codex_ml.report.highlight import Piece, highlight

#: Characters shown of all samples together, so that the page stays small whatever a run wrote.
MOST_CHARACTERS = 24_000


@dataclass(frozen=True)
class Sample:
    """One completion; ``parses`` is None where the language is not Python."""

    prompt: list[Piece]
    completion: list[Piece]
    ended: bool
    parses: bool | None
    left_out: int


def samples(run: RunFacts, *, language: str) -> list[Sample]:
    """Every sample of the run, each judged whole; what is shown of them may be cut."""
    rows: list[dict[str, Any]] = (run.samples or {}).get("samples", [])
    share = MOST_CHARACTERS // max(1, len(rows))
    return [_sample(row, language=language, most=share) for row in rows]


def _sample(row: dict[str, Any], *, language: str, most: int) -> Sample:
    prompt, whole = row["prompt"], row["prompt"] + row["completion"]
    before, after = highlight(whole[:most], language=language, boundary=len(prompt))
    return Sample(
        prompt=before,
        completion=after,
        ended=bool(row["ended"]),
        parses=_parses(whole, ended=bool(row["ended"])) if language == "python" else None,
        left_out=max(0, len(whole) - most),
    )


def _parses(text: str, *, ended: bool) -> bool:
    """Whether *text* is valid Python; one that the token limit stopped, without its unfinished end."""
    from codex_ml.evaluation.tasks.parse import parses

    return parses(text) or (not ended and parses(_without_end(text)))


def _without_end(text: str) -> str:
    """*text* without its last line and without lines before it that need one more to be complete."""
    lines = text.rstrip().splitlines(keepends=True)[:-1]
    while lines and _opens(lines[-1].strip()):
        lines.pop()
    return "".join(lines)


def _opens(line: str) -> bool:
    return not line or line.endswith(":") or line.startswith("@")
