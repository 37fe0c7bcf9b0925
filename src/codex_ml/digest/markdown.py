"""Read tasks from a Markdown list: boxes, numbers, nesting, headings, commands, words of dependency."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from codex_ml.core.redact import redact_text
from codex_ml.digest.inline import CODE, plain, read_inline
from codex_ml.digest.tasks import Check, Task, unknown_dependency

_ITEM = re.compile(
    r"(?P<indent>[ \t]*)(?P<marker>[-*+]|(?P<number>\d{1,6})[.)])[ \t]+"
    r"(?:\[(?P<box>[ xX-])\][ \t]+)?(?P<title>\S.*)$"
)
_HEADING = re.compile(r"#{1,6}[ \t]+(?P<title>\S.*)$")
_FENCE = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w-]*)")
_SHELL = ("sh", "bash", "console", "shell", "zsh", "terminal")
_PROMPT = "$ "
_More = Sequence[tuple[str, ...]]
_EXPLICIT = re.compile(
    r"(?:\*\*)?(?P<id>[A-Za-z]{1,8}-?\d{1,6})(?:\*\*)?[:.)][ \t]+"
    r"|(?:\*\*)?\(?id: ?(?P<named>[\w.-]+)\)?(?:\*\*)?:?[ \t]*"
)


@dataclass(eq=False)
class _Item:
    """A list item while it is read."""

    indent: int
    line: int
    title: str
    group: str
    done: bool
    number: int | None
    boxed: bool
    id: str | None = None
    parent: _Item | None = None
    before: _Item | None = None  # the item of the same numbered list above it
    after: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    check: str | None = None
    check_command: str | None = None
    words: list[str] = field(default_factory=list)


def looks_like_tasks(head: str) -> bool:
    """Whether *head*, the beginning of an input, is a Markdown list of tasks rather than a log."""
    items = [found for line in head.splitlines() if (found := _ITEM.match(line))]
    if any(found["box"] for found in items):
        return True
    lines = sum(bool(line.strip()) for line in head.splitlines())
    headings = sum(bool(_HEADING.match(line)) for line in head.splitlines())
    return len(items) >= 2 and (bool(headings) or 2 * len(items) >= lines)


def read_tasks(text: str, more: _More = ()) -> tuple[Task, ...]:
    """The tasks of *text* in the order of the document, redacted. Raises DataError for an unknown dependency.

    A list with a box anywhere in the document makes items without one mere notes of the item above. What is
    nested has to be done before what it is nested in; the items of a numbered list one after the other.
    *more*: first words of what is a command in back-ticks, beside known programs.
    """
    items = _items(redact_text(text.removeprefix("\ufeff")), more)
    if any(item.boxed for item in items):
        items = [item for item in items if item.boxed or _noted(item)]
    for at, item in enumerate(items, 1):
        item.id = item.id or f"t{at}"
    names = _Names(items)
    nested: dict[_Item, list[str]] = {item: [] for item in items}
    for item in items:
        parent = item.parent
        while parent is not None and parent not in nested:
            parent = parent.parent
        if parent is not None:
            nested[parent].append(str(item.id))
    return tuple(_task(item, nested, names) for item in items)


def _noted(item: _Item) -> bool:
    """Always false: give what an unboxed item says to the boxed one that it is nested in."""
    parent = item.parent
    while parent is not None and not parent.boxed:
        parent = parent.parent
    if parent is not None:
        parent.commands += item.commands
        parent.after += item.after
        parent.check = parent.check or item.check
        parent.check_command = parent.check_command or item.check_command
        parent.words.append(item.title)
    return False


def _items(text: str, more: _More) -> list[_Item]:
    items: list[_Item] = []
    group, fence, shell = "", "", False
    fenced: list[str] = []
    stack: list[_Item] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.expandtabs(4).rstrip()
        if fence:
            if line.strip().startswith(fence) and not line.strip(" `~"):
                fence = ""
                _fenced(fenced, stack, shell=shell)
            else:
                fenced.append(line)
            continue
        if (found := _FENCE.match(line)) and not CODE.search(line):
            fence, shell = found["fence"], found["language"].lower() in _SHELL
            continue
        if found := _HEADING.match(line):
            group, stack = found["title"].rstrip("# \t") or found["title"], []
        elif found := _ITEM.match(line):
            stack = _place(_new_item(found, number, group, more), stack, items)
        elif line.strip() and stack and line[:1] == " ":
            _say(stack[-1], line.strip(), more)
        elif line.strip() and line[:1] != " " and stack and items[-1].line != number - 1:
            stack = []  # a paragraph ends the list
    _fenced(fenced, stack, shell=shell)  # of a block that nothing ends
    return items


def _place(item: _Item, stack: list[_Item], items: list[_Item]) -> list[_Item]:
    """Put *item* where its indentation says; the new stack of items that it is nested in, itself last."""
    siblings = [one for one in stack if one.indent >= item.indent]
    stack = [one for one in stack if one.indent < item.indent]
    item.parent = stack[-1] if stack else None
    if item.number is not None and siblings and siblings[0].number is not None:
        item.before = siblings[0]
    items.append(item)
    return [*stack, item]


def _new_item(found: re.Match[str], line: int, group: str, more: _More) -> _Item:
    title = found["title"].strip()
    box = found["box"]
    item = _Item(
        indent=len(found["indent"]),
        line=line,
        title="",
        group=group,
        done=box in ("x", "X") if box else False,
        number=int(found["number"]) if found["number"] else None,
        boxed=box is not None,
    )
    if explicit := _EXPLICIT.match(title):
        item.id = explicit["id"] or explicit["named"]
        title = title[explicit.end() :]
    item.title = _plain(_say(item, title, more, note=box is None)) or _plain(title) or title
    return item


def _plain(title: str) -> str:
    return plain(title).strip(" .;,:—–-")


def _say(item: _Item, text: str, more: _More, *, note: bool = False) -> str:
    """Give *item* what *text* says to it; the rest is returned."""
    said = read_inline(text, note=note, more=more)
    if said.check is not None:
        item.check, item.check_command = said.check, said.check_command
    item.after += said.after
    item.commands += said.commands
    return said.rest


def _fenced(lines: list[str], stack: list[_Item], *, shell: bool) -> None:
    """Give the commands of a fenced block to the last item, and empty *lines*.

    Where a line has a prompt, only such lines are commands: the others are what these print. Without a
    prompt all lines of a block that says it is of a *shell* are, and none of any other.
    """
    prompts = any(line.lstrip().startswith(_PROMPT) for line in lines)
    pending: list[str] = []
    for line in lines if stack and (prompts or shell) else ():
        text = line.strip()
        if not pending and (not text or text.startswith("#") or (prompts and not text.startswith(_PROMPT))):
            continue
        pending.append(text if pending else text.removeprefix(_PROMPT))
        if text.endswith("\\"):  # the next line goes on with it
            pending[-1] = pending[-1][:-1]
            continue
        stack[-1].commands.append("".join(pending))
        pending.clear()
    lines.clear()


def _task(item: _Item, nested: dict[_Item, list[str]], names: _Names) -> Task:
    before = [str(item.before.id)] if item.before is not None and item.before in nested else []
    wanted = [names.resolve(name, item) for name in item.after]
    commands = tuple(dict.fromkeys(item.commands))
    command = item.check_command or (commands[-1] if commands else None)
    text = item.check or (f"`{command}` ends with exit code 0" if command else f"a person sees: {item.title}")
    return Task(
        id=str(item.id),
        title=item.title,
        check=Check(text, command),
        group=item.group,
        status="done" if item.done else "open",
        depends_on=tuple(dict.fromkeys((*nested[item], *before, *wanted))),
        commands=commands,
        why="; ".join(item.words),
        line=item.line,
    )


class _Names:
    """What a task may be called by another: its id, its title, or its number in the list of a group."""

    def __init__(self, items: list[_Item]) -> None:
        self._ids = {str(item.id).lower(): str(item.id) for item in items}
        self._titles: dict[str, list[str]] = {}
        self._numbers: dict[tuple[str, int], str] = {}
        for item in items:
            self._titles.setdefault(item.title.lower(), []).append(str(item.id))
            if item.number is not None:
                self._numbers.setdefault((item.group, item.number), str(item.id))

    def resolve(self, name: str, item: _Item) -> str:
        """The id of the task called *name* by *item*. Raises DataError when there is none."""
        titled = self._titles.get(_plain(name).lower(), [])
        number = self._numbers.get((item.group, int(name))) if re.fullmatch(r"\d{1,6}", name) else None
        found = self._ids.get(name.lower()) or (titled[0] if len(titled) == 1 else None) or number
        if found is None:
            known = [*self._ids.values(), *self._titles]
            raise unknown_dependency(item.title, name, known, line=item.line)
        return found
