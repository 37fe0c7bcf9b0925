"""A secret scan that is compared with a baseline."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from codex_ml.audit.edits import Change, Code
from codex_ml.audit.patch_context import Edit, PatchContext

_FILE = ".secrets.baseline"
_HOOK = "detect-secrets"
_PLUGINS = (
    *("AWSKeyDetector", "BasicAuthDetector", "GitHubTokenDetector", "JwtTokenDetector", "KeywordDetector"),
    *("PrivateKeyDetector", "SlackDetector"),
)


def make(context: PatchContext) -> Iterator[Edit]:
    """One patch a file of hooks: the arguments of the hook, and the baseline where there is none."""
    for path in sorted(
        {one.evidence.path for one in context.audit.findings if one.rule == "secret-baseline"}
    ):
        code = context.code(path)
        changed = compared(code) if code is not None else None
        if code is None or changed is None:
            continue
        files: dict[str, tuple[str | None, str]] = {path: (code.text, changed)}
        if not (context.audit.tree.root / _FILE).exists():
            files[_FILE] = (None, _empty())
        yield Edit(
            "Compare the secret scan with a baseline" + (f" in {path}" if "/" in path else ""),
            files,
            why="known false alarms hide the new secret",
            risk="an alarm in the baseline is never heard again: review what is added",
            validation="pre-commit run detect-secrets --all-files; detect-secrets scan --baseline updates it",
            rule="secret-baseline",
        )


def compared(code: Code) -> str | None:
    """The text with ``--baseline`` among the arguments of each hook; None where they are not a plain list."""
    try:
        root = yaml.compose(code.text, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    changes: list[Change] = []
    for hook in _hooks(root):
        one = _change(code, hook)
        if one is None:
            return None
        changes.append(one)
    return code.changed(changes)


def _hooks(root: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """The hooks of this name, as ``repos: - hooks: - id:`` has them."""
    for repo in _items(_value(root, "repos")):
        for hook in _items(_value(repo, "hooks")):
            name = _value(hook, "id")
            if isinstance(hook, yaml.MappingNode) and name is not None and name.value == _HOOK:
                yield hook


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _change(code: Code, hook: yaml.MappingNode) -> Change | None:
    """The arguments where the hook has none, two more where it has some."""
    given = _value(hook, "args")
    if given is None:
        name, first = hook.value[0]
        row = f'{" " * name.start_mark.column}args: ["--baseline", "{_FILE}"]'
        return None if hook.flow_style else _behind(code, first.end_mark.index, [row])
    # An alias stands elsewhere, and others use it, too.
    own = hook.start_mark.index <= given.start_mark.index < hook.end_mark.index
    last = given.value[-1] if isinstance(given, yaml.SequenceNode) and given.value and own else None
    if not isinstance(last, yaml.ScalarNode) or last.start_mark.line != last.end_mark.line:
        return None
    if isinstance(given, yaml.SequenceNode) and given.flow_style:
        return Change(last.end_mark.index, last.end_mark.index, f', "--baseline", "{_FILE}"')
    dash = " " * given.start_mark.column + "- "
    return _behind(code, last.end_mark.index, [dash + word for word in ("--baseline", _FILE)])


def _behind(code: Code, offset: int, rows: list[str]) -> Change:
    """*rows* below the line of *offset*."""
    line = code.line_of(offset)
    return Change(code.line_end(line), code.line_end(line), "".join(code.newline(line) + row for row in rows))


def _empty() -> str:
    """A baseline of detect-secrets that knows nothing yet."""
    body = {
        "version": "1.5.0",
        "plugins_used": [{"name": name} for name in _PLUGINS],
        "filters_used": [{"path": "detect_secrets.filters.allowlist.is_line_allowlisted"}],
        "results": {},
        "generated_at": "1970-01-01T00:00:00Z",
    }
    return json.dumps(body, indent=2) + "\n"
