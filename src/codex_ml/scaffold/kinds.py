"""What can be scaffolded: for each kind its group of entry points and its templates."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from importlib import resources
from string import Template

from codex_ml.errors import UsageError
from codex_ml.registry.builtins import BUILTINS
from codex_ml.registry.contracts import CONTRACTS

#: Word of the command line -> (kind of the registry, attribute that the entry point names).
KINDS = {
    "tokenizer": ("tokenizers", "$Class"),
    "metric": ("metrics", "$name"),
    "model": ("models", "$Class"),
    "data-source": ("data_sources", "$Class"),
    "reward": ("reward_models", "$Class"),
    "agent": ("rl_agents", "$Class"),
    "tracker": ("trackers", "$Class"),
    "callback": ("callbacks", "$name"),
    "rule": ("audit_rules", "RULE"),
}
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,59}\Z")


@dataclass(frozen=True)
class Part:
    """One part to be made: *word* of `KINDS`, *name* as it was typed."""

    word: str
    name: str
    package: str

    @property
    def kind(self) -> str:
        return KINDS[self.word][0]

    @property
    def module(self) -> str:
        """Its name as a module: ``my-sink`` is ``my_sink``."""
        return module_name(self.name)

    @property
    def values(self) -> dict[str, str]:
        words = re.split(r"_+", self.module)
        return {
            "name": self.module,
            "Class": "".join(word[:1].upper() + word[1:] for word in words),
            "entry": self.name,
            "package": self.package,
            "kind": self.kind,
            "contract": str(CONTRACTS[self.kind].version),
        }

    @property
    def attribute(self) -> str:
        """What of the module is the component."""
        return Template(KINDS[self.word][1]).substitute(self.values)

    @property
    def target(self) -> str:
        return f"{self.package}.{self.module}:{self.attribute}"

    def source(self) -> str:
        return filled(f"{self.word}.py", self.values)

    def test(self) -> str:
        """The conformance kit, and what is special about this kind."""
        kit = filled("conformance_test.py", self.values | {"target": self.target})
        return f"{kit}\n\n{filled(f'{self.word}_test.py', self.values)}"


def refuse_taken(part: Part) -> None:
    """Raise UsageError for a name that is built in, or that the code of the template itself uses."""
    built_in = BUILTINS.get(part.kind, {}).get(part.name)
    other = Part(part.word, "a-placeholder", part.package)
    hidden = {part.attribute} - {other.attribute}  # the attribute of a rule is RULE whatever its name
    taken = hidden & _words(other.source()) | {part.module} & _words(other.test())
    taken |= {word for word in hidden if keyword.iskeyword(word)}
    if built_in is None and not taken:
        return
    raise UsageError(
        f"'{part.name}' cannot be the name of a {part.word}",
        code="scaffold.name",
        got=f"{built_in} (built in)" if built_in else f"{', '.join(sorted(taken))}, which its code uses",
        wanted="a name of its own",
        next_step=f"choose another name, such as my-{part.name}",
    )


def _words(text: str) -> set[str]:
    """Names that Python code uses or imports."""
    nodes = list(ast.walk(ast.parse(text)))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    imported = (node.asname or node.name for node in nodes if isinstance(node, ast.alias))
    return used | {name.partition(".")[0] for name in imported}


def module_name(name: str) -> str:
    """*name* as a Python module. Raises UsageError for what cannot be one."""
    found = name.replace("-", "_").lower()
    if not _NAME.match(name) or keyword.iskeyword(found):
        raise UsageError(
            f"'{name}' cannot be the name of a part",
            code="scaffold.name",
            wanted="a letter, then letters, digits, dashes and underscores, no word of Python's",
            next_step="choose another name, such as my-part",
        )
    return found


def filled(template: str, values: dict[str, str]) -> str:
    """A template with its names; a name that is not given is an error."""
    text = (
        resources.files("codex_ml.scaffold")
        .joinpath("templates", f"{template}.txt")
        .read_text(encoding="utf-8")
    )
    return Template(text).substitute(values)
