"""Arguments of a call that are added, replaced or taken out, in the style of the call."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from itertools import pairwise

from codex_ml.audit.edits import Change, Code

_BESIDE = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER})


@dataclass(frozen=True)
class Argument:
    """One argument from its first character to its last, parentheses included. *comma*: the one behind it."""

    start: int
    end: int
    comma: int | None


@dataclass(frozen=True)
class _Call:
    """The parentheses of a call and what stands between them, in the order of the text."""

    opens: int
    closes: int
    arguments: tuple[Argument, ...]


def with_keyword(code: Code, node: ast.Call, name: str, value: str) -> list[Change] | None:
    """Changes that make the call have ``name=value``; None where that cannot be done by its text."""
    if not code.holds(node):
        return None
    for one in node.keywords:
        if one.arg == name:
            return [Change(*code.span(one.value), value)]
    call = _parted(code, node)
    if call is None or _bare_generator(code, node):
        return None
    given = f"{name}={value}"
    if not call.arguments:
        return [Change(call.opens + 1, call.opens + 1, given)]
    last = call.arguments[-1]
    if not _stands_alone(code, call, last):
        return [Change(last.end, last.end, f", {given}")]
    line = code.line_of(last.end if last.comma is None else last.comma)
    indent = code.text[code.line_start(code.line_of(last.start)) : last.start]
    row = code.newline(line) + indent + given
    if last.comma is not None:
        return [Change(code.line_end(line), code.line_end(line), f"{row},")]
    return [Change(last.end, last.end, ","), Change(code.line_end(line), code.line_end(line), row)]


def without(code: Code, node: ast.Call, given: ast.expr) -> list[Change] | None:
    """Changes that take the argument out whose value is *given*; None where its text is not found."""
    call = _parted(code, node) if code.holds(node) else None
    start, end = code.span(given)
    places = (
        [at for at, one in enumerate(call.arguments) if one.start <= start and end <= one.end] if call else []
    )
    if call is None or len(places) != 1:
        return None
    at = places[0]
    one = call.arguments[at]
    behind = one.end if one.comma is None else one.comma + 1
    if _stands_alone(code, call, one):
        return [
            Change(code.line_start(code.line_of(one.start)), code.line_start(code.line_of(behind) + 1), "")
        ]
    if at + 1 < len(call.arguments):
        following = call.arguments[at + 1].start
        near = not code.text[behind:following].strip(" \t")
        return [Change(one.start, following if near else behind, "")]
    before = call.arguments[at - 1] if at else None
    if (
        before is not None
        and before.comma is not None
        and not code.text[before.comma + 1 : one.start].strip(" \t")
    ):
        return [Change(before.end, one.end, "")]
    return [Change(one.start, behind, "")]


def _stands_alone(code: Code, call: _Call, one: Argument) -> bool:
    """Whether the lines of an argument hold nothing else but its comma and a comment."""
    first = code.line_of(one.start)
    last = code.line_of(one.end if one.comma is None else one.comma)
    if code.line_of(call.opens) >= first or code.line_of(call.closes) <= last:
        return False
    others = (other for other in call.arguments if other is not one)
    crowded = any(code.line_of(other.end) >= first and code.line_of(other.start) <= last for other in others)
    return not crowded and not code.text[code.line_start(first) : one.start].strip(" \t")


def _bare_generator(code: Code, node: ast.Call) -> bool:
    """``f(x for x in y)``, whose parentheses are those of the call."""
    if len(node.args) != 1 or not isinstance(node.args[0], ast.GeneratorExp):
        return False
    return code.span(node.args[0])[1] == code.span(node)[1]


def _parted(code: Code, node: ast.Call) -> _Call | None:
    """The call by its tokens, which know parentheses, commas and comments."""
    start, end = code.span(node)
    tokens = _tokens(code.text[start:end])
    opens, depth = -1, 0
    for at, (kind, text, _from, _to) in enumerate(tokens):
        if kind == tokenize.OP and text in "([{":
            opens = at if depth == 0 else opens
            depth += 1
        elif kind == tokenize.OP and text in ")]}":
            depth -= 1
    if opens < 0 or depth or tokens[-1][1] != ")":
        return None
    commas, depth = [], 0
    for at in range(opens + 1, len(tokens) - 1):
        kind, text = tokens[at][:2]
        if kind == tokenize.OP:
            depth += (text in "([{") - (text in ")]}")
            if text == "," and not depth:
                commas.append(at)
    arguments = []
    for left, right in pairwise([opens, *commas, len(tokens) - 1]):
        within = [one for one in tokens[left + 1 : right] if one[0] not in _BESIDE]
        if within:
            comma = start + tokens[right][2] if right in commas else None
            arguments.append(Argument(start + within[0][2], start + within[-1][3], comma))
    return _Call(start + tokens[opens][2], start + tokens[-1][2], tuple(arguments))


def _tokens(text: str) -> list[tuple[int, str, int, int]]:
    """(kind, text, start, end) by offsets, up to the last parenthesis; none for what cannot be parted."""
    plain = text.replace("\r\n", " \n").replace("\r", "\n")
    starts = [0]
    for line in plain.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    try:
        found = [
            (
                one.type,
                one.string,
                starts[one.start[0] - 1] + one.start[1],
                starts[one.end[0] - 1] + one.end[1],
            )
            for one in tokenize.generate_tokens(io.StringIO(plain).readline)
        ]
    except (tokenize.TokenError, SyntaxError):
        return [(tokenize.ENDMARKER, "", 0, 0)]
    while found and found[-1][1] != ")":
        found.pop()
    return found or [(tokenize.ENDMARKER, "", 0, 0)]
