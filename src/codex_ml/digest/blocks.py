"""The seed's error-capture block, and failures counted once however often they stand in a log."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from codex_ml.core.markdown import fenced, one_line
from codex_ml.core.redact import redact_text
from codex_ml.digest.failures import Block, Failure
from codex_ml.digest.fingerprint import fingerprint, normalise

QUESTION = (
    "What are the possible causes, and how can this be resolved while preserving intended functionality?"
)
#: Different failures that are kept; more of them are counted.
MOST_BLOCKS = 1000
_MOST_PLACES = 20
_OF_A_TEST = ("pytest", "collection", "crash", "jest")


def make_error_block(step: str, error: str, context: str, *, ts: str | None = None) -> str:
    """The five lines (line 3 as long as the error is): timestamp, step, error, context, question.

    Everything is redacted. Without *ts* (``YYYY-MM-DD`` or ``YYYY-MM-DDTHH:MMZ``) the first line has no time.
    """
    when = f" {ts}" if ts else ""
    lines = (
        f"Question for ChatGPT @codex{when}:",
        f"While performing {step_name(step)}, encountered the following error:",
        redact_text(error.strip("\n")),
        f"Context: {one_line(redact_text(context))}",
        QUESTION,
    )
    return "\n".join(lines)


def step_name(step: str) -> str:
    """``[3:nox -s tests]``, also for a step that brings no number."""
    step = one_line(redact_text(step)) or "unknown step"
    return f"[{step}]" if re.match(r"\d+:", step) else f"[1:{step}]"


def error_of(failure: Failure) -> str:
    """The text of line 3: where it failed, and the innermost cause as it was printed."""
    root = failure.root
    head = f"{failure.subject}\n" if failure.kind in _OF_A_TEST and failure.subject else ""
    return f"{head}{root.text}"


def context_of(failure: Failure) -> str:
    """The text of line 4: place, chain of causes, and what is known of the surroundings."""
    parts = [f"{failure.kind} failure at line {failure.line} of the input"]
    if failure.root.place:
        parts.append(f"raised at {failure.root.place}")
    links = [one_line(cause.text)[:160] for cause in failure.causes[1:]]
    if links:
        parts.append("which led to " + ", then ".join(links))
    parts += [one_line(note)[:400] for note in failure.notes]
    return "; ".join(parts)


def step_of(failure: Failure) -> str:
    """``3:nox -s tests``; without a step, what failed."""
    return f"{max(failure.number, 1)}:{failure.step or failure.subject or failure.kind}"


def redacted(failure: Failure) -> Failure:
    """The same without secrets."""
    causes = tuple(
        replace(cause, text=redact_text(cause.text), place=cause.place and redact_text(cause.place))
        for cause in failure.causes
    )
    return replace(
        failure,
        causes=causes,
        step=redact_text(failure.step),
        subject=failure.subject and redact_text(failure.subject),
        command=failure.command and redact_text(failure.command),
        notes=tuple(redact_text(note) for note in failure.notes),
    )


def _told_apart(failure: Failure) -> str:
    return f"{folder_of(failure)}\0{normalise(error_of(failure))}"


@dataclass
class _Count:
    failure: Failure
    occurrences: int
    lines: list[int]


def folder_of(failure: Failure) -> str:
    """The folders of what failed, within its repository: ``tests/a/test_io.py`` is not that of ``tests/b``.

    Those of a path from the root of the machine differ between two checkouts of one repository.
    """
    found = re.match(r"(?:\./)?((?:[\w.+@ -]{1,255}/)+)[^/\s]", failure.subject or "")
    return found[1] if found and ".." not in found[1].split("/") else ""


def repetition_key(failure: Failure) -> str:
    """Equal for failures that are one, as far as can be told before they are redacted."""
    whole = f"{failure.kind}\0{_told_apart(failure)}\0{normalise(failure.step)}"
    return hashlib.blake2b(whole.encode("utf-8", "replace"), digest_size=16).hexdigest()


def count_once(
    failures: Iterable[Failure], more: Mapping[str, int] | None = None
) -> tuple[tuple[Block, ...], int]:
    """One block for each different failure, in the order of the first, and how many were left out.

    *more* are repetitions, by `repetition_key`, that are not among the *failures*.

    Redacting costs more than masking, so equal ones are found before and, for two that differ in a secret
    alone, once more after it.
    """
    raw: dict[str, _Count] = {}
    left_out = 0
    for failure in failures:
        key = repetition_key(failure)
        known = raw.get(key)
        if known is None and len(raw) >= MOST_BLOCKS:
            left_out += 1
            continue
        if known is None:
            known = raw[key] = _Count(failure, (more or {}).get(key, 0), [])
        known.occurrences += 1
        if len(known.lines) < _MOST_PLACES:
            known.lines.append(failure.line)
    blocks: dict[str, Block] = {}
    for one in raw.values():
        clean = redacted(one.failure)
        name = fingerprint(error_of(clean), step=clean.step, folder=folder_of(clean))
        before = blocks.get(name)
        if before is None:
            blocks[name] = Block(clean, name, one.occurrences, tuple(one.lines))
        else:
            lines = tuple(sorted({*before.lines, *one.lines}))[:_MOST_PLACES]
            blocks[name] = replace(before, occurrences=before.occurrences + one.occurrences, lines=lines)
    return tuple(blocks.values()), left_out


def block_record(block: Block, *, ts: str | None, status: str = "Open") -> dict[str, Any]:
    """A block as the error store and ``--json`` have it."""
    failure = block.failure
    return {
        "ts": failure.ts or ts,
        "step": step_of(failure),
        "error": error_of(failure),
        "context": context_of(failure),
        "fingerprint": block.fingerprint,
        "status": status,
        "occurrences": block.occurrences,
        "resolution": None,
    }


def render_record(record: Mapping[str, Any]) -> str:
    """The block of a record, fenced, and below it what five lines have no room for."""
    text = make_error_block(record["step"], record["error"], record["context"], ts=record["ts"])
    status = str(record["status"])
    if record.get("resolution"):
        again = "was resolved before: " if status == "Open" else ""
        status += f" — {again}{one_line(redact_text(str(record['resolution'])))}"
    times = record["occurrences"]
    name = record["fingerprint"]
    return f"{fenced(text)}\n\n- Status: {status}\n- Occurrences: {times}\n- Fingerprint: `{name}`"
