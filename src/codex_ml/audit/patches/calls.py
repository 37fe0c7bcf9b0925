"""Changes of calls by their place, with libcst, which leaves every other byte as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from codex_ml.core.optional import require

#: What becomes of a call: the new node, or the same one.
Change = Callable[[Any, Any], Any]


def change_calls(text: str, lines: Collection[int], change: Change) -> str | None:
    """*text* with every call that begins on one of *lines* given to *change* (cst module, node).

    Returns None where libcst cannot parse what CPython can, or nothing changed. Raises MissingExtraError
    without the extra ``audit``.
    """
    cst: Any = require("libcst", extra="audit")
    metadata: Any = require("libcst.metadata", extra="audit")

    class Changer(cst.CSTTransformer):  # type: ignore[misc]
        METADATA_DEPENDENCIES = (metadata.PositionProvider,)

        def leave_Call(  # noqa: N802 - libcst calls it by this name
            self, original_node: Any, updated_node: Any
        ) -> Any:
            place = self.get_metadata(metadata.PositionProvider, original_node)
            return change(cst, updated_node) if place.start.line in lines else updated_node

    try:
        module = cst.parse_module(bare := text.removeprefix("\ufeff"))
    except cst.ParserSyntaxError:
        return None
    after: str = metadata.MetadataWrapper(module).visit(Changer()).code
    return text[: len(text) - len(bare)] + after if after != bare else None


def with_keyword(cst: Any, call: Any, name: str, value: str) -> Any:
    """*call* with ``name=value``, which replaces one of that name."""
    given = cst.Arg(
        keyword=cst.Name(name),
        value=cst.parse_expression(value),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    for place, one in enumerate(call.args):
        if one.keyword is not None and one.keyword.value == name:
            kept = one.with_changes(value=given.value)
            return call.with_changes(args=[*call.args[:place], kept, *call.args[place + 1 :]])
    return call.with_changes(args=_joined(cst, call.args, given))


def _joined(cst: Any, args: Any, given: Any) -> list[Any]:
    """The new argument in the style of the call: on a line of its own where the others are."""
    if not args:
        return [given]
    last = args[-1]
    if isinstance(last.comma, cst.MaybeSentinel):
        space = args[-2].comma.whitespace_after if len(args) > 1 else cst.SimpleWhitespace(" ")
        return [*args[:-1], last.with_changes(comma=cst.Comma(whitespace_after=space)), given]
    between = args[-2].comma if len(args) > 1 else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    ending = given.with_changes(comma=last.comma)
    return [*args[:-1], last.with_changes(comma=between), ending]


def last_name(cst: Any, node: Any) -> str:
    """The name that is called, whatever it is called on."""
    if isinstance(node, cst.Name):
        return str(node.value)
    return str(node.attr.value) if isinstance(node, cst.Attribute) else ""


def dotted_name(cst: Any, node: Any) -> str:
    """``a.b`` of a name or attribute; empty for anything else."""
    if isinstance(node, cst.Name):
        return str(node.value)
    if isinstance(node, cst.Attribute):
        head = dotted_name(cst, node.value)
        return f"{head}.{node.attr.value}" if head else ""
    return ""
