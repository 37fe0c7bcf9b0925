"""From a stream of bytes to the first real failure, its chain of causes, and blocks counted once."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import BinaryIO

from codex_ml.digest.blocks import count_once, redacted
from codex_ml.digest.failures import Block, Cause, Failure, Rank
from codex_ml.digest.ranks import first_of
from codex_ml.digest.reader import LogReader, read_log
from codex_ml.digest.source import Counted, Source

_MOST_CHAIN = 12


@dataclass(frozen=True, slots=True)
class Digest:
    """What a log says. *failure* is None where nothing failed; its causes end with what they led to."""

    kind: str  # empty, traceback, pytest, nox, log
    counted: Counted
    failure: Failure | None
    blocks: tuple[Block, ...]  # of the highest rank that the log has, in order
    handled: int  # warnings, retries and expected failures that made nothing fail
    notes: tuple[str, ...]


def digest_log(stream: BinaryIO) -> Digest:
    """Read *stream* to its end. Raises DataError when it is no text. Memory does not grow with its size."""
    source = Source(stream)
    source.check()
    return digest_source(source)


def digest_source(source: Source) -> Digest:
    """The same for a source whose head was looked at before."""
    reader = read_log(source)
    failures = _named_by_make(reader.kept.failures)
    top = max((one.rank for one in failures), default=Rank.HANDLED)
    handled = sum(one.rank is Rank.HANDLED for one in failures)
    kept = [one for one in failures if one.rank is top] if top > Rank.HANDLED else []
    blocks, left_out = count_once(kept, reader.kept.more)
    first = _with_consequences(first_of(kept, reader.root_cause.names), failures) if kept else None
    return Digest(
        kind=_kind(reader, source.counted, failures),
        counted=source.counted,
        failure=redacted(first) if first else None,
        blocks=blocks,
        handled=handled,
        notes=_notes(source.counted, left_out + reader.kept.left_out),
    )


def _named_by_make(failures: list[Failure]) -> list[Failure]:
    """Where no step was named, the target that make gives up next is the step."""
    target: str | None = None
    named = []
    for one in reversed(failures):
        if one.kind == "make" and one.rank is Rank.SUMMARY and one.subject:
            target = one.subject
        if target is not None and not one.step:
            command = f"make {shlex.quote(target)}"
            one = replace(one, step=command, command=one.command or command)
        named.append(one)
    return named[::-1]


def _with_consequences(first: Failure, failures: list[Failure]) -> Failure:
    """*first*, its chain continued by the summaries that follow in its step, and the last of all."""
    later = [one for one in failures if one.line > first.line and one.rank is Rank.SUMMARY]
    own = [one for one in later if one.number == first.number]
    last = [one for one in later[-2:] if one.kind in ("make", "exit") and one not in own]
    texts: list[Cause] = list(first.causes)
    for one in [*own, *last]:
        if all(cause.text != one.root.text for cause in texts) and len(texts) < _MOST_CHAIN:
            texts.append(one.root)
    return replace(first, causes=tuple(texts))


def _kind(reader: LogReader, counted: Counted, failures: list[Failure]) -> str:
    if not counted.bytes:
        return "empty"
    if reader.steps.nox:
        return "nox"
    kinds = {one.kind for one in failures if one.rank is not Rank.HANDLED} - {"error"}
    kinds = kinds or {one.kind for one in failures}
    if reader.sessions or kinds & {"pytest", "collection"}:
        return "pytest"
    return "traceback" if kinds and kinds <= {"traceback", "syntax"} else "log"


def _notes(counted: Counted, left_out: int) -> tuple[str, ...]:
    notes = []
    if not counted.bytes:
        notes.append("the input is empty")
    if counted.cut:
        notes.append(f"lines of more than 65,536 bytes were read in pieces ({counted.cut} cuts)")
    if left_out:
        notes.append(f"{left_out} further failures are counted and not shown")
    return tuple(notes)
